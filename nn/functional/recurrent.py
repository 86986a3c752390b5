"""Recurrent cells and layers as functions, under torch's names and with torch's arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.functional.dropout import dropout as dropped
from nn.functional.sequences import Steps, gru_sequence, lstm_sequence, rnn_sequence, steps_of

__all__ = ["Layer", "gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell", "run_layers"]

# What one layer does in one direction: (x, its initial states, its weights, steps) -> its states at all rows, outputs first.
Layer = Callable[[Any, Sequence[Any], Sequence[Any], Steps], Sequence[Any]]


def _is_tracked(x: Any) -> bool:
    """Whether a gradient of x may be asked for: not of a plain array, but of one that carries a derivative or a batch."""
    return x.requires_grad if isinstance(x, ag.Tensor) else type(x) is not np.ndarray


def lstm_layer(x: Any, initial: Sequence[Any], weights: Sequence[Any], steps: Steps) -> Sequence[Any]:
    """One LSTM in one direction, on weights (w_ih, w_hh, b_ih, b_hh, w_hr)."""
    hs, cs, _ = lstm_sequence([x, *initial, *weights], steps, _is_tracked(x))
    return hs, cs


def gru_layer(x: Any, initial: Sequence[Any], weights: Sequence[Any], steps: Steps) -> Sequence[Any]:
    """One GRU in one direction, on weights (w_ih, w_hh, b_ih, b_hh)."""
    return (gru_sequence([x, *initial, *weights[:4]], steps, _is_tracked(x))[0],)


def rnn_tanh_layer(x: Any, initial: Sequence[Any], weights: Sequence[Any], steps: Steps) -> Sequence[Any]:
    """One RNN with tanh in one direction, on weights (w_ih, w_hh, b_ih, b_hh)."""
    return (rnn_sequence([x, *initial, *weights[:4]], steps, _is_tracked(x), "tanh"),)


def rnn_relu_layer(x: Any, initial: Sequence[Any], weights: Sequence[Any], steps: Steps) -> Sequence[Any]:
    """One RNN with relu in one direction, on weights (w_ih, w_hh, b_ih, b_hh)."""
    return (rnn_sequence([x, *initial, *weights[:4]], steps, _is_tracked(x), "relu"),)


LAYERS: dict[str, Layer] = {"LSTM": lstm_layer, "GRU": gru_layer, "RNN_TANH": rnn_tanh_layer, "RNN_RELU": rnn_relu_layer}
GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def run_layers(
    mode: str,
    rows: Any,
    initial: Sequence[Any],
    weights: Sequence[Sequence[Any]],
    sizes: tuple[int, ...],
    bidirectional: bool = False,
    dropout: float = 0.0,
    generator: init.Seed = None,
) -> tuple[Any, list[Any]]:
    """A stack of layers of one kind over a batch of sequences.

    mode      "LSTM", "GRU", "RNN_TANH" or "RNN_RELU"
    rows      (rows, input): the examples of a step one after the other, step after step
    initial   the states, (layers * directions, batch, ...) each
    weights   for each layer and direction (w_ih, w_hh, b_ih, b_hh, w_hr), None for what is not there
    sizes     how many sequences go on at each step
    dropout   probability with which outputs between layers are zeroed
    returns   outputs of the last layer, and the states after the last steps as the initial ones were given
    """
    directions = 2 if bidirectional else 1
    last: list[list[Any]] = [[] for _ in initial]
    for first in range(0, len(weights), directions):
        outputs = []
        for k in range(directions):
            steps = steps_of(sizes, k == 1)
            states = LAYERS[mode](rows, [state[first + k] for state in initial], weights[first + k], steps)
            outputs.append(states[0])
            for kept, state in zip(last, states, strict=True):
                kept.append(steps.last(state))
        rows = outputs[0] if directions == 1 else np.concatenate(outputs, axis=-1)
        if dropout and first + directions < len(weights):
            rows = dropped(rows, dropout, generator=generator)
    return rows, [np.stack(states) for states in last]


def _layers(
    mode: str,
    input: Any,
    hx: Sequence[Any],
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, list[Any]]:
    """Torch's functions of flat lists of weights."""
    runs = num_layers * (2 if bidirectional else 1)
    each, rest = divmod(len(params), runs)
    if rest or each not in ((4, 5) if has_biases else (2, 3)):
        raise ValueError(f"{mode.lower()}: {len(params)} weights for {runs} layers and directions {'with' if has_biases else 'without'} biases")
    weights = []
    for first in range(0, len(params), each):
        own = list(params[first : first + each])
        biases = own[2:4] if has_biases else [None, None]
        weights.append([*own[:2], *biases, own[-1] if each in (3, 5) else None])
    steps_first = input.swapaxes(0, 1) if batch_first else input
    length, batch = steps_first.shape[:2]
    rows = steps_first.reshape((length * batch, steps_first.shape[2]))
    rows, last = run_layers(mode, rows, hx, weights, (batch,) * length, bidirectional, dropout if train else 0.0)
    output = rows.reshape((length, batch, rows.shape[1]))
    return output.swapaxes(0, 1) if batch_first else output, last


