"""Recurrent layers and cells: `RNN`, `LSTM`, `GRU`, with torch's weights, layouts and results."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from nn import init
from nn.casting import dtype_of_new
from nn.functional.recurrent import GATES, gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell, run_layers
from nn.module import Module
from nn.parameter import Parameter
from nn.utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell"]


class RNNBase(Module):
    """What `RNN`, `LSTM` and `GRU` share: their weights, and running the stack of layers.

    mode  "LSTM", "GRU", "RNN_TANH" or "RNN_RELU"; the other arguments are `LSTM`'s
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        name = type(self).__name__
        if mode not in GATES:
            raise ValueError(f"{name}: mode must be one of {', '.join(GATES)}, not {mode!r}")
        dtype = dtype_of_new(name, device, dtype)
        self.mode = mode
        self.input_size = _count(name, "input_size", input_size)
        self.hidden_size = _count(name, "hidden_size", hidden_size)
        self.num_layers = _count(name, "num_layers", num_layers)
        self.bias = _flag(name, "bias", bias)
        self.batch_first = _flag(name, "batch_first", batch_first)
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must be a probability in [0, 1], not {dropout!r}")
        if dropout and num_layers == 1:
            warnings.warn(f"{name}: dropout={dropout} has no effect with num_layers=1: it is applied between layers", stacklevel=3)
        self.dropout = float(dropout)
        self.bidirectional = _flag(name, "bidirectional", bidirectional)
        if proj_size < 0 or proj_size >= hidden_size:
            raise ValueError(f"{name}: proj_size must be at least 0 (no projection) and less than hidden_size={hidden_size}, not {proj_size}")
        if proj_size and mode != "LSTM":
            raise ValueError(f"{name}: proj_size={proj_size}, but only an LSTM has a projection")
        self.proj_size = int(proj_size)
        self._weight_names: list[list[str | None]] = []
        gates, outputs = GATES[mode] * hidden_size, proj_size or hidden_size
        directions = ["", "_reverse"] if bidirectional else [""]
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else outputs * len(directions)
            for suffix in directions:
                shapes: dict[str, tuple[int, ...] | None] = {
                    "weight_ih": (gates, inputs),
                    "weight_hh": (gates, outputs),
                    "bias_ih": (gates,) if bias else None,
                    "bias_hh": (gates,) if bias else None,
                    "weight_hr": (outputs, hidden_size) if proj_size else None,
                }
                for kind, shape in shapes.items():
                    if shape is not None:
                        setattr(self, f"{kind}_l{layer}{suffix}", Parameter(np.empty(shape, dtype)))
                self._weight_names.append([f"{kind}_l{layer}{suffix}" if shape is not None else None for kind, shape in shapes.items()])
        self.reset_parameters(generator)

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw all parameters anew, uniformly in +-1/sqrt(hidden_size)."""
        _draw(self, self.hidden_size, generator)

    def flatten_parameters(self) -> None:
        """Do nothing: where torch's GPU code wants all weights in one piece, there is nothing to do here."""

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names if name is not None] for names in self._weight_names]

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        weights = [[None if name is None else getattr(self, name) for name in names] for names in self._weight_names]
        dropout = self.dropout if self.training else 0.0
        if isinstance(input, PackedSequence):
            self._check_features(input.data, 2, "the packed data")
            sizes = tuple(int(size) for size in input.batch_sizes)
            initial = self._initial(input.data, hx, sizes[0], input.sorted_indices)
            rows, last = run_layers(self.mode, input.data, initial, weights, sizes, self.bidirectional, dropout)
            if input.unsorted_indices is not None:
                last = [state[:, input.unsorted_indices] for state in last]
            return PackedSequence(rows, *input[1:]), self._result(last)
        name = type(self).__name__
        if not hasattr(input, "ndim"):
            raise TypeError(f"{name}: input must be a tensor, an array or a PackedSequence, not {type(input).__name__}")
        if input.ndim not in (2, 3):
            layout = "(batch, length, features)" if self.batch_first else "(length, batch, features)"
            raise ValueError(f"{name}: input must be {layout} or (length, features), but has shape {input.shape}")
        self._check_features(input, input.ndim, "input")
        batched = input.ndim == 3
        steps_first = input.swapaxes(0, 1) if batched and self.batch_first else input
        length, batch = steps_first.shape[:2] if batched else (steps_first.shape[0], 1)
        if length == 0:
            raise ValueError(f"{name}: input of shape {input.shape} has no steps; a sequence needs one at least")
        initial = self._initial(input, hx, batch if batched else None)
        rows = steps_first.reshape((length * batch, self.input_size)) if batched else steps_first
        rows, last = run_layers(self.mode, rows, initial, weights, (batch,) * length, self.bidirectional, dropout)
        if not batched:
            return rows, self._result([state[:, 0] for state in last])
        output = rows.reshape((length, batch, rows.shape[1]))
        return output.swapaxes(0, 1) if self.batch_first else output, self._result(last)

    def _check_features(self, input: Any, axes: int, what: str) -> None:
        _check_floating(type(self).__name__, what, input)
        if input.ndim != axes or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: {what} has shape {input.shape}, expected input_size={self.input_size} features in the last of {axes} axes"
            )

    def _initial(self, input: Any, hx: Any, batch: int | None, order: Any = None) -> list[Any]:
        """The initial states, (layers * directions, batch, ...) each: zeros, or those given, checked. No batch means one without axis."""
        name = type(self).__name__
        runs = len(self._weight_names)
        widths = {"h_0": self.proj_size or self.hidden_size} | ({"c_0": self.hidden_size} if self.mode == "LSTM" else {})
        if hx is None:
            return [np.zeros((runs, 1 if batch is None else batch, width), input.dtype) for width in widths.values()]
        if self.mode == "LSTM" and (not isinstance(hx, tuple | list) or len(hx) != 2):
            raise TypeError(f"{name}: hx must be a pair (h_0, c_0), not {type(hx).__name__}")
        states = list(hx) if self.mode == "LSTM" else [hx]
        for (state_name, width), state in zip(widths.items(), states, strict=True):
            expected = (runs, width) if batch is None else (runs, batch, width)
            if not hasattr(state, "shape") or state.shape != expected:
                found = f"shape {state.shape}" if hasattr(state, "shape") else f"type {type(state).__name__}"
                raise ValueError(f"{name}: {state_name} has {found}, expected (layers * directions, batch, size) = {expected}")
        if batch is None:
            return [state.reshape((runs, 1, -1)) for state in states]
        return states if order is None else [state[:, order] for state in states]

    def _result(self, last: list[Any]) -> Any:
        return tuple(last) if self.mode == "LSTM" else last[0]

    def extra_repr(self) -> str:
        others = {
            "proj_size": (self.proj_size, 0),
            "num_layers": (self.num_layers, 1),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0),
            "bidirectional": (self.bidirectional, False),
        }
        changed = [f"{name}={value}" for name, (value, default) in others.items() if value != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])


