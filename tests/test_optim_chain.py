"""Chains: compositions equal the optimizers that they spell out; links by their formulas."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import optim
from optim import packs
from optim import transformations as t
from optim.rules.common import norm


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


SHAMPOO: dict[str, Any] = {"momentum": 0.9, "weight_decay": 0.1, "eps": 1e-4, "update_every": 2, "max_size": 10, "grafting": None, "maximize": False}


@pytest.mark.parametrize("first", [[], [t.clip(10.0)]])
def test_states_of_any_shape_may_precede_those_of_a_rule_for_elements(first: list[t.Link], rng: np.random.Generator) -> None:
    starts = [rng.normal(size=(3, 4)), rng.normal(size=5)]
    p, q, r = ([ag.tensor(s, requires_grad=True) for s in starts] for _ in range(3))

    def make(parameters: list[Any]) -> optim.Chain:
        return optim.Chain(parameters, *first, t.link(optim.rules.shampoo, lr=1.0, **SHAMPOO), t.ema(0.0), t.scale(0.1))

    chain, named = make(p), optim.Shampoo(q, lr=0.1, **SHAMPOO)
    for step in range(6):
        for a, b in zip(p, q, strict=True):
            a.grad = b.grad = ag.tensor(rng.normal(size=a.shape))
        chain.step()
        named.step()
        if step == 3:
            for a, b in zip(p, r, strict=True):
                b.data[...] = a.data
            state = chain.state_dict()
            chain, p = make(r), r
            chain.load_state_dict(state)
        for a, b in zip(p, q, strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-11, atol=1e-13)


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


def test_the_norm_of_huge_elements_is_finite() -> None:
    (found,) = update(t.clip_by_global_norm(1.0), p=[np.zeros(2, np.float32)], g=[np.array([3e30, 4e30], np.float32)])
    np.testing.assert_allclose(found, [0.6, 0.8], rtol=1e-6)
    assert norm(np.full(70_000, 2.0, np.float16)) == pytest.approx(2 * 70_000**0.5)
    assert norm(np.array([3e200, 4e200j])) == pytest.approx(5e200)
    assert norm(np.array([np.inf, 1.0])) == np.inf
    assert np.isnan(norm(np.array([np.nan, 1.0])))


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
        (t.clip_by_block_rms(2.5**0.5), g / 5**0.5),
        (t.clip_by_block_rms(4.0), g),
        (t.scale_by_rms(decay=0.75, eps=0.0), 2 * np.sign(g)),
        (t.adaptive_grad_clip(0.1, eps=0.01), [[0.5 / 10**0.5, -1.5 / 10**0.5], [2e-3 / 40**0.5, 6e-3 / 40**0.5]]),
    ]
    for link, wanted in expected:
        np.testing.assert_allclose(update(link, p=[p], g=[g])[0], wanted, rtol=1e-14, err_msg=link.name)


def means(values: list[float], b: float, start: float = 0.0) -> list[float]:
    """The running mean after each value, by its closed form."""
    return [start * b ** (k + 1) + (1 - b) * sum(v * b ** (k - i) for i, v in enumerate(values[: k + 1])) for k in range(len(values))]


def freed(running: list[float], b: float) -> list[float]:
    return [m / (1 - b ** (k + 1)) for k, m in enumerate(running)]


def squares(u: list[float]) -> list[float]:
    return [x * x for x in u]


def ratios(tops: list[float], bottoms: list[float], eps: float = 1e-8) -> list[float]:
    return [a / (math.sqrt(b) + eps) for a, b in zip(tops, bottoms, strict=True)]


def amsgrad(u: list[float]) -> list[float]:
    v = freed(means(squares(u), 0.999), 0.999)
    return ratios(freed(means(u, 0.9), 0.9), [max(v[: k + 1]) for k in range(len(v))])


def adamax(u: list[float]) -> list[float]:
    largest = [max(0.999 ** (k - i) * (abs(x) + 1e-8) for i, x in enumerate(u[: k + 1])) for k in range(len(u))]
    return [m / n for m, n in zip(freed(means(u, 0.9), 0.9), largest, strict=True)]


def belief(u: list[float]) -> list[float]:
    m = means(u, 0.9)
    # eps_root is added at each step, undiminished by 1 - b2.
    s = means([(x - y) ** 2 + 1e-16 / (1 - 0.999) for x, y in zip(u, m, strict=True)], 0.999)
    return ratios(freed(m, 0.9), freed(s, 0.999), 1e-16)


def yogi(u: list[float]) -> list[float]:
    v = [1e-6]
    for x in u:
        v.append(v[-1] + 0.001 * x * x * (-1 if v[-1] > x * x else 1 if v[-1] < x * x else 0))
    return ratios(freed(means(u, 0.9, start=1e-6), 0.9), freed(v[1:], 0.999), 1e-3)


def radam(u: list[float]) -> list[float]:
    m, v = freed(means(u, 0.9), 0.9), freed(means(squares(u), 0.999), 0.999)
    out = []
    for t_, (a, b) in enumerate(zip(m, v, strict=True), 1):
        rho_t = 1999 - 2 * t_ * 0.999**t_ / (1 - 0.999**t_)
        r = math.sqrt((rho_t - 4) * (rho_t - 2) * 1999 / (1995 * 1997 * rho_t)) / (math.sqrt(b) + 1e-8) if rho_t >= 5 else 1.0
        out.append(r * a)
    return out


def adadelta(u: list[float]) -> list[float]:
    v, d = means(squares(u), 0.9), list[float]()
    for x, y in zip(u, v, strict=True):
        before = means(squares(d), 0.9)[-1] if d else 0.0
        d.append(math.sqrt(before + 1e-6) / math.sqrt(y + 1e-6) * x)
    return d


RECURSIONS: list[tuple[t.Link, Any]] = [
    (t.scale_by_adam(), lambda u: ratios(freed(means(u, 0.9), 0.9), freed(means(squares(u), 0.999), 0.999))),
    (t.scale_by_amsgrad(), amsgrad),
    (t.scale_by_adamax(), adamax),
    (t.scale_by_belief(), belief),
    (t.scale_by_yogi(), yogi),
    (t.scale_by_radam(), radam),
    (t.scale_by_rms(), lambda u: [x / math.sqrt(v + 1e-8) for x, v in zip(u, means(squares(u), 0.9), strict=True)]),
    (
        t.scale_by_stddev(),
        lambda u: [x / math.sqrt(v - m * m + 1e-8) for x, v, m in zip(u, means(squares(u), 0.9), means(u, 0.9), strict=True)],
    ),
    (t.scale_by_rss(), lambda u: [x / math.sqrt(0.1 + sum(squares(u[: k + 1])) + 1e-7) for k, x in enumerate(u)]),
    (t.scale_by_adadelta(), adadelta),
    (t.scale_by_lion(), lambda u: [math.copysign(1, 0.9 * m + 0.1 * x) for m, x in zip([0.0, *means(u, 0.99)[:-1]], u, strict=True)]),
    (t.ema(0.9), lambda u: freed(means(u, 0.9), 0.9)),
    (t.ema(0.9, debias=False), lambda u: means(u, 0.9)),
    (t.trace(0.9), lambda u: [10 * m for m in means(u, 0.9)]),
]


@pytest.mark.parametrize(("link", "formula"), RECURSIONS, ids=lambda value: value.name if isinstance(value, t.Link) else "")
def test_a_link_that_remembers_follows_its_closed_form(link: t.Link, formula: Any, rng: np.random.Generator) -> None:
    u = rng.normal(size=12).tolist()
    p = ag.tensor(0.0, requires_grad=True)
    optimizer = optim.Chain([p], link)
    for x, wanted in zip(u, formula(u), strict=True):
        before = p.item()
        p.grad = ag.tensor(x)
        optimizer.step()
        assert p.item() - before == pytest.approx(wanted, rel=1e-9, abs=1e-12)


LONG = [t.clip_by_global_norm(2.0), t.clip(1.5), t.scale_by_belief(), t.add_decayed_weights(0.1), t.trace(0.5), t.sign(), t.scale(-0.1)]


def unchanged(u: Any, p: Any, state: Any) -> Any:
    """A link that keeps those before it from being one rule."""
    return u, {}


@pytest.mark.parametrize("compiled_from", [1, 1 << 20])
def test_a_chain_that_is_one_rule_takes_the_steps_of_its_links(compiled_from: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PROGRAM", compiled_from)
    shapes = [(3, 4), (5,), (), (0, 2)]
    starts, steps = [rng.normal(size=s) for s in shapes], [[rng.normal(size=s) for s in shapes] for _ in range(5)]

    def link_by_link(parameters: list[Any]) -> optim.Chain:
        return optim.Chain(parameters, *LONG, t.link(unchanged))

    for fast, slow in zip(run(lambda p: optim.Chain(p, *LONG), starts, steps), run(link_by_link, starts, steps), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-14, atol=1e-15)


def test_a_link_can_be_kept_from_some_parameters() -> None:
    def only_matrices(p: Any) -> bool:
        return p.ndim > 1

    starts = [np.ones((2, 2)), np.ones(2)]
    found = update(t.masked(t.add_decayed_weights(0.5), only_matrices), p=starts, g=[np.zeros((2, 2)), np.zeros(2)])
    np.testing.assert_array_equal(found[0], np.full((2, 2), 0.5))
    np.testing.assert_array_equal(found[1], np.zeros(2))
    with pytest.raises(ValueError, match="masked: clip_by_global_norm looks at the updates of all parameters"):
        t.masked(t.clip_by_global_norm(1.0), only_matrices)


def test_noise_has_its_variance_differs_by_parameter_and_goes_on_from_a_saved_state() -> None:
    def make() -> tuple[list[ag.Tensor], optim.Chain]:
        parameters = [ag.tensor(np.zeros(20_000), requires_grad=True) for _ in range(2)]
        for p in parameters:
            p.grad = ag.tensor(np.zeros(20_000))
        return parameters, optim.Chain(parameters, t.add_noise(4.0, gamma=1.0, seed=3))

    (p, q), first = make()
    first.step()
    assert abs(p.data.std() - 2.0) < 0.05
    assert abs(np.corrcoef(p.data, q.data)[0, 1]) < 0.05
    before = p.data.copy()
    (r, _), second = make()
    second.load_state_dict(first.state_dict())
    r.data[...] = before
    first.step()
    second.step()
    assert abs((p.data - before).std() - 2.0**0.5) < 0.05
    np.testing.assert_array_equal(r.data, p.data)


def test_nans_become_zero_where_they_are_let_through() -> None:
    p = ag.tensor(np.zeros(3), requires_grad=True)
    p.grad = ag.tensor([1.0, np.nan, -2.0])
    optim.Chain([p], t.zero_nans(), t.scale_by_learning_rate(0.5), nonfinite="ignore").step()
    np.testing.assert_array_equal(p.data, [-0.5, 0.0, 1.0])


def test_a_chain_can_be_pickled_and_goes_on() -> None:
    p = ag.tensor(np.ones(3), requires_grad=True)
    links = [t.clip_by_global_norm(1.0), t.scale_by_adam(), t.add_noise(0.1), t.scale_features([1.0, 2.0]), t.scale(-0.1)]
    for chain in (optim.Chain([p], *links), optim.Chain([p], *links[:2])):
        p.grad = ag.tensor([1.0, 2.0, 3.0])
        chain.step()
        other = pickle.loads(pickle.dumps(chain))
        (q,) = other.param_groups[0]["params"]
        for tensor, optimizer in ((p, chain), (q, other)):
            tensor.grad = ag.tensor([-1.0, 0.0, 3.0])
            optimizer.step()
        np.testing.assert_array_equal(p.data, q.data)


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


@pytest.mark.parametrize(("dtype", "size"), [(np.float16, 10.0), (np.float32, 1e20)])
def test_adaptive_clipping_survives_updates_whose_squares_overflow(dtype: Any, size: float) -> None:
    p = ag.tensor(np.zeros((2, 1000), dtype=dtype), requires_grad=True)
    p.grad = ag.tensor(np.full((2, 1000), size, dtype=dtype))
    optim.Chain([p], t.adaptive_grad_clip(0.1, eps=10.0), t.scale(-1.0)).step()
    np.testing.assert_allclose(p.data.astype(np.float64), -1 / 1000**0.5, rtol=2e-3)
    assert p.dtype == dtype


def bounded(u: Any, p: Any, state: Any, *, alpha: float) -> Any:
    return np.minimum(u, alpha), {}


def test_the_hyperparameters_of_a_rule_of_ones_own_may_be_any_and_those_of_links_here_are_checked() -> None:
    p = ag.tensor([1.0], requires_grad=True)
    p.grad = ag.tensor([3.0])
    optim.Chain([p], t.masked(t.link(bounded, alpha=2.0), lambda p: True), t.scale(-0.5)).step()
    assert p.tolist() == [0.0]
    optim.Chain([p], t.link(bounded, alpha=2.0))
    for bad, message in (
        (t.scale(math.nan), "scale.factor must be a finite number"),
        (t.masked(t.scale(math.nan), lambda p: True), "masked_scale.factor must be a finite number"),
        (t.link(optim.rules.rmsprop, alpha=2.0), r"rmsprop.alpha must be in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=f"Chain: {message}"):
            optim.Chain([p], bad)


def test_noise_of_a_seed_is_the_same_in_each_chain_that_has_the_link() -> None:
    noise = t.add_noise(0.1, seed=0)
    results = []
    for link in (noise, noise, t.masked(noise, lambda p: True), t.add_noise(0.1, seed=0)):
        p, q = (ag.tensor(np.zeros(3), requires_grad=True) for _ in range(2))
        optimizer = optim.Chain([p, q], link)
        p.grad = q.grad = ag.tensor(np.zeros(3))
        optimizer.step()
        results.append(np.stack([p.data, q.data]))
    assert len(np.unique(results[0])) == 6
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_parameters_without_elements_are_passed_over_by_links_that_want_whole_arrays() -> None:
    p, q = ag.tensor(np.ones((3, 0)), requires_grad=True), ag.tensor(np.ones((3, 2)), requires_grad=True)
    p.grad, q.grad = ag.tensor(np.ones((3, 0))), ag.tensor(np.arange(6.0).reshape(3, 2))
    optim.Chain([p, q], t.centralize(), t.scale(-1.0)).step()
    np.testing.assert_array_equal(q.data, [[1.5, 0.5]] * 3)
