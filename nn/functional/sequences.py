"""Recurrent networks on whole sequences, one operation for each kind: LSTM, GRU, and the plain RNN.

The examples of a step lie in consecutive rows, step after step, in torch's packed layout; where all sequences are equally long
this is (steps * batch, features). `Steps` knows which rows belong together, for either direction. Each gate has a plane of its
own, (gates, rows, hidden), so that a step's part of it is contiguous. The input's share of the gates and the gradients of the
weights are products over all steps at once; in the loop there is one product with the hidden state alone.

Each gradient is written twice: in place for arrays, and in NumPy's functions, which can be differentiated again.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["Steps", "gru_sequence", "lstm_sequence", "rnn_sequence", "steps_of"]


class Steps:
    """The rows of each step of a batch of sequences.

    sizes    how many sequences go on at each step; never increasing
    reverse  the last step comes first
    """

    def __init__(self, sizes: Sequence[int], reverse: bool = False) -> None:
        self.sizes = tuple(sizes)
        self.reverse = reverse
        self.batch = self.sizes[0]
        self.total = sum(self.sizes)
        self.uniform = self.sizes[-1] == self.batch

    @functools.cached_property
    def rows(self) -> list[slice]:
        """The rows of the steps, in the order of time."""
        rows, start = [], 0
        for size in self.sizes:
            rows.append(slice(start, start + size))
            start += size
        return rows

    @property
    def order(self) -> list[slice]:
        """The rows of the steps, in the order in which they are computed."""
        return self.rows[::-1] if self.reverse else self.rows

    def check(self, x: Any, *initial: Any) -> None:
        """Raise ValueError unless x has a row for each step of each sequence, and each initial state one for each sequence."""
        if x.shape[0] != self.total or any(state.shape[0] != self.batch for state in initial):
            rows = [a.shape[0] for a in (x, *initial)]
            raise ValueError(f"{self.batch} sequences of {self.total} steps in all, but the inputs have {rows} rows")

    def before(self, states: Any, initial: Any) -> Any:
        """For each row the state that it started from: the one of the step before, or the initial one."""
        if len(self.sizes) == 1:
            return initial
        if self.uniform:
            return np.concatenate([states[self.batch :], initial] if self.reverse else [initial, states[: -self.batch]])
        if not self.reverse:
            earlier = [states[rows.start : rows.start + size] for rows, size in zip(self.rows, self.sizes[1:], strict=False)]
            return np.concatenate([initial, *earlier])
        pieces = []
        for rows, size, own in zip(self.rows[1:], self.sizes[1:], self.sizes, strict=False):
            pieces += [states[rows], initial[size:own]]
        return np.concatenate([*pieces, initial[: self.sizes[-1]]])

    def last(self, states: Any) -> Any:
        """The state of each sequence after its last step."""
        if self.reverse or len(self.sizes) == 1:
            return states[: self.batch]
        if self.uniform:
            return states[-self.batch :]
        ends = [rows.start + size for rows, size in zip(self.rows, self.sizes[1:], strict=False)]
        pieces = [states[end : rows.stop] for rows, end in zip(self.rows, ends, strict=False) if end < rows.stop]
        return np.concatenate([states[self.rows[-1]], *pieces[::-1]])


# Made once for each size: a training loop has few, and a cell in a loop one.
steps_of = functools.lru_cache(maxsize=256)(Steps)


def _resized(state: Any, initial: Any, size: int) -> Any:
    """The state that `size` sequences go on from: fewer than before, or joined by some that begin."""
    if size <= len(state):
        return state if size == len(state) else state[:size]
    return np.concatenate([state, initial[len(state) : size]])


def _dtype_of(operands: Sequence[Any]) -> Any:
    return np.result_type(*(operand for operand in operands if operand is not None))


def _planes(weight: Any, gates: int) -> Any:
    """(gates * hidden, features) as (gates, features, hidden), which rows are multiplied by."""
    return weight.reshape((gates, weight.shape[0] // gates, weight.shape[1])).swapaxes(1, 2)


def _bias_planes(bias: Any, gates: int) -> Any:
    return bias.reshape((gates, 1, bias.shape[0] // gates))


def _sigmoid_of_negative(z: Any) -> None:
    """1 / (1 + exp(z)), in place. The infinity that exp may give has the right reciprocal."""
    np.exp(z, out=z)
    z += 1
    np.reciprocal(z, out=z)


def _times_slope(d: Any, gate: Any) -> None:
    """D *= gate (1 - gate), in place: the slope of a sigmoid."""
    d *= gate
    d -= d * gate


def _is_plain(values: Sequence[Any]) -> bool:
    return all(value is None or type(value) is np.ndarray for value in values)


def _plus(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _part(a: Any, *index: Any) -> Any:
    return None if a is None else a[index]


def _joined(parts: Sequence[Any], steps: Steps, axis: int) -> Any:
    """What was computed step after step, backwards, in the order of time."""
    parts = parts if steps.reverse else parts[::-1]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)


class _Carried:
    """A gradient that goes from step to step, in NumPy's functions; sequences that a step has no part in keep theirs."""

    def __init__(self, like: Any) -> None:
        self.rows = like * 0.0

    def take(self, size: int) -> Any:
        return self.rows[:size]

    def put(self, part: Any) -> None:
        size = part.shape[0]
        self.rows = part if size == self.rows.shape[0] else np.concatenate([part, self.rows[size:]])