def lstm(
    input: Any,
    hx: Sequence[Any],
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, Any, Any]:
    """(output, h_n, c_n) of a stack of LSTM layers (Hochreiter & Schmidhuber 1997); `nn.LSTM` is the module.

    input   (L, N, H_in), or (N, L, H_in) with batch_first
    hx      (h_0, c_0), (num_layers * directions, N, H) each
    params  the weights of all layers and directions in the order of `nn.LSTM`'s parameters

    >>> import numpy as np
    >>> weights = [np.ones((4, 2)), np.ones((4, 1))]
    >>> output, h, c = lstm(np.zeros((3, 1, 2)), [np.zeros((1, 1, 1))] * 2, weights, False, 1, 0.0, False, False, False)
    >>> output.shape, h.shape, c.shape
    ((3, 1, 1), (1, 1, 1), (1, 1, 1))
    """
    output, (h, c) = _layers("LSTM", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
    return output, h, c


def gru(
    input: Any,
    hx: Any,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, Any]:
    """(output, h_n) of a stack of GRU layers (Cho et al. 2014); `nn.GRU` is the module, `lstm` tells of the arguments."""
    output, (h,) = _layers("GRU", input, [hx], params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
    return output, h


def rnn_tanh(
    input: Any,
    hx: Any,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, Any]:
    """(output, h_n) of a stack of RNN layers with tanh; `nn.RNN` is the module, `lstm` tells of the arguments."""
    output, (h,) = _layers("RNN_TANH", input, [hx], params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
    return output, h


def rnn_relu(
    input: Any,
    hx: Any,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, Any]:
    """(output, h_n) of a stack of RNN layers with relu; `nn.RNN` is the module, `lstm` tells of the arguments."""
    output, (h,) = _layers("RNN_RELU", input, [hx], params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
    return output, h


# --- cells -------------------------------------------------------------------------------------------------------------------------


def _cell(mode: str, input: Any, states: Sequence[Any], weights: Sequence[Any]) -> Sequence[Any]:
    """The states after one step; of one example without a batch axis too."""
    if input.ndim == 1:
        rows = _cell(mode, input.reshape((1, -1)), [state.reshape((1, -1)) for state in states], weights)
        return [state.reshape(-1) for state in rows]
    name = f"{mode.lower()}_cell"
    w_ih, w_hh = weights[:2]
    gates = GATES[mode]
    if input.ndim != 2 or input.shape[1] != w_ih.shape[1]:
        raise ValueError(f"{name}: input has shape {input.shape}, expected (batch, {w_ih.shape[1]}) for weight_ih of shape {w_ih.shape}")
    for state in states:
        if state.shape != (input.shape[0], w_hh.shape[1]):
            raise ValueError(f"{name}: a state has shape {state.shape}, expected (batch, hidden) = {(input.shape[0], w_hh.shape[1])}")
    if w_ih.shape[0] != gates * w_hh.shape[1] or w_hh.shape[0] != w_ih.shape[0]:
        raise ValueError(
            f"{name}: weight_ih has shape {w_ih.shape} and weight_hh {w_hh.shape}, expected ({gates} hidden, ...) and ({gates} hidden, hidden)"
        )
    return LAYERS[mode](input, states, (*weights, None), steps_of((input.shape[0],)))


def lstm_cell(input: Any, hx: Sequence[Any], w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> tuple[Any, Any]:
    """(h', c') after one step of an LSTM: c' = f c + i g, h' = o tanh(c'), with gates of x w_ih.T + h w_hh.T (Gers et al. 2000).

    input       (batch, input), or (input,)
    hx          (h, c), (batch, hidden) each
    w_ih, w_hh  (4 hidden, input) and (4 hidden, hidden), for the gates i, f, g, o in this order;  b_ih, b_hh  (4 hidden,) or None

    >>> import numpy as np
    >>> h, c = lstm_cell(np.ones(2), (np.zeros(1), np.zeros(1)), np.ones((4, 2)), np.ones((4, 1)))
    >>> h.round(4), c.round(4)
    (array([0.6083]), array([0.8491]))
    """
    h, c = _cell("LSTM", input, hx, (w_ih, w_hh, b_ih, b_hh))
    return h, c


def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """H' = (1 - z) n + z h after one step of a GRU, with n = tanh(x W + b + r (h U + c)) (Cho et al. 2014, in torch's variant).

    input       (batch, input), or (input,)
    hx          h, (batch, hidden)
    w_ih, w_hh  (3 hidden, input) and (3 hidden, hidden), for r, z, n in this order;  b_ih, b_hh  (3 hidden,) or None

    >>> import numpy as np
    >>> gru_cell(np.ones(2), np.zeros(1), np.ones((3, 2)), np.ones((3, 1))).round(4)
    array([0.1149])
    """
    return _cell("GRU", input, [hx], (w_ih, w_hh, b_ih, b_hh))[0]


def rnn_tanh_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """H' = tanh(x w_ih.T + b_ih + h w_hh.T + b_hh), one step of an RNN (Elman 1990).

    >>> import numpy as np
    >>> rnn_tanh_cell(np.ones(2), np.zeros(1), np.ones((1, 2)), np.ones((1, 1))).round(4)
    array([0.964])
    """
    return _cell("RNN_TANH", input, [hx], (w_ih, w_hh, b_ih, b_hh))[0]


def rnn_relu_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """H' = relu(x w_ih.T + b_ih + h w_hh.T + b_hh), one step of an RNN.

    >>> import numpy as np
    >>> rnn_relu_cell(np.ones(2), np.zeros(1), np.ones((1, 2)), np.ones((1, 1)))
    array([2.])
    """
    return _cell("RNN_RELU", input, [hx], (w_ih, w_hh, b_ih, b_hh))[0]
