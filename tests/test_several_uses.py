"""Several uses of one leaf: plain, recorded and `backward()` passes, and numeric derivatives, agree whatever the order of the uses.

A sum of a 0-d array and an array is a NumPy scalar, which nothing can be added to in place: contributions were lost.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autograd_core as ag

MASK = np.array([1.0, 2.0, 3.0]) > 1
USES = {
    "scaled": lambda x: (x * 2.0).sum(),
    "chosen": lambda x: np.where(MASK, x.reshape(()) if x.size == 1 else x.sum(), 0.0).sum(),
    "new axis": lambda x: x[None].sum(),
    "flat": lambda x: x.reshape(-1).sum() * 3.0,
    "joined": lambda x: np.concatenate([x.reshape(-1), x.reshape(-1) * x.reshape(-1)]).sum(),
    "broadcast": lambda x: (np.broadcast_to(x, (2, *x.shape)) * x).sum(),
    "indexed": lambda x: x.reshape(-1)[[0, 0]].sum(),
    "clipped": lambda x: np.clip(np.real(x), -10.0, 0.75).sum(),
    "assigned": lambda x: _assigned(x),
    "magnitude": lambda x: (np.abs(x) ** 2).sum(),
    "power": lambda x: (x**3).sum(),
    "products": lambda x: (x.reshape(-1, 1) @ x.reshape(1, -1)).sum(),
}
LEAVES = {"0-d": np.array(0.5), "one element": np.array([0.5]), "two": np.array([0.5, 0.25]), "0-d complex": np.array(0.5 + 0.25j)}


def _assigned(x):
    t = x.reshape(-1) * 1.0
    t[0] = x.reshape(-1)[0] * 2.0
    return t.sum()


def gradients(uses, value):
    """By four kinds of passes."""

    def loss(x):
        return np.real(sum(USES[name](x) for name in uses))

    def leaf():
        return ag.tensor(value, requires_grad=True)

    x = leaf()
    loss(x).backward()
    yield "backward", x.grad.data
    x = leaf()
    loss(x).backward(create_graph=True)
    yield "backward, recorded", x.grad.data
    x = leaf()
    yield "gradient", ag.gradient(loss(x), x).data
    x = leaf()
    yield "gradient, recorded", ag.gradient(loss(x), x, create_graph=True).data


@pytest.mark.parametrize("kind", LEAVES)
def test_all_kinds_of_passes_agree_for_three_uses_in_any_order(kind):
    value = LEAVES[kind]
    # What each use alone contributes: one use needs no sum.
    alone = {name: next(gradients([name], value))[1] for name in USES}
    for uses in itertools.permutations(USES, 3):
        expected = alone[uses[0]] + alone[uses[1]] + alone[uses[2]]
        for way, found in gradients(uses, value):
            assert np.allclose(found, expected, rtol=1e-12), f"{way} of {uses}: {found}, expected {expected}"


def test_the_example_that_lost_a_contribution():
    x = ag.tensor(0.5, requires_grad=True)
    y, w, i = x * 2.0, np.where(MASK, x, 0.0).sum(), x[None].sum()
    (y + w + i).backward()
    assert x.grad.item() == 5.0
