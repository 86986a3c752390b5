"""Random programs under `ag.compile`: with branches, views, assignments, numbers that leave, captured arrays that change, state, draws.

Each is called some times in two equal worlds, in one of them compiled. All that can be seen has to be the same, to the bit: values,
gradients, what was written, the state of the generator. COMPILED_PROGRAMS=100000 runs many more of them.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.compiling.replay import same_bits

COUNT = int(os.environ.get("COMPILED_PROGRAMS", "60"))
FIRST = int(os.environ.get("COMPILED_FROM", "0"))
CALLS = 6


class World:
    """What a program refers to besides its argument."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.w = ag.tensor(random.normal(size=(4, 4)), requires_grad=True)
        self.b = ag.tensor(random.normal(size=4), requires_grad=True)
        self.m = random.normal(size=4)
        self.s = ag.tensor(random.normal(size=(3, 4)))
        self.n = ag.tensor(np.array(0.0))
        self.random = np.random.default_rng(seed + 1)
        self.scale = 1.0
        self.bag = [1.0, 2.0]


# Each statement: (world, pool, two picks, a number in 0..1) -> a new value of the pool, or None.


def _unary(e: World, a: Any, c: Any, r: float) -> Any:
    return [np.tanh, np.sin, np.exp, np.square, np.abs, np.negative][int(r * 6)](a * 0.5)


def _binary(e: World, a: Any, c: Any, r: float) -> Any:
    return [lambda: a + c, lambda: a * c, lambda: a - c, lambda: np.maximum(a, c), lambda: a / (2.0 + c * c), lambda: np.where(a > c, a, c)][
        int(r * 6)
    ]()


def _number(e: World, a: Any, c: Any, r: float) -> Any:
    return [lambda: 2.0 * a, lambda: a**2, lambda: a + 1, lambda: 1 - a, lambda: a / 3.0, lambda: np.float32(0.5) * a][int(r * 6)]()


def _reduce(e: World, a: Any, c: Any, r: float) -> Any:
    found = [
        lambda: a.sum(),
        lambda: a.mean(axis=-1, keepdims=True),
        lambda: a.max(),
        lambda: np.sum(a, axis=0),
        lambda: a.std(),
        lambda: a.cumsum(0),
    ]
    return found[int(r * 6)]() + a


def _captured(e: World, a: Any, c: Any, r: float) -> Any:
    return [lambda: a * e.m, lambda: a + e.b, lambda: a @ e.w, lambda: a * e.s, lambda: a * e.scale, lambda: a * e.bag[1]][int(r * 6)]()


def _view(e: World, a: Any, c: Any, r: float) -> Any:
    y = a * 1.0
    v = [lambda: y[1:], lambda: y[:, 1], lambda: y.T, lambda: y.reshape(-1), lambda: y[::2], lambda: np.swapaxes(y, 0, 1)][int(r * 6)]()
    if r * 6 % 1 < 0.5:
        v *= 2.0
    v[0] = 0.5
    return y + c if r * 6 % 1 < 0.3 else y * v.sum()


def _assign(e: World, a: Any, c: Any, r: float) -> Any:
    y = a * 1.0
    u = c.copy() if hasattr(c, "copy") else c
    if r < 0.3:
        y[1] = u[0]
    elif r < 0.6:
        y[:, 2] = u[:, 1] * 2.0
    else:
        y[y > 0.3] = 0.1
    return y


def _gather(e: World, a: Any, c: Any, r: float) -> Any:
    if r < 0.3:
        return a[[0, 2, 0]]
    if r < 0.6:
        return np.concatenate([a[:1], c[1:]], axis=0)
    return np.stack([a[0], c[1], a[2]]) if r < 0.8 else np.einsum("ij,ij->ij", a, c)


def _branch(e: World, a: Any, c: Any, r: float) -> Any:
    return a * 2.0 if a.sum() > 4 * r - 2 else c + 1.0


def _leaves(e: World, a: Any, c: Any, r: float) -> Any:
    return a * float(c.sum() > 0) if r < 0.5 else a[: 1 + int(abs(c.data[0, 0]) > 1)].sum() + c


def _masked(e: World, a: Any, c: Any, r: float) -> Any:
    return a[a > r - 0.5].sum() + c


def _write(e: World, a: Any, c: Any, r: float) -> None:
    with ag.no_grad():
        if r < 0.25:
            e.s.data = e.s.data * 0.5 + a.data
        elif r < 0.5:
            e.s[0] = a.detach()[1]
        elif r < 0.75:
            e.s.data[...] = e.s.data * 0.9 + np.tanh(c.data) * 0.1
        else:
            e.n.data[...] += 1.0


