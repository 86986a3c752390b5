"""Recurrent networks on whole sequences, one operation for each kind: LSTM, GRU, and the plain RNN.

The examples of a step lie in consecutive rows, step after step, in torch's packed layout; where all sequences are equally long
this is (steps * batch, features). `Steps` knows which rows belong together, for either direction. Each gate has a plane of its
own, (gates, rows, hidden), so that a step's part of it is contiguous, and a step is one product of [x, h, 1] with all weights.
Backwards, only the hidden state's gradient goes from step to step; those of the weights are products over all steps at once.

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

    def __repr__(self) -> str:
        lengths = f"{len(self.sizes)} steps of {self.batch}" if self.uniform else f"{len(self.sizes)} steps of {self.batch} to {self.sizes[-1]}"
        return f"<{lengths}{', reversed' if self.reverse else ''}>"

    def check(self, gates: int, x: Any, initial: Sequence[Any], w_ih: Any, w_hh: Any) -> None:
        """Raise ValueError unless there are rows for all steps and states for all sequences, and the weights have the gates' rows."""
        if x.shape[0] != self.total or any(state.shape[0] != self.batch for state in initial):
            rows = [a.shape[0] for a in (x, *initial)]
            raise ValueError(f"{self.batch} sequences of {self.total} steps in all, but the inputs have {rows} rows")
        hidden = initial[-1].shape[1]
        expected = (gates * hidden, x.shape[1]), (gates * hidden, initial[0].shape[1])
        if (w_ih.shape, w_hh.shape) != expected:
            raise ValueError(f"weights of shapes {w_ih.shape} and {w_hh.shape} for {gates} gates and a state of {hidden}, expected {expected}")

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


_WORTH_A_COPY = 8  # steps: from then on the weights are copied once to be multiplied faster


class _Sums:
    """What gates are before their activation, at each step: [x, h, 1] times the weights, one plane for each gate.

    order     which gate of the weights each plane is for
    negative  how many planes, the first ones, are negated: what the exponential in a sigmoid takes
    """

    def __init__(self, operands: Sequence[Any], order: Sequence[int], negative: int, steps: Steps, dtype: Any) -> None:
        x, w_ih, w_hh, *biases = operands
        given = [bias for bias in biases if bias is not None]
        bias = sum(given[1:], given[0]) if given else None
        hidden, self.features, self.negative, self.order = w_hh.shape[0] // len(order), x.shape[1], negative, order
        self.planes: Any = None
        if len(steps.sizes) >= _WORTH_A_COPY:
            whole = np.concatenate([w_ih, w_hh, *([] if bias is None else [bias[:, None]])], axis=1, dtype=dtype)
            planes = whole.reshape((len(order), hidden, whole.shape[1]))[list(order)]
            np.negative(planes[:negative], out=planes[:negative])
            self.planes = np.ascontiguousarray(planes.swapaxes(1, 2))
            self.inputs = np.empty((x.shape[0], whole.shape[1]), dtype)
            self.inputs[:, : self.features] = x
            self.inputs[:, self.features + w_hh.shape[1] :] = 1
            self.states = self.inputs[:, self.features : self.features + w_hh.shape[1]]
        else:
            self.x, self.w_ih, self.w_hh, self.bias = x, w_ih.T, w_hh.T, bias

    def into(self, out: Any, rows: slice, h: Any) -> None:
        """Write the planes of one step."""
        if self.planes is not None:
            self.states[rows] = h
            np.matmul(self.inputs[rows], self.planes, out=out)
            return
        z = np.asarray(self.x[rows] @ self.w_ih, out.dtype)
        z += h @ self.w_hh
        if self.bias is not None:
            z += self.bias
        gates = z.reshape((z.shape[0], len(out), out.shape[2]))
        for place, (plane, gate) in enumerate(zip(out, self.order, strict=True)):
            np.copyto(plane, gates[:, gate]) if place >= self.negative else np.negative(gates[:, gate], out=plane)


def _sigmoid_of_negative(z: Any) -> None:
    """1 / (1 + exp(z)), in place. The infinity that exp may give has the right reciprocal."""
    np.exp(z, out=z)
    z += 1
    np.reciprocal(z, out=z)


def _times_slope(d: Any, gate: Any, room: Any) -> None:
    """Multiply by gate (1 - gate), the slope of a sigmoid, in place."""
    d *= gate
    d -= np.multiply(d, gate, out=room)


def _is_plain(values: Sequence[Any]) -> bool:
    return all(value is None or type(value) is np.ndarray for value in values)