class RNN(RNNBase):
    """h_t = tanh(x_t weight_ih.T + bias_ih + h_(t-1) weight_hh.T + bias_hh), over sequences and layers (Elman 1990).

    input_size, hidden_size  sizes of x_t and of h_t
    num_layers     each layer's h_t is the next one's x_t
    nonlinearity   "tanh" or "relu"
    bias           whether there are biases
    batch_first    inputs and outputs are (batch, length, features) instead of (length, batch, features)
    dropout        probability with which outputs between layers are zeroed in training
    bidirectional  a second network reads each sequence backwards; its outputs are appended to the first one's
    device, dtype, generator  of the parameters; where their values come from
    input          as said, or (length, input_size) without a batch, or a `nn.utils.rnn.PackedSequence`
    hx             initial state, (num_layers * directions, batch, hidden_size), zeros by default
    returns        outputs (length, batch, directions * hidden_size), and the last state of all layers, shaped like hx
    raises         ValueError or TypeError naming the argument and the shapes

    >>> import numpy as np, nn
    >>> output, h = nn.RNN(3, 5, bidirectional=True)(np.zeros((7, 2, 3), dtype=np.float32))
    >>> output.shape, h.shape
    ((7, 2, 10), (2, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        self.nonlinearity = _nonlinearity("RNN", nonlinearity)
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype, generator=generator
        )


class LSTM(RNNBase):
    """c_t = f c_(t-1) + i g, h_t = o tanh(c_t), with gates i, f, o = sigmoid and g = tanh of sums like the RNN's
    (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    input_size, hidden_size  sizes of x_t and of c_t
    num_layers     each layer's h_t is the next one's x_t
    bias           whether there are biases
    batch_first    inputs and outputs are (batch, length, features) instead of (length, batch, features)
    dropout        probability with which outputs between layers are zeroed in training
    bidirectional  a second network reads each sequence backwards; its outputs are appended to the first one's
    proj_size      if not 0, h_t is multiplied by weight_hr, and has this size (Sak et al. 2014)
    device, dtype, generator  of the parameters; where their values come from
    input          as said, or (length, input_size) without a batch, or a `nn.utils.rnn.PackedSequence`
    hx             (h_0, c_0), (num_layers * directions, batch, size) each, zeros by default
    returns        outputs (length, batch, directions * size), and (h_n, c_n), shaped like hx
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0  of the first layer, rows for i, f, g, o; "..._reverse" of the second direction
    raises         ValueError or TypeError naming the argument and the shapes

    >>> import numpy as np, nn
    >>> output, (h, c) = nn.LSTM(3, 5, num_layers=2)(np.zeros((7, 2, 3), dtype=np.float32))
    >>> output.shape, h.shape, c.shape
    ((7, 2, 5), (2, 2, 5), (2, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
            generator=generator,
        )


class GRU(RNNBase):
    """h_t = (1 - z) n + z h_(t-1), with gates r, z = sigmoid of sums like the RNN's, and n = tanh of the input's and r times
    the hidden state's share (Cho et al. 2014; where r is multiplied is torch's variant).

    Arguments, input and results are `RNN`'s (without nonlinearity); the weights have rows for r, z, n.

    >>> import numpy as np, nn
    >>> output, h = nn.GRU(3, 5, batch_first=True)(np.zeros((2, 7, 3), dtype=np.float32))
    >>> output.shape, h.shape
    ((2, 7, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype, generator=generator
        )


# --- cells -------------------------------------------------------------------------------------------------------------------------


class _Cell(Module):
    gates: int

    def __init__(self, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any, generator: init.Seed) -> None:
        name = type(self).__name__
        self.input_size = _count(name, "input_size", input_size)
        self.hidden_size = _count(name, "hidden_size", hidden_size)
        self.bias = _flag(name, "bias", bias)
        rows, dtype = self.gates * hidden_size, dtype_of_new(name, device, dtype)
        self.weight_ih = Parameter(np.empty((rows, input_size), dtype))
        self.weight_hh = Parameter(np.empty((rows, hidden_size), dtype))
        self.bias_ih = Parameter(np.empty(rows, dtype)) if bias else None
        self.bias_hh = Parameter(np.empty(rows, dtype)) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw all parameters anew, uniformly in +-1/sqrt(hidden_size)."""
        _draw(self, self.hidden_size, generator)

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _state(self, input: Any, state: Any, name: str = "hx") -> Any:
        """The state given, checked, or zeros."""
        cell = type(self).__name__
        if not hasattr(input, "ndim"):
            raise TypeError(f"{cell}: input must be a tensor or an array, not {type(input).__name__}")
        _check_floating(cell, "input", input)
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(f"{cell}: input has shape {input.shape}, expected (batch, input_size={self.input_size}), or no batch axis")
        expected = (*input.shape[:-1], self.hidden_size)
        if state is None:
            return np.zeros(expected, input.dtype)
        if not hasattr(state, "shape") or state.shape != expected:
            found = f"shape {state.shape}" if hasattr(state, "shape") else f"type {type(state).__name__}"
            raise ValueError(f"{cell}: {name} has {found}, expected (batch, hidden_size) = {expected} for an input of shape {input.shape}")
        return state

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """h' = tanh(x weight_ih.T + bias_ih + h weight_hh.T + bias_hh): one step of an `RNN`.

    input_size, hidden_size  sizes of x and of h
    bias          whether there are biases
    nonlinearity  "tanh" or "relu"
    device, dtype, generator  of the parameters; where their values come from
    input         (batch, input_size) or (input_size,);  hx  h likewise, zeros by default
    raises        ValueError or TypeError naming the argument and the shapes

    >>> import numpy as np, nn
    >>> nn.RNNCell(3, 5)(np.zeros((2, 3), dtype=np.float32)).shape
    (2, 5)
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        self.nonlinearity = _nonlinearity("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype, generator)

    def forward(self, input: Any, hx: Any = None) -> Any:
        h = self._state(input, hx)
        return (rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell)(input, h, *self._weights())

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """(h', c') from x and (h, c): one step of an `LSTM`.

    input_size, hidden_size  sizes of x and of h and c
    bias          whether there are biases
    device, dtype, generator  of the parameters; where their values come from
    input         (batch, input_size) or (input_size,);  hx  (h, c) likewise, zeros by default
    raises        ValueError or TypeError naming the argument and the shapes

    >>> import numpy as np, nn
    >>> h, c = nn.LSTMCell(3, 5)(np.zeros((2, 3), dtype=np.float32))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    gates = 4

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None, *, generator: init.Seed = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype, generator)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        if hx is not None and (not isinstance(hx, tuple | list) or len(hx) != 2):
            raise TypeError(f"LSTMCell: hx must be a pair (h, c), not {type(hx).__name__}")
        h, c = (None, None) if hx is None else hx
        return lstm_cell(input, (self._state(input, h, "h"), self._state(input, c, "c")), *self._weights())


class GRUCell(_Cell):
    """h' from x and h: one step of a `GRU`.

    input_size, hidden_size  sizes of x and of h
    bias          whether there are biases
    device, dtype, generator  of the parameters; where their values come from
    input         (batch, input_size) or (input_size,);  hx  h likewise, zeros by default
    raises        ValueError or TypeError naming the argument and the shapes

    >>> import numpy as np, nn
    >>> nn.GRUCell(3, 5)(np.zeros((2, 3), dtype=np.float32)).shape
    (2, 5)
    """

    gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None, *, generator: init.Seed = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype, generator)

    def forward(self, input: Any, hx: Any = None) -> Any:
        return gru_cell(input, self._state(input, hx), *self._weights())


def _draw(module: Module, hidden_size: int, generator: init.Seed) -> None:
    bound = 1 / math.sqrt(hidden_size)
    random = init.as_generator(generator)
    for parameter in module.parameters():
        init.uniform_(parameter, -bound, bound, random)


def _check_floating(name: str, what: str, input: Any) -> None:
    if np.dtype(input.dtype).kind != "f":
        raise TypeError(f"{name}: {what} has dtype {input.dtype}; give floating-point numbers, x.astype(np.float32), or embed labels first")


def _count(name: str, argument: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: {argument} must be an integer >= 1, not {value!r}")
    return int(value)


def _flag(name: str, argument: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name}: {argument} must be True or False, not {value!r}")
    return value


def _nonlinearity(name: str, value: str) -> str:
    if value not in ("tanh", "relu"):
        raise ValueError(f'{name}: nonlinearity must be "tanh" or "relu", not {value!r}')
    return value
