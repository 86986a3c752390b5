"""Chains: compositions equal the optimizers that they spell out; links by their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import optim
from optim import transformations as t


def run(make: Any, starts: list[Any], steps: list[list[Any]]) -> list[Any]:
    parameters = [ag.tensor(start, requires_grad=True) for start in starts]
    optimizer = make(parameters)
    for gradients in steps:
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = ag.tensor(g)
        optimizer.step()
    return [np.array(p.data) for p in parameters]


PAIRS = [
    (lambda p: optim.Chain(p, t.scale(-0.1)), lambda p: optim.SGD(p, lr=0.1)),
    (
        lambda p: optim.Chain(p, t.add_decayed_weights(0.3), t.trace(0.9), t.scale(-0.1)),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.3),
    ),
    (lambda p: optim.Chain(p, t.trace(0.9, nesterov=True), t.scale(-0.1)), lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    (lambda p: optim.Chain(p, t.scale_by_adam(), t.add_decayed_weights(0.3), t.scale(-0.1)), lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.3)),
    (
        lambda p: optim.Chain(p, t.scale_by_adam(eps=1e-6), t.add_decayed_weights(0.3), t.scale_by_trust_ratio(), t.scale(-0.1)),
        lambda p: optim.LAMB(p, lr=0.1, weight_decay=0.3),
    ),
    (
        lambda p: optim.Chain(p, t.scale_by_adam(), t.scale(-1 * optim.Exponential(0.1, 0.9))),
        lambda p: optim.Adam(p, lr=optim.Exponential(0.1, 0.9)),
    ),
    (
        lambda p: optim.Chain(
            p, t.link(optim.rules.adagrad, lr=0.1, lr_decay=0.1, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, maximize=False)
        ),
        lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1),
    ),
]


@pytest.mark.parametrize(("chain", "optimizer"), PAIRS)
def test_a_composition_is_the_optimizer_that_it_spells_out(chain: Any, optimizer: Any, rng: np.random.Generator) -> None:
    shapes = [(3, 4), (5,), ()]
    starts = [rng.normal(size=s) for s in shapes]
    steps = [[rng.normal(size=s) for s in shapes] for _ in range(10)]
    for a, b in zip(run(chain, starts, steps), run(optimizer, starts, steps), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def update(*links: t.Link, p: Any, g: Any) -> list[Any]:
    return [a - b for a, b in zip(run(lambda ps: optim.Chain(ps, *links), p, [g]), p, strict=True)]


def test_the_global_norm_is_that_of_all_parameters() -> None:
    found = update(t.clip_by_global_norm(1.0), p=[np.zeros(2), np.zeros(1)], g=[np.array([0.0, 3.0]), np.array([4.0])])
    np.testing.assert_allclose(found[0], [0.0, 0.6])
    np.testing.assert_allclose(found[1], [0.8])
    (found_small,) = update(t.clip_by_global_norm(10.0), p=[np.zeros(2)], g=[np.array([0.0, 3.0])])
    np.testing.assert_array_equal(found_small, [0.0, 3.0])


def test_the_global_norm_after_another_link_is_that_of_its_updates() -> None:
    found = update(t.scale(2.0), t.clip_by_global_norm(1.0), t.scale(2.0), p=[np.zeros(2)], g=[np.array([3.0, 4.0])])
    np.testing.assert_allclose(found[0], [1.2, 1.6])


def test_links_do_what_their_formulas_say() -> None:
    g = np.array([[1.0, -3.0], [2.0, 6.0]])
    p = np.array([[3.0, 4.0], [0.0, 0.0]])
    expected: list[tuple[t.Link, Any]] = [
        (t.clip(2.0), [[1.0, -2.0], [2.0, 2.0]]),
        (t.centralize(), [[2.0, -2.0], [-2.0, 2.0]]),
        (t.sign(), np.sign(g)),
        (t.scale_by_rms(decay=0.75, eps=0.0), 2 * np.sign(g)),
        (t.adaptive_grad_clip(0.1, eps=0.01), [[0.5 / 10**0.5, -1.5 / 10**0.5], [2e-3 / 40**0.5, 6e-3 / 40**0.5]]),
    ]
    for link, wanted in expected:
        np.testing.assert_allclose(update(link, p=[p], g=[g])[0], wanted, rtol=1e-14, err_msg=link.name)


def test_hyperparameters_are_in_the_groups_and_a_state_goes_on() -> None:
    def make(p: ag.Tensor) -> optim.Chain:
        return optim.Chain([p], t.scale(2.0), t.scale_by_adam(), t.scale(-0.1))

    p = ag.tensor(np.ones(3), requires_grad=True)
    first = make(p)
    assert set(first.param_groups[0]) == {"params", "scale.factor", "scale_by_adam.betas", "scale_by_adam.eps", "scale2.factor"}
    p.grad = ag.tensor([1.0, 2.0, 3.0])
    first.step()
    q = ag.tensor(p.data, requires_grad=True)
    second = make(q)
    second.load_state_dict(first.state_dict())
    for tensor, optimizer in ((p, first), (q, second)):
        tensor.grad = ag.tensor([-1.0, 0.0, 3.0])
        optimizer.step()
    np.testing.assert_array_equal(p.data, q.data)


def test_misuse_is_named() -> None:
    p = ag.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="Chain: got no links"):
        optim.Chain([p])
    with pytest.raises(TypeError, match="is no link"):
        optim.Chain([p], 0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Chain: clip_by_global_norm.max_norm must be a finite number >= 0, not -1"):
        optim.Chain([p], t.clip_by_global_norm(-1))
    p.grad = ag.tensor(np.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        optim.Chain([p], t.scale(-1.0)).step()
