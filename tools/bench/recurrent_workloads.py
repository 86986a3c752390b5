"""What recurrent layers are measured on: the gradients of an LSTM over a sequence, by hand, as a layer, and as a cell in a loop."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag
import nn
from nn.functional import sigmoid

__all__ = ["lstm"]

INPUT, HIDDEN, STEPS, BATCH = 64, 128, 50, 32


class LSTMByHand:
    """The limit: forward and backward written out, with kept buffers, the batch innermost so that each gate is contiguous.

    One product of the weights with [x, h, 1] gives all gates, one tanh their values: sigmoid(z) = (1 + tanh(z / 2)) / 2.
    """

    def __init__(self, x: Any, g: Any, weights: list[Any]) -> None:
        w_ih, w_hh, b = weights  # rows for i, f, g, o
        order = np.r_[0 : 2 * HIDDEN, 3 * HIDDEN : 4 * HIDDEN, 2 * HIDDEN : 3 * HIDDEN]  # i, f, o, g
        self.back = np.argsort(order)
        self.weight = np.concatenate([w_ih, w_hh, b[:, None]], axis=1)[order]
        self.half = np.ones((4 * HIDDEN, 1), np.float32)
        self.half[: 3 * HIDDEN] = 0.5
        self.inputs = np.ones((STEPS + 1, INPUT + HIDDEN + 1, BATCH), np.float32)
        self.inputs[:STEPS, :INPUT] = x.swapaxes(1, 2)
        self.g = np.ascontiguousarray(g.swapaxes(1, 2))
        self.h = self.inputs[:, INPUT : INPUT + HIDDEN]
        self.gates = np.empty((STEPS, 4 * HIDDEN, BATCH), np.float32)
        self.c = np.zeros((STEPS + 1, HIDDEN, BATCH), np.float32)
        self.t = np.empty((STEPS, HIDDEN, BATCH), np.float32)
        self.d, self.part = np.empty_like(self.gates[0]), np.empty_like(self.c[0])
        self.dh, self.dc = np.empty_like(self.c[0]), np.empty_like(self.c[0])
        self.scaled, self.product = np.empty_like(self.weight), np.empty_like(self.weight)
        self.d_weight = np.empty_like(self.weight)

    def __call__(self) -> list[Any]:
        np.multiply(self.weight, self.half, out=self.scaled)
        self.h[0] = 0
        n = HIDDEN
        for t in range(STEPS):
            gates = np.matmul(self.scaled, self.inputs[t], out=self.gates[t])
            np.tanh(gates, out=gates)
            sigmoids = gates[: 3 * n]
            sigmoids *= 0.5
            sigmoids += 0.5
            c = np.multiply(gates[n : 2 * n], self.c[t], out=self.c[t + 1])
            c += np.multiply(gates[:n], gates[3 * n :], out=self.part)
            np.multiply(gates[2 * n : 3 * n], np.tanh(c, out=self.t[t]), out=self.h[t + 1])
        recurrent = self.weight[:, INPUT : INPUT + HIDDEN].T
        dh, dc, d, part = self.dh, self.dc, self.d, self.part
        dh.fill(0)
        dc.fill(0)
        self.d_weight.fill(0)
        for t in reversed(range(STEPS)):
            gates, tanh_c = self.gates[t], self.t[t]
            i, f, o, cell = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
            dh += self.g[t]
            do = np.multiply(dh, tanh_c, out=d[2 * n : 3 * n])
            np.multiply(do, tanh_c, out=part)
            np.subtract(dh, part, out=part)
            part *= o
            dc += part
            np.multiply(dc, cell, out=d[:n])
            np.multiply(dc, self.c[t], out=d[n : 2 * n])
            dcell = np.multiply(dc, i, out=d[3 * n :])
            slopes = np.subtract(1, gates[: 3 * n])
            slopes *= gates[: 3 * n]
            d[: 3 * n] *= slopes
            np.multiply(dcell, cell, out=part)
            part *= cell
            dcell -= part
            dc *= f
            np.matmul(recurrent, d, out=dh)
            self.d_weight += np.matmul(d, self.inputs[t].T, out=self.product)
        found = self.d_weight[self.back]
        return [found[:, :INPUT], found[:, INPUT : INPUT + HIDDEN], found[:, -1]]


def lstm() -> dict[str, Callable[[], Any]]:
    """w4: an LSTM from 64 to 128 over 50 steps of 32 examples, gradients of its weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS, BATCH, INPUT)).astype(np.float32)
    g = rng.normal(scale=0.01, size=(STEPS, BATCH, HIDDEN)).astype(np.float32)
    bound = HIDDEN**-0.5
    weights = [rng.uniform(-bound, bound, size).astype(np.float32) for size in ((4 * HIDDEN, INPUT), (4 * HIDDEN, HIDDEN), 4 * HIDDEN)]
    state = dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), [*weights, np.zeros_like(weights[2])], strict=True))
    layer, cell = nn.LSTM(INPUT, HIDDEN), nn.LSTMCell(INPUT, HIDDEN)
    layer.load_state_dict({f"{name}_l0": value for name, value in state.items()})
    cell.load_state_dict(state)
    given = ag.tensor(g)

    def gradients(module: Any) -> list[Any]:
        return [p.grad.data for p in list(module.parameters())[:3]]

    def by_layer() -> list[Any]:
        layer.zero_grad()
        layer(x)[0].backward(given)
        return gradients(layer)

    def by_cell() -> list[Any]:
        cell.zero_grad()
        h = c = np.zeros((BATCH, HIDDEN), np.float32)
        outputs: list[Any] = []
        for step in x:
            h, c = cell(step, (h, c))
            outputs.append(h)
        joined: Any = np.stack(outputs)
        joined.backward(given)
        return gradients(cell)

    def by_formulas() -> list[Any]:
        cell.zero_grad()
        w_ih, w_hh, b, _ = cell.parameters()
        h = c = np.zeros((BATCH, HIDDEN), np.float32)
        outputs: list[Any] = []
        for step in x:
            z = step @ w_ih.T + h @ w_hh.T + b
            i, f, n, o = np.split(z, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(n)
            h = sigmoid(o) * np.tanh(c)
            outputs.append(h)
        joined: Any = np.stack(outputs)
        joined.backward(given)
        return gradients(cell)

    contenders: dict[str, Callable[[], Any]] = {
        "limit": LSTMByHand(x, g, weights),
        "nn.LSTM": by_layer,
        "nn.LSTMCell in a loop": by_cell,
        "formulas in a loop": by_formulas,
    }
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        their_layer, their_cell = torch.nn.LSTM(INPUT, HIDDEN), torch.nn.LSTMCell(INPUT, HIDDEN)
        their_layer.load_state_dict({f"{name}_l0": torch.from_numpy(value) for name, value in state.items()})
        their_cell.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        tx, tg = torch.from_numpy(x), torch.from_numpy(g)

        def by_torch() -> list[Any]:
            their_layer.zero_grad()
            their_layer(tx)[0].backward(tg)
            return [p.grad.numpy() for p in list(their_layer.parameters())[:3]]

        def by_cell_of_torch() -> list[Any]:
            their_cell.zero_grad()
            h = c = torch.zeros(BATCH, HIDDEN)
            outputs = []
            for step in tx:
                h, c = their_cell(step, (h, c))
                outputs.append(h)
            torch.stack(outputs).backward(tg)
            return [p.grad.numpy() for p in list(their_cell.parameters())[:3]]

        contenders |= {"torch.nn.LSTM": by_torch, "torch.nn.LSTMCell in a loop": by_cell_of_torch}
    return contenders