def _plus(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _part(a: Any, *index: Any) -> Any:
    return None if a is None else a[index]


def _joined(parts: Sequence[Any], steps: Steps) -> Any:
    """What was computed step after step, backwards, in the order of time."""
    parts = parts if steps.reverse else parts[::-1]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _Carried:
    """A gradient that goes from step to step, in NumPy's functions; sequences that a step has no part in keep theirs."""

    def __init__(self, like: Any) -> None:
        self.rows = np.zeros_like(like)

    def take(self, size: int) -> Any:
        return self.rows[:size]

    def put(self, part: Any) -> None:
        size = part.shape[0]
        self.rows = part if size == self.rows.shape[0] else np.concatenate([part, self.rows[size:]])


def _of_biases(d: Any, *biases: Any) -> list[Any]:
    """The gradients of biases that were added to the same sums."""
    if all(bias is None for bias in biases):
        return [None] * len(biases)
    total = np.ones(d.shape[0], d.dtype) @ d if type(d) is np.ndarray else d.sum(axis=0)
    return [None if bias is None else total for bias in biases]


# --- LSTM --------------------------------------------------------------------------------------------------------------------------


def _lstm_gradients(g: Any, out: Any, operands: Any, steps: Steps, of_input: bool) -> list[Any]:
    """The gradients of (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)."""
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr = operands
    hs, cs, gates = out
    plain = _is_plain((*g, *operands)) and g[2] is None
    backwards = _lstm_backwards_in_place if plain else _lstm_backwards
    d, dhs, dh0, dc0 = backwards(g, gates, steps.before(cs, c0), h0, c0, w_hh, w_hr, steps)
    return [
        d @ w_ih if of_input else None,
        dh0,
        dc0,
        d.T @ x,
        d.T @ steps.before(hs, h0),
        *_of_biases(d, b_ih, b_hh),
        None if w_hr is None else dhs.T @ (gates[2] * gates[4]),
    ]


def _lstm_backwards(g: Any, gates: Any, c_before: Any, h0: Any, c0: Any, w_hh: Any, w_hr: Any, steps: Steps) -> Any:
    """The gradients of the gates before their activation (rows, 4 hidden), of the hidden states, and of the initial states."""
    dh_carried, dc_carried = _Carried(h0), _Carried(c0)
    ds, dhs = [], []
    for rows in reversed(steps.order):
        size = rows.stop - rows.start
        i, f, o, cell, t = (gates[k, rows] for k in range(5))
        dh = _plus(dh_carried.take(size), _part(g[0], rows))
        dhs.append(dh)
        dm = dh if w_hr is None else dh @ w_hr
        di, df, do, dcell, dt = (_part(g[2], k, rows) for k in range(5))  # where the gates themselves are used
        dt = _plus(dm * o, dt)
        dc = _plus(dc_carried.take(size) + dt * (1 - t * t), _part(g[1], rows))
        d = [
            _plus(dc * cell, di) * (i * (1 - i)),
            _plus(dc * c_before[rows], df) * (f * (1 - f)),
            _plus(dc * i, dcell) * (1 - cell * cell),
            _plus(dm * t, do) * (o * (1 - o)),
        ]
        ds.append(np.concatenate(d, axis=1))
        dh_carried.put(ds[-1] @ w_hh)
        dc_carried.put(dc * f)
    return _joined(ds, steps), None if w_hr is None else _joined(dhs, steps), dh_carried.rows, dc_carried.rows


def _lstm_backwards_in_place(g: Any, gates: Any, c_before: Any, h0: Any, c0: Any, w_hh: Any, w_hr: Any, steps: Steps) -> Any:
    rows_in_all, hidden = gates.shape[1:]
    ds = np.empty((rows_in_all, 4, hidden), gates.dtype)
    flat = ds.reshape((rows_in_all, 4 * hidden))
    dhs = None if w_hr is None else np.empty((rows_in_all, h0.shape[1]), gates.dtype)
    dh_all, dc_all = np.zeros_like(h0, gates.dtype), np.zeros_like(c0, gates.dtype)
    # Of one step: planes, which are contiguous and stay in the cache.
    planes, rest = np.empty((4, *c0.shape), gates.dtype), np.empty((2, *c0.shape), gates.dtype)
    for rows in reversed(steps.order):
        size = rows.stop - rows.start
        own, d, both = gates[:, rows], planes[:, :size], rest[:, :size]
        i, f, o, cell, t = own
        di, df, dcell, do = d
        dh, dc, part = dh_all[:size], dc_all[:size], both[0]
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
        _times_slope(d[:2], own[:2], both)
        _times_slope(do, o, part)
        np.multiply(dcell, cell, out=part)
        part *= cell
        dcell -= part
        dc *= f
        ds[rows] = d.swapaxes(0, 1)
        np.matmul(flat[rows], w_hh, out=dh)
    return flat, dhs, dh_all, dc_all


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
    """Hidden and cell states after each step, and the gates (i, f, o, g, and tanh(c)) (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    operands  x (rows, input), h0 (batch, output), c0 (batch, hidden), weight_ih, weight_hh, bias_ih, bias_hh, weight_hr; the
              biases and the projection weight_hr (output, hidden) may be None
    of_input  whether the gradient of x will be asked for
    returns   (rows, output), (rows, hidden), (5, rows, hidden)
    """
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr = operands
    steps.check(4, x, (h0, c0), w_ih, w_hh)
    rows_in_all, hidden = x.shape[0], c0.shape[1]
    dtype = _dtype_of(operands)
    gates = np.empty((5, rows_in_all, hidden), dtype)
    hs, cs = np.empty((rows_in_all, h0.shape[1]), dtype), np.empty((rows_in_all, hidden), dtype)
    sums = _Sums((x, w_ih, w_hh, b_ih, b_hh), (0, 1, 3, 2), 3, steps, dtype)
    h, c, part = h0, c0, np.empty((steps.batch, hidden), dtype)
    with np.errstate(over="ignore"):
        for rows in steps.order:
            size = rows.stop - rows.start
            h, c = _resized(h, h0, size), _resized(c, c0, size)
            own = gates[:, rows]
            sums.into(own[:4], rows, h)
            i, f, o, cell, t = own
            _sigmoid_of_negative(own[:3])
            np.tanh(cell, out=cell)
            c = np.multiply(f, c, out=cs[rows])
            c += np.multiply(i, cell, out=part[:size])
            np.tanh(c, out=t)
            if w_hr is None:
                h = np.multiply(o, t, out=hs[rows])
            else:
                h = np.matmul(o * t, w_hr.T, out=hs[rows])
    return hs, cs, gates


# --- GRU ---------------------------------------------------------------------------------------------------------------------------


def _gru_gradients(g: Any, out: Any, operands: Any, steps: Steps, of_input: bool) -> list[Any]:
    """The gradients of (x, h0, weight_ih, weight_hh, bias_ih, bias_hh)."""
    x, h0, w_ih, w_hh, b_ih, b_hh = operands
    hs, gates = out
    h_before = steps.before(hs, h0)
    plain = _is_plain((*g, *operands)) and g[1] is None
    of_x, of_h, dh0 = (_gru_backwards_in_place if plain else _gru_backwards)(g, gates, h_before, h0, w_hh, steps)
    return [of_x @ w_ih if of_input else None, dh0, of_x.T @ x, of_h.T @ h_before, *_of_biases(of_x, b_ih), *_of_biases(of_h, b_hh)]


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
        of_x.append(np.concatenate([dr, dz, dn], axis=1))
        of_h.append(np.concatenate([dr, dz, dm], axis=1))
        carried.put(dh * z + of_h[-1] @ w_hh)
    return _joined(of_x, steps), _joined(of_h, steps), carried.rows


def _gru_backwards_in_place(g: Any, gates: Any, h_before: Any, h0: Any, w_hh: Any, steps: Steps) -> Any:
    rows_in_all, hidden = gates.shape[1:]
    ds = np.empty((rows_in_all, 4, hidden), gates.dtype)  # of r, z, n's share of the hidden state, n
    flat = ds.reshape((rows_in_all, 4 * hidden))
    of_h = flat[:, : 3 * hidden]
    dh_all = np.zeros_like(h0, gates.dtype)
    planes, rest = np.empty((4, *h0.shape), gates.dtype), np.empty((2, *h0.shape), gates.dtype)
    for rows in reversed(steps.order):
        size = rows.stop - rows.start
        own, d, both = gates[:, rows], planes[:, :size], rest[:, :size]
        r, z, n, m = own
        dr, dz, dm, dn = d
        dh, part = dh_all[:size], both[0]
        if g[0] is not None:
            dh += g[0][rows]
        # dn = dh (1 - z) (1 - n^2);  dz = dh (before - n) z (1 - z);  dr = dn m r (1 - r);  dm = dn r
        np.subtract(h_before[rows], n, out=dz)
        dz *= dh
        np.multiply(dh, z, out=part)
        np.subtract(dh, part, out=dn)
        dh[...] = part
        np.multiply(dn, n, out=part)
        part *= n
        dn -= part
        np.multiply(dn, m, out=dr)
        np.multiply(dn, r, out=dm)
        _times_slope(d[:2], own[:2], both)
        ds[rows] = d.swapaxes(0, 1)
        dh += np.matmul(of_h[rows], w_hh, out=part)
    return np.concatenate([flat[:, : 2 * hidden], flat[:, 3 * hidden :]], axis=1), of_h, dh_all


@ag.op(name="gru", operands=_gru_gradients, real_only=True, samples=_samples_of(3, 1))
def gru_sequence(operands: Any, steps: Steps, of_input: bool) -> Any:
    """Hidden states after each step, and the gates (r, z, n, and the hidden state's share of n) (Cho et al. 2014; torch's variant).

    operands  x (rows, input), h0 (batch, hidden), weight_ih, weight_hh, bias_ih, bias_hh; the biases may be None
    of_input  whether the gradient of x will be asked for
    returns   (rows, hidden), (4, rows, hidden)
    """
    x, h0, w_ih, w_hh, b_ih, b_hh = operands
    steps.check(3, x, (h0,), w_ih, w_hh)
    rows_in_all, hidden = x.shape[0], h0.shape[1]
    dtype = _dtype_of(operands)
    gates, hs = np.empty((4, rows_in_all, hidden), dtype), np.empty((rows_in_all, hidden), dtype)
    first_two, third = slice(0, 2 * hidden), slice(2 * hidden, 3 * hidden)
    sums = _Sums([x, *(_part(a, first_two) for a in (w_ih, w_hh, b_ih, b_hh))], (0, 1), 2, steps, dtype)
    np.matmul(x, w_ih[third].T, out=gates[2])
    if b_ih is not None:
        gates[2] += b_ih[third]
    of_h = w_hh[third].T if len(steps.sizes) < _WORTH_A_COPY else np.ascontiguousarray(w_hh[third].T)
    h, part = h0, np.empty((steps.batch, hidden), dtype)
    with np.errstate(over="ignore"):
        for rows in steps.order:
            size = rows.stop - rows.start
            h = _resized(h, h0, size)
            own = gates[:, rows]
            r, z, n, m = own
            sums.into(own[:2], rows, h)
            _sigmoid_of_negative(own[:2])
            np.matmul(h, of_h, out=m)
            if b_hh is not None:
                m += b_hh[third]
            n += np.multiply(r, m, out=part[:size])
            np.tanh(n, out=n)
            # h = (1 - z) n + z h = n + z (h - n)
            following = np.subtract(h, n, out=hs[rows])
            following *= z
            following += n
            h = following
    return hs, gates


# --- RNN ---------------------------------------------------------------------------------------------------------------------------


def _rnn_gradients(g: Any, out: Any, operands: Any, steps: Steps, of_input: bool, nonlinearity: str) -> list[Any]:
    """The gradients of (x, h0, weight_ih, weight_hh, bias_ih, bias_hh)."""
    x, h0, w_ih, w_hh, b_ih, b_hh = operands
    slope = 1 - out * out if nonlinearity == "tanh" else (out > 0).astype(out.dtype)
    d, dh0 = (_rnn_backwards_in_place if _is_plain((g, *operands)) else _rnn_backwards)(g, slope, h0, w_hh, steps)
    return [d @ w_ih if of_input else None, dh0, d.T @ x, d.T @ steps.before(out, h0), *_of_biases(d, b_ih, b_hh)]


def _rnn_backwards(g: Any, slope: Any, h0: Any, w_hh: Any, steps: Steps) -> Any:
    """The gradients of the sums before their activation, and of h0."""
    carried = _Carried(h0)
    ds = []
    for rows in reversed(steps.order):
        d = (carried.take(rows.stop - rows.start) + g[rows]) * slope[rows]
        ds.append(d)
        carried.put(d @ w_hh)
    return _joined(ds, steps), carried.rows


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
    steps.check(1, x, (h0,), w_ih, w_hh)
    dtype = _dtype_of(operands)
    hs = np.empty((x.shape[0], w_hh.shape[0]), dtype)
    sums = _Sums((x, w_ih, w_hh, b_ih, b_hh), (0,), 0, steps, dtype)
    h = h0
    for rows in steps.order:
        h = _resized(h, h0, rows.stop - rows.start)
        following = hs[rows]
        sums.into(following[None], rows, h)
        h = np.tanh(following, out=following) if nonlinearity == "tanh" else np.maximum(following, 0, out=following)
    return hs