def _drawn(e: World, a: Any, c: Any, r: float) -> Any:
    return a * ag.drawn(e.random, "random", (3, 1))


def _transform(e: World, a: Any, c: Any, r: float) -> Any:
    if r < 0.4:
        return ag.grad(lambda t: (np.sin(t) * c.detach()).sum())(a)
    if r < 0.7:
        return ag.checkpoint(lambda t: np.tanh(t) * 0.5)(a)
    return ag.vmap(lambda t: np.sin(t) * t.sum())(a)


STATEMENTS = [_unary, _binary, _number, _reduce, _captured, _captured, _view, _assign, _gather, _branch, _leaves, _masked, _write, _drawn, _transform]
WITHOUT_DECISIONS = [_unary, _binary, _number, _reduce, _captured, _captured, _view, _assign, _gather, _write, _drawn, _transform]


def program(seed: int) -> Any:
    """A function of a world and a (3, 4) tensor."""
    random = np.random.default_rng(seed)
    choice = STATEMENTS if seed % 3 == 0 else WITHOUT_DECISIONS
    lines = [
        (choice[random.integers(len(choice))], int(random.integers(1000)), int(random.integers(1000)), random.random())
        for _ in range(int(random.integers(2, 9)))
    ]
    inside = seed % 4 == 1  # the backward pass too

    def function(e: World, x: Any) -> Any:
        pool = [x * 1.0]
        for statement, i, k, r in lines:
            made = statement(e, pool[i % len(pool)], pool[k % len(pool)], r)
            if made is not None:
                pool.append(
                    made if made.shape == (3, 4) else np.broadcast_to(made, (3, 4)) * 1.0 if made.ndim < 2 and made.size in (1, 4) else x * made.sum()
                )
        loss = (pool[-1] * pool[len(pool) // 2]).sum() * 0.01
        if inside:
            e.w.grad = e.b.grad = None
            loss.backward()
            with ag.no_grad():
                if e.b.grad is not None:
                    e.b -= 0.01 * e.b.grad
        return loss

    function.__doc__ = ", ".join(f"{line[0].__name__}({line[3]:.2f})" for line in lines) + (", backward" if inside else "")
    return function, inside


def seen(e: World, function: Any, inside: bool, k: int, seed: int) -> list[Any]:
    """Everything that can be seen of a call."""
    random = np.random.default_rng([seed, k])
    if random.random() < 0.3:
        e.m[:] = random.normal(size=4)
    if random.random() < 0.15:
        e.scale = float(random.integers(3))
    if random.random() < 0.1:
        e.bag[1] = float(random.integers(3))
    x = ag.tensor(random.normal(size=(3, 4)), requires_grad=True)
    try:
        loss = function(e, x)
        if not inside and isinstance(loss, ag.Tensor) and loss.requires_grad:
            e.w.grad = e.b.grad = None
            loss.backward()
    except Exception as error:  # noqa: BLE001 - the other world has to raise it too
        return [type(error).__name__]
    arrays = [loss, x.grad, e.w.grad, e.b.grad, e.w, e.b, e.s, e.n]
    return [None if a is None else np.array(a.data if isinstance(a, ag.Tensor) else a) for a in arrays] + [
        e.random.bit_generator.state["state"]["state"]
    ]


def alike(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        same_bits(x, y) if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) else x == y for x, y in zip(a, b, strict=True)
    )


def first_difference(seed: int) -> tuple[str | None, int, str]:
    """Where the two worlds part, how often the program was replayed, and its story."""
    function, inside = program(seed)
    mine, theirs = World(seed), World(seed)
    compiled = ag.compile(lambda x: function(mine, x))
    for k in range(CALLS):
        expected = seen(theirs, function, inside, k, seed)
        found = seen(mine, lambda e, x: compiled(x), inside, k, seed)
        if not alike(found, expected):
            return f"seed {seed}, call {k}: {function.__doc__}\n{found}\n{expected}\n{compiled.why()}", 0, compiled.why()
    runs = sum(int(line.split()[-2]) for line in compiled.why().splitlines() if line.startswith("a program"))
    return None, runs, compiled.why()


@pytest.mark.parametrize("part", range(4))
def test_random_programs_are_what_they_are(part: int) -> None:
    wrong, replayed = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(FIRST + part, FIRST + COUNT, 4):
            difference, runs, _ = first_difference(seed)
            replayed += runs > 0
            if difference:
                wrong.append(difference)
    assert not wrong, "\n\n".join(wrong[:5])
    assert replayed > COUNT // 4 * 0.4