def _of_weights(d: Any, x: Any, weight: Any) -> Any:
    """The gradient of a weight, from that of its planes of products with the rows of x."""
    return None if weight is None else np.matmul(d.swapaxes(1, 2), x).reshape(weight.shape)


def _of_bias(d: Any, bias: Any) -> Any:
    if bias is None:
        return None
    total = np.ones(d.shape[1], d.dtype) @ d if type(d) is np.ndarray else d.sum(axis=1)
    return total.reshape(bias.shape)


def _of_rows(d: Any, weight: Any, gates: int) -> Any:
    """The gradient of rows that were multiplied by a weight's planes."""
    planes = weight.reshape((gates, weight.shape[0] // gates, weight.shape[1]))
    total = d[0] @ planes[0]
    for gate in range(1, gates):
        if type(total) is np.ndarray:
            total += d[gate] @ planes[gate]
        else:
            total = total + d[gate] @ planes[gate]
    return total


# --- LSTM --------------------------------------------------------------------------------------------------------------------------


def _lstm_gradients(g: Any, out: Any, operands: Any, steps: Steps, of_input: bool) -> list[Any]:
    """The gradients of (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)."""
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr = operands
    hs, cs, gates = out
    h_before, c_before = steps.before(hs, h0), steps.before(cs, c0)
    plain = _is_plain((*g, *operands)) and g[2] is None
    backwards = _lstm_backwards_in_place if plain else _lstm_backwards
    d, dhs, dh0, dc0 = backwards(g, gates, c_before, h0, c0, w_hh, w_hr, steps)
    return [
        _of_rows(d, w_ih, 4) if of_input else None,
        dh0,
        dc0,
        _of_weights(d, x, w_ih),
        _of_weights(d, h_before, w_hh),
        _of_bias(d, b_ih),
        _of_bias(d, b_hh),
        None if w_hr is None else dhs.T @ (gates[3] * gates[4]),
    ]


def _lstm_backwards(g: Any, gates: Any, c_before: Any, h0: Any, c0: Any, w_hh: Any, w_hr: Any, steps: Steps) -> Any:
    """The gradients of the gates before their activation, of the hidden states (for w_hr), and of the initial states."""
    dh_carried, dc_carried = _Carried(h0), _Carried(c0)
    ds, dhs = [], []
    for rows in reversed(steps.order):
        size = rows.stop - rows.start
        i, f, cell, o, t = (gates[k, rows] for k in range(5))
        dh = _plus(dh_carried.take(size), _part(g[0], rows))
        dhs.append(dh)
        dm = dh if w_hr is None else dh @ w_hr
        di, df, dcell, do, dt = (_part(g[2], k, rows) for k in range(5))  # where the gates themselves are used
        dt = _plus(dm * o, dt)
        dc = _plus(dc_carried.take(size) + dt * (1 - t * t), _part(g[1], rows))
        d = [
            _plus(dc * cell, di) * (i * (1 - i)),
            _plus(dc * c_before[rows], df) * (f * (1 - f)),
            _plus(dc * i, dcell) * (1 - cell * cell),
            _plus(dm * t, do) * (o * (1 - o)),
        ]
        ds.append(np.stack(d))
        dh_carried.put(_of_rows(d, w_hh, 4))
        dc_carried.put(dc * f)
    return _joined(ds, steps, 1), None if w_hr is None else _joined(dhs, steps, 0), dh_carried.rows, dc_carried.rows


def _lstm_backwards_in_place(g: Any, gates: Any, c_before: Any, h0: Any, c0: Any, w_hh: Any, w_hr: Any, steps: Steps) -> Any:
    ds = np.empty((4, *gates.shape[1:]), gates.dtype)
    dhs = None if w_hr is None else np.empty((gates.shape[1], h0.shape[1]), gates.dtype)
    dh_all, dc_all = np.zeros_like(h0, gates.dtype), np.zeros_like(c0, gates.dtype)
    planes = w_hh.reshape((4, c0.shape[1], w_hh.shape[1]))
    products, rest = np.empty((4, *h0.shape), gates.dtype), np.empty_like(dc_all)
    for rows in reversed(steps.order):
        size = rows.stop - rows.start
        i, f, cell, o, t = gates[:, rows]
        d = ds[:, rows]
        di, df, dcell, do = d
        dh, dc, part = dh_all[:size], dc_all[:size], rest[:size]
        if g[0] is not None:
            dh += g[0][rows]
        if g[1] is not None:
            dc += g[1][rows]
        dm = dh
        if w_hr is not None:
            dhs[rows] = dh  # type: ignore[index]
            dm = dh @ w_hr
        # dc += dm o (1 - t^2)
        np.multiply(dm, t, out=do)
        np.multiply(do, t, out=part)
        np.subtract(dm, part, out=part)
        part *= o
        dc += part
        np.multiply(dc, cell, out=di)
        np.multiply(dc, c_before[rows], out=df)
        np.multiply(dc, i, out=dcell)
        _times_slope(d[:2], gates[:2, rows])
        _times_slope(do, o)
        np.multiply(dcell, cell, out=part)
        part *= cell
        dcell -= part
        dc *= f
        np.add.reduce(np.matmul(d, planes, out=products[:, :size]), axis=0, out=dh)
    return ds, dhs, dh_all, dc_all


def _samples_of(gates: int, states: int, *options: Any) -> Any:
    """Sample calls: with biases and without, with sequences of different lengths, backwards."""

    def samples(a: Any) -> list[Any]:
        def operands(rows: int, batch: int, bias: bool, hidden: int = 2, projected: int | None = None) -> list[Any]:
            out = projected or hidden
            biases = [a(gates * hidden), a(gates * hidden)] if bias else [None, None]
            initial = [a(batch, out), a(batch, hidden)][:states]
            projection = [] if states == 1 else [a(out, hidden) if projected else None]
            return [a(rows, 2), *initial, a(gates * hidden, 2), a(gates * hidden, out), *biases, *projection]

        calls = [ag.call(operands(2, 1, True), Steps((1, 1)), True, *options), ag.call(operands(3, 2, False), Steps((2, 1), True), True, *options)]
        return [*calls, ag.call(operands(3, 2, False, 2, 1), Steps((2, 1)), True, *options)] if states == 2 else calls

    return samples


@ag.op(name="lstm", operands=_lstm_gradients, real_only=True, samples=_samples_of(4, 2))
def lstm_sequence(operands: Any, steps: Steps, of_input: bool) -> Any:
    """Hidden and cell states after each step, and the gates (i, f, g, o, and tanh(c)) (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    operands  x (rows, input), h0 (batch, output), c0 (batch, hidden), weight_ih, weight_hh, bias_ih, bias_hh, weight_hr; the
              biases and the projection weight_hr (output, hidden) may be None
    of_input  whether the gradient of x will be asked for
    returns   (rows, output), (rows, hidden), (5, rows, hidden)
    """
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr = operands
    steps.check(x, h0, c0)
    rows_in_all, hidden = x.shape[0], c0.shape[1]
    dtype = _dtype_of(operands)
    gates = np.empty((5, rows_in_all, hidden), dtype)
    hs, cs = np.empty((rows_in_all, h0.shape[1]), dtype), np.empty((rows_in_all, hidden), dtype)
    all_z = gates[:4]
    _negative_share_of_input(x, w_ih, b_ih, b_hh, 4, all_z)
    planes, products = _planes(w_hh, 4), np.empty((4, steps.batch, hidden), dtype)
    h, c, part = h0, c0, np.empty((steps.batch, hidden), dtype)
    with np.errstate(over="ignore"):
        for rows in steps.order:
            size = rows.stop - rows.start
            h, c = _resized(h, h0, size), _resized(c, c0, size)
            z = all_z[:, rows]
            z -= np.matmul(h, planes, out=products[:, :size])
            i, f, cell, o = z
            _sigmoid_of_negative(z[:2])
            _sigmoid_of_negative(o)
            np.tanh(cell, out=cell)
            np.negative(cell, out=cell)
            c = np.multiply(f, c, out=cs[rows])
            c += np.multiply(i, cell, out=part[:size])
            t = np.tanh(c, out=gates[4, rows])
            if w_hr is None:
                h = np.multiply(o, t, out=hs[rows])
            else:
                h = np.matmul(o * t, w_hr.T, out=hs[rows])
    return hs, cs, gates


def _negative_share_of_input(x: Any, w_ih: Any, b_ih: Any, b_hh: Any, gates: int, out: Any) -> None:
    """-(x w_ih.T + biases) in planes: negative, since that is what the exponential in a sigmoid takes."""
    np.matmul(-x, _planes(w_ih, gates), out=out)
    for bias in (b_ih, b_hh):
        if bias is not None:
            out -= _bias_planes(bias, gates)


# --- GRU ---------------------------------------------------------------------------------------------------------------------------


def _gru_gradients(g: Any, out: Any, operands: Any, steps: Steps, of_input: bool) -> list[Any]:
    """The gradients of (x, h0, weight_ih, weight_hh, bias_ih, bias_hh)."""
    x, h0, w_ih, w_hh, b_ih, b_hh = operands
    hs, gates = out
    h_before = steps.before(hs, h0)
    plain = _is_plain((*g, *operands)) and g[1] is None
    backwards = _gru_backwards_in_place if plain else _gru_backwards
    of_x, of_h, dh0 = backwards(g, gates, h_before, h0, w_hh, steps)
    return [
        _of_rows(of_x, w_ih, 3) if of_input else None,
        dh0,
        _of_weights(of_x, x, w_ih),
        _of_weights(of_h, h_before, w_hh),
        _of_bias(of_x, b_ih),
        _of_bias(of_h, b_hh),
    ]


def _gru_backwards(g: Any, gates: Any, h_before: Any, h0: Any, w_hh: Any, steps: Steps) -> Any:
    """The gradients of the input's and of the hidden state's share of the gates before their activation, and of h0."""
    carried = _Carried(h0)
    of_x, of_h = [], []
    for rows in reversed(steps.order):
        r, z, n, m = (gates[k, rows] for k in range(4))
        before = h_before[rows]
        dh = _plus(carried.take(rows.stop - rows.start), _part(g[0], rows))
        dr, dz, dn, dm = (_part(g[1], k, rows) for k in range(4))  # where the gates themselves are used
        dn = _plus(dh * (1 - z), dn) * (1 - n * n)
        dz = _plus(dh * (before - n), dz) * (z * (1 - z))
        dr = _plus(dn * m, dr) * (r * (1 - r))
        dm = _plus(dn * r, dm)
        of_x.append(np.stack([dr, dz, dn]))
        of_h.append(np.stack([dr, dz, dm]))
        carried.put(dh * z + _of_rows([dr, dz, dm], w_hh, 3))
    return _joined(of_x, steps, 1), _joined(of_h, steps, 1), carried.rows


def _gru_backwards_in_place(g: Any, gates: Any, h_before: Any, h0: Any, w_hh: Any, steps: Steps) -> Any:
    ds = np.empty_like(gates)  # of n (input's share), r, z, n (hidden state's share): the first three and the last three planes
    dh_all = np.zeros_like(h0, gates.dtype)
    hidden = h0.shape[1]
    planes = w_hh.reshape((3, hidden, hidden))
    products, rest = np.empty((3, *h0.shape), gates.dtype), np.empty_like(dh_all)
    for rows in reversed(steps.order):
        size = rows.stop - rows.start
        r, z, n, m = gates[:, rows]
        dn, dr, dz, dm = ds[:, rows]
        dh, part = dh_all[:size], rest[:size]
        if g[0] is not None:
            dh += g[0][rows]
        # dz = dh (before - n) z (1 - z);  dn = dh (1 - z) (1 - n^2)
        np.subtract(h_before[rows], n, out=dz)
        dz *= dh
        _times_slope(dz, z)
        np.multiply(dh, z, out=part)
        np.subtract(dh, part, out=dn)
        dh[...] = part
        np.multiply(dn, n, out=part)
        part *= n
        dn -= part
        np.multiply(dn, m, out=dr)
        _times_slope(dr, r)
        np.multiply(dn, r, out=dm)
        dh += np.add.reduce(np.matmul(ds[1:, rows], planes, out=products[:, :size]), axis=0, out=part)
    return ds[[1, 2, 0]], ds[1:], dh_all


@ag.op(name="gru", operands=_gru_gradients, real_only=True, samples=_samples_of(3, 1))
def gru_sequence(operands: Any, steps: Steps, of_input: bool) -> Any:
    """Hidden states after each step, and the gates (r, z, n, and the hidden state's share of n) (Cho et al. 2014; torch's variant).

    operands  x (rows, input), h0 (batch, hidden), weight_ih, weight_hh, bias_ih, bias_hh; the biases may be None
    of_input  whether the gradient of x will be asked for
    returns   (rows, hidden), (4, rows, hidden)
    """
    x, h0, w_ih, w_hh, b_ih, b_hh = operands
    steps.check(x, h0)
    rows_in_all, hidden = x.shape[0], h0.shape[1]
    dtype = _dtype_of(operands)
    gates, hs = np.empty((4, rows_in_all, hidden), dtype), np.empty((rows_in_all, hidden), dtype)
    all_z = gates[:3]
    _negative_share_of_input(x, w_ih, b_ih, None, 3, all_z)
    planes, products = _planes(w_hh, 3), np.empty((3, steps.batch, hidden), dtype)
    bias = None if b_hh is None else _bias_planes(b_hh, 3)
    h, part = h0, np.empty((steps.batch, hidden), dtype)
    with np.errstate(over="ignore"):
        for rows in steps.order:
            size = rows.stop - rows.start
            h = _resized(h, h0, size)
            share = np.matmul(h, planes, out=products[:, :size])
            if bias is not None:
                share += bias
            r, z, n, m = gates[:, rows]
            m[...] = share[2]
            first_two = gates[:2, rows]
            first_two -= share[:2]
            _sigmoid_of_negative(first_two)
            n -= np.multiply(r, m, out=part[:size])
            np.tanh(n, out=n)
            np.negative(n, out=n)
            # h = (1 - z) n + z h = n + z (h - n)
            following = np.subtract(h, n, out=hs[rows])
            following *= z
            following += n
            h = following
    return hs, gates


# --- RNN ---------------------------------------------------------------------------------------------------------------------------


def _slope(hs: Any, nonlinearity: str) -> Any:
    return 1 - hs * hs if nonlinearity == "tanh" else (hs > 0).astype(hs.dtype)


def _rnn_gradients(g: Any, out: Any, operands: Any, steps: Steps, of_input: bool, nonlinearity: str) -> list[Any]:
    """The gradients of (x, h0, weight_ih, weight_hh, bias_ih, bias_hh)."""
    x, h0, w_ih, w_hh, b_ih, b_hh = operands
    plain = _is_plain((g, *operands))
    d, dh0 = (_rnn_backwards_in_place if plain else _rnn_backwards)(g, _slope(out, nonlinearity), h0, w_hh, steps)
    planes = d.reshape((1, *d.shape))
    return [
        d @ w_ih if of_input else None,
        dh0,
        _of_weights(planes, x, w_ih),
        _of_weights(planes, steps.before(out, h0), w_hh),
        _of_bias(planes, b_ih),
        _of_bias(planes, b_hh),
    ]


def _rnn_backwards(g: Any, slope: Any, h0: Any, w_hh: Any, steps: Steps) -> Any:
    """The gradients of the sums before their activation, and of h0."""
    carried = _Carried(h0)
    ds = []
    for rows in reversed(steps.order):
        d = (carried.take(rows.stop - rows.start) + g[rows]) * slope[rows]
        ds.append(d)
        carried.put(d @ w_hh)
    return _joined(ds, steps, 0), carried.rows


def _rnn_backwards_in_place(g: Any, slope: Any, h0: Any, w_hh: Any, steps: Steps) -> Any:
    dh_all = np.zeros_like(h0, slope.dtype)
    for rows in reversed(steps.order):
        dh, d = dh_all[: rows.stop - rows.start], slope[rows]
        dh += g[rows]
        d *= dh  # the slope is not needed again
        np.matmul(d, w_hh, out=dh)
    return slope, dh_all


@ag.op(
    name="rnn",
    operands=_rnn_gradients,
    real_only=True,
    samples=lambda a: [*_samples_of(1, 1, "tanh")(a), *_samples_of(1, 1, "relu")(a)],
)
def rnn_sequence(operands: Any, steps: Steps, of_input: bool, nonlinearity: str) -> Any:
    """Hidden states after each step: tanh or relu of x weight_ih.T + bias_ih + h weight_hh.T + bias_hh (Elman 1990).

    operands  x (rows, input), h0 (batch, hidden), weight_ih, weight_hh, bias_ih, bias_hh; the biases may be None
    of_input  whether the gradient of x will be asked for
    returns   (rows, hidden)
    """
    x, h0, w_ih, w_hh, b_ih, b_hh = operands
    steps.check(x, h0)
    hs = (x @ w_ih.T).astype(_dtype_of(operands), copy=False)
    for bias in (b_ih, b_hh):
        if bias is not None:
            hs += bias
    h, products = h0, np.empty((steps.batch, hs.shape[1]), hs.dtype)
    for rows in steps.order:
        size = rows.stop - rows.start
        h = _resized(h, h0, size)
        following = hs[rows]
        following += np.matmul(h, w_hh.T, out=products[:size])
        h = np.tanh(following, out=following) if nonlinearity == "tanh" else np.maximum(following, 0, out=following)
    return hs
