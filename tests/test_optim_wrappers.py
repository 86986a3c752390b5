"""Optimizers around optimizers."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from optim import transformations


def tensor(data: Any) -> ag.Tensor:
    return ag.tensor(data, requires_grad=True)


def give(p: ag.Tensor, g: Any) -> None:
    p.grad = ag.tensor(g, dtype=p.dtype)


def test_lookahead_follows_its_recursion(rng: np.random.Generator) -> None:
    p, fast, slow = tensor(np.ones(3)), np.ones(3), np.ones(3)
    optimizer = optim.Lookahead(optim.SGD([p], lr=0.1), k=3, alpha=0.4)
    for step in range(1, 10):
        g = rng.normal(size=3)
        give(p, g)
        optimizer.step()
        fast = fast - 0.1 * g
        if step % 3 == 0:
            slow = slow + 0.4 * (fast - slow)
            fast = slow
        np.testing.assert_allclose(p.data, fast, rtol=1e-13)


def test_sam_steps_by_the_gradient_at_the_worst_place_near() -> None:
    p = tensor([3.0, 4.0])
    optimizer = optim.SAM(optim.SGD([p], lr=0.1), rho=0.5)
    places: list[Any] = []

    def closure() -> Any:
        optimizer.zero_grad()
        places.append(np.array(p.data))
        loss = (p**2).sum() / 2
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert loss.item() == 12.5
    np.testing.assert_allclose(places, np.array([[3.0, 4.0], [3.3, 4.4]]))
    np.testing.assert_allclose(p.data, [3 - 0.33, 4 - 0.44])


def test_adaptive_sam_weighs_by_the_parameters() -> None:
    p = tensor([1.0, 2.0])
    optimizer = optim.SAM(optim.SGD([p], lr=0.0), rho=1.0, adaptive=True)
    places: list[Any] = []

    def closure() -> Any:
        optimizer.zero_grad()
        places.append(np.array(p.data))
        loss = p.sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(places[1] - places[0], np.array([1.0, 4.0]) / 5**0.5)


def test_sam_puts_the_parameters_back_when_the_closure_raises() -> None:
    p = tensor([1.0, 2.0])
    optimizer = optim.SAM(optim.SGD([p], lr=0.1))
    calls = []

    def closure() -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError
        loss = (p * p).sum()
        loss.backward()
        return loss

    with pytest.raises(ZeroDivisionError):
        optimizer.step(closure)
    assert p.tolist() == [1, 2]
    with pytest.raises(TypeError, match="SAM: step needs a closure"):
        optimizer.step()


def test_combined_optimizers_step_together_and_share_no_parameter() -> None:
    a, b = tensor(1.0), tensor(1.0)
    optimizer = optim.Combined(optim.SGD([a], lr=0.1), optim.SGD([b], lr=0.5))
    calls = []

    def closure() -> Any:
        calls.append(1)
        optimizer.zero_grad()
        loss = a + b
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert (a.item(), b.item(), len(calls)) == (0.9, 0.5, 1)
    with pytest.raises(ValueError, match="belongs to two optimizers"):
        optim.Combined(optim.SGD([a]), optim.Adam([a]))


def test_switch_hands_over_in_mid_training() -> None:
    p = tensor(0.0)
    optimizer = optim.Switch(optim.SGD([p], lr=1.0), optim.SGD([p], lr=0.1), optim.SGD([p], lr=0.01), at=[2, 3])
    values = []
    for _ in range(5):
        give(p, -1.0)
        optimizer.step()
        values.append(round(p.item(), 6))
    assert values == [1.0, 2.0, 2.1, 2.11, 2.12]
    with pytest.raises(ValueError, match="2 optimizers need 1 steps in order"):
        optim.Switch(optim.SGD([p]), optim.SGD([p]), at=[1, 2])


@pytest.mark.parametrize(("decay", "expected"), [(None, 7 / 3), (0.5, 3.5), (lambda step: 0.0, 5.0)])
def test_the_mean_of_the_weights(decay: Any, expected: float) -> None:
    p = tensor(np.zeros(2))
    mean = optim.WeightAverage([p], decay=decay)
    for value in (0.0, 2.0, 5.0) if decay is None else (2.0, 2.0, 5.0):
        p.data[...] = value
        mean.update()
    with mean.applied():
        np.testing.assert_allclose(p.data, expected)
    assert p.tolist() == [5, 5]
    mean.copy_to_parameters()
    np.testing.assert_allclose(p.data, expected)


def test_the_mean_of_weights_is_taken_off_again_when_the_block_raises() -> None:
    p = tensor(np.ones(2))
    mean = optim.WeightAverage([p])
    mean.averages[0][...] = 7

    def use() -> None:
        with mean.applied():
            assert p.tolist() == [7, 7]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert p.tolist() == [1, 1]


def test_wrappers_take_schedules_too() -> None:
    x = tensor(0.0)
    follower = optim.Lookahead(optim.SGD([x], lr=1.0), k=2, alpha=optim.Piecewise({0: 0.0, 3: 1.0}))
    for expected in (1.0, 0.0, 1.0, 2.0):  # the fast weights are taken back after two steps, and kept after four
        x.grad = ag.tensor(-1.0)
        follower.step()
        assert x.item() == expected
    with pytest.raises(ValueError, match="Lookahead: alpha must be"):
        optim.Lookahead(optim.SGD([x]), alpha=optim.Constant(2.0))

    x = tensor(1.0)
    sharp = optim.SAM(optim.SGD([x], lr=0.1), rho=optim.Linear(0.0, 1.0, steps=1))

    def closure() -> Any:
        sharp.zero_grad()
        loss = x * x
        loss.backward()
        return loss

    sharp.step(closure)
    assert x.item() == pytest.approx(1.0 - 0.1 * 2.0)
    sharp.step(closure)
    assert x.item() == pytest.approx(0.8 - 0.1 * 2.0 * 1.8)


def test_switch_goes_on_when_told_to() -> None:
    x = tensor(0.0)
    optimizer = optim.Switch(optim.SGD([x], lr=1.0), optim.SGD([x], lr=10.0), optim.SGD([x], lr=100.0), at=[5, 6])
    for _ in range(2):
        x.grad = ag.tensor(-1.0)
        optimizer.step()
    optimizer.advance()
    for _ in range(5):
        x.grad = ag.tensor(-1.0)
        optimizer.step()
    assert x.item() == 2 + 4 * 10 + 100
    with pytest.raises(ValueError, match="Switch: SGD is the last optimizer"):
        optimizer.advance()


def test_swats_is_its_algorithm() -> None:
    curvature, start = np.array([1.0, 3.0, 10.0]), np.array([3.0, 1.0, -0.2])
    w, switched = start.copy(), 0
    m: Any = 0.0
    v = mean = momentum = rate = m
    expected = []
    for k in range(1, 401):
        g = curvature * w
        if switched:
            momentum = 0.9 * momentum + g
            w = w - (1 - 0.9) * rate * momentum
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            d = -0.01 * np.sqrt(1 - 0.999**k) / (1 - 0.9**k) * m / (np.sqrt(v) + 1e-8 * np.sqrt(1 - 0.999**k))
            w = w + d
            if d @ g < 0:
                found = d @ d / -(d @ g)
                mean = 0.999 * mean + 0.001 * found
                rate = mean / (1 - 0.999**k)
                switched = k if k > 1 and abs(rate - found) < 3e-5 else 0
        expected.append(w)
    assert switched == 24
    p = tensor(start)
    optimizer = optim.SWATS([p], lr=0.01, tolerance=3e-5)
    for k, wanted in enumerate(expected, 1):
        optimizer.zero_grad()
        (0.5 * curvature * p * p).sum().backward()
        optimizer.step()
        np.testing.assert_allclose(p.data, wanted, rtol=1e-9, atol=1e-12, err_msg=f"step {k}")
        assert (optimizer.current is optimizer.optimizers[1]) == (k >= switched)


def test_accumulated_batches_are_one_large_batch(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(24, 3)), rng.normal(size=(24, 2))
    models = [nn.MLP(3, 4, 2, dtype=np.float64, generator=0) for _ in range(2)]
    parts = optim.Accumulate(optim.Adam(models[0].parameters(), lr=optim.Exponential(0.1, 0.5)), every=3)
    whole = optim.Adam(models[1].parameters(), lr=optim.Exponential(0.1, 0.5))
    for _ in range(4):
        for cut in np.array_split(np.arange(24), 3):
            parts.zero_grad()
            nn.functional.mse_loss(models[0](x[cut]), y[cut]).backward()
            parts.step()
        whole.zero_grad()
        nn.functional.mse_loss(models[1](x), y).backward()
        whole.step()
        for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
            np.testing.assert_allclose(p.data, q.data, rtol=1e-10, atol=1e-13)


def test_accumulating_changes_no_gradient_and_leaves_alone_what_has_none() -> None:
    x, y = tensor(np.ones(2)), tensor(1.0)
    optimizer = optim.Accumulate(optim.SGD([x, y], lr=1.0), every=2)
    gradient = ag.tensor([1.0, 2.0])
    x.grad = gradient
    optimizer.step()
    optimizer.step()
    assert x.grad is gradient
    np.testing.assert_array_equal(gradient.data, [1.0, 2.0])
    np.testing.assert_array_equal(x.data, [0.0, -1.0])
    assert y.item() == 1.0


@pytest.mark.parametrize("around", [lambda o: o, optim.Lookahead, optim.Combined])
def test_accumulating_refuses_the_batch_whose_gradient_is_not_finite_and_keeps_those_before(around: Any) -> None:
    x = tensor(np.ones(2))
    optimizer = optim.Accumulate(around(optim.SGD([x], lr=1.0)), every=2)
    for gradient in ([1.0, 2.0], [np.nan, 0.0], [3.0, 4.0]):
        x.grad = ag.tensor(gradient)
        if np.isnan(gradient[0]):
            with pytest.raises(FloatingPointError, match=r"Accumulate: the gradient of parameter 0 .* not finite; the sums are as they were"):
                optimizer.step()
        else:
            optimizer.step()
    np.testing.assert_array_equal(x.data, [-1.0, -2.0])


def test_a_sum_of_gradients_that_is_not_finite_is_skipped_refused_or_used_by_the_optimizer_inside() -> None:
    for nonfinite, steps, skipped in (("skip", 0, 1), ("ignore", 1, 0)):
        x = with_gradient(1.0, np.nan)
        optimizer = optim.Accumulate(optim.SGD([x], nonfinite=nonfinite), every=2)
        optimizer.step()
        optimizer.step()
        assert (optimizer.steps, optimizer.skipped_steps) == (steps, skipped)
    x = with_gradient(1.0, 1e308)
    optimizer = optim.Accumulate(optim.SGD([x], lr=1e-308), every=2)
    optimizer.step()
    with np.errstate(over="ignore"), pytest.raises(FloatingPointError, match="SGD: the gradient of parameter 0 of group 0"):
        optimizer.step()
    x.grad = ag.tensor(1.0)
    optimizer.step()
    assert optimizer.count == 1


MAKERS: dict[str, Any] = {
    "Lookahead": lambda p: optim.Lookahead(optim.Adam(p, lr=0.05), k=3),
    "SAM": lambda p: optim.SAM(optim.SGD(p, lr=0.05, momentum=0.9), rho=optim.Exponential(0.1, 0.8)),
    "Combined": lambda p: optim.Combined(optim.Adam(p[:2], lr=0.05), optim.SGD(p[2:], lr=0.05, momentum=0.9)),
    "Switch": lambda p: optim.Switch(optim.Adam(p, lr=0.05), optim.SGD(p, lr=0.05, momentum=0.9), at=7),
    "Accumulate": lambda p: optim.Accumulate(optim.Adam(p, lr=0.05), every=2),
    "advanced by hand": lambda p: optim.Switch(optim.Adam(p, lr=0.05), optim.SGD(p, lr=0.05, momentum=0.9)),
    "SWATS before": lambda p: optim.SWATS(p, lr=0.05, tolerance=0.02),
    "SWATS after it switched": lambda p: optim.SWATS(p, lr=0.05, tolerance=0.5),
    "around": lambda p: optim.Lookahead(optim.SAM(optim.RMSprop(p, lr=0.01))),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_checkpointed_run_goes_on_bit_for_bit(name: str, tmp_path: Any, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))

    def make() -> tuple[nn.Module, Any, Any]:
        model = nn.MLP(3, 4, 2, dtype=np.float64, generator=0)
        optimizer = MAKERS[name](list(model.parameters()))
        return model, optimizer, optim.WeightAverage(model.parameters(), decay=0.9)

    def train(model: Any, optimizer: Any, mean: Any, steps: int) -> None:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        for _ in range(steps):
            optimizer.step(closure)
            mean.update()

    whole = make()
    train(*whole, 11)
    first = make()
    train(*first, 5)
    parts = ("model", "optimizer", "mean")
    nn.save_checkpoint(tmp_path / "x", **dict(zip(parts, first, strict=True)))
    second = make()
    nn.load_checkpoint(tmp_path / "x", **dict(zip(parts, second, strict=True)))
    train(*second, 6)
    for p, q in zip(whole[0].parameters(), second[0].parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    for a, b in zip(whole[2].averages, second[2].averages, strict=True):
        np.testing.assert_array_equal(a, b)


def test_misuse_is_named() -> None:
    p = tensor(1.0)
    with pytest.raises(TypeError, match="Lookahead: optimizer must be an optimizer, not float"):
        optim.Lookahead(0.1)
    with pytest.raises(ValueError, match="Lookahead: k must be an integer >= 1, not 0"):
        optim.Lookahead(optim.SGD([p]), k=0)
    with pytest.raises(ValueError, match="Accumulate: every must be an integer >= 1, not 0"):
        optim.Accumulate(optim.SGD([p]), every=0)
    with pytest.raises(ValueError, match="SWATS: tolerance must be"):
        optim.SWATS([p], tolerance=-1.0)
    with pytest.raises(ValueError, match="SWATS: all parameters have to be in one group"):
        optim.SWATS([{"params": [p]}, {"params": [tensor(1.0)]}])
    with pytest.raises(ValueError, match="SAM: rho must be"):
        optim.SAM(optim.SGD([p]), rho=-1)
    with pytest.raises(ValueError, match="WeightAverage: got no parameters"):
        optim.WeightAverage(iter(()))
    with pytest.raises(KeyError, match="Lookahead: the state lacks"):
        optim.Lookahead(optim.SGD([p])).load_state_dict(optim.SGD([p]).state_dict())
    with pytest.raises(TypeError, match=r"SGD: unknown hyperparameter 'learning_rate'"):
        optim.SGD([{"params": [p], "learning_rate": 0.1}])


def with_gradient(value: float, gradient: float) -> Any:
    p = tensor(value)
    p.grad = ag.tensor(gradient)
    return p


INSIDE: dict[str, Any] = {
    "SGD": lambda p: optim.SGD([p], lr=1.0),
    "Chain": lambda p: optim.Chain([p], optim.transformations.centralize(), optim.transformations.scale(-1.0)),
    "Lookahead": lambda p: optim.Lookahead(optim.SGD([p], lr=1.0), k=1),
    "Accumulate": lambda p: optim.Accumulate(optim.SGD([p], lr=1.0), every=1),
    "Switch": lambda p: optim.Switch(optim.SGD([p], lr=1.0), optim.SGD([p], lr=1.0)),
    "SWATS": lambda p: optim.SWATS([p], lr=1.0),
    "Combined": lambda p: optim.Combined(optim.SGD([p], lr=1.0)),
    "Lookahead of Combined": lambda p: optim.Lookahead(optim.Combined(optim.SGD([p], lr=1.0))),
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_combined_step_that_is_refused_by_one_has_changed_none(name: str) -> None:
    for bad in (0, 1):
        good = [with_gradient(1.0, 1.0), with_gradient(1.0, 1.0)]
        good[bad].grad = ag.tensor(np.inf)
        optimizer = optim.Combined(INSIDE[name](good[0]), optim.Adam([good[1]]))
        state = repr(optimizer.state_dict())
        with pytest.raises(FloatingPointError, match="not finite"):
            optimizer.step()
        assert [p.item() for p in good] == [1.0, 1.0]
        assert repr(optimizer.state_dict()).replace("{0: {}}", "{}") == state
        good[bad].grad = ag.tensor(1.0)
        optimizer.step()
        assert all(p.item() < 1.0 for p in good)


def test_what_evaluates_the_loss_by_itself_is_refused_where_gradients_come_from_elsewhere() -> None:
    p, q = tensor(1.0), tensor(1.0)
    for make in (optim.LBFGS, optim.NewtonCG, optim.LevenbergMarquardt, lambda p: optim.SAM(optim.SGD(p)), lambda p: optim.Lookahead(optim.LBFGS(p))):
        with pytest.raises(TypeError, match=r"Combined: .* evaluates the loss by itself"):
            optim.Combined(optim.SGD([q]), make([p]))
        with pytest.raises(TypeError, match=r"Accumulate: .* evaluates the loss by itself"):
            optim.Accumulate(make([p]), every=2)
        with pytest.raises(TypeError, match=r"SAM: .* evaluates the loss by itself"):
            optim.SAM(make([p]))
        with pytest.raises(TypeError, match="needs a closure"):
            make([p]).step()
    with pytest.raises(TypeError, match="Combined: optimizer 1 must be an optimizer, not float"):
        optim.Combined(optim.SGD([p]), 0.1)


def test_wrappers_take_several_optimizers_and_switches() -> None:
    x, y = with_gradient(0.0, 1.0), with_gradient(0.0, 2.0)
    optimizer = optim.Lookahead(optim.Accumulate(optim.Combined(optim.SGD([x], lr=1.0), optim.SGD([y], lr=0.5)), every=2), k=2, alpha=0.5)
    for _ in range(4):
        optimizer.step()
    assert (x.item(), y.item(), optimizer.count) == (-1.0, -1.0, 2)
    z = with_gradient(0.0, 1.0)
    switching = optim.Accumulate(optim.Switch(optim.SGD([z], lr=1.0), optim.SGD([z], lr=10.0), at=1), every=2)
    for _ in range(4):
        switching.step()
    assert z.item() == -11.0


def test_groups_that_are_added_to_a_wrapper_or_inside_it_are_wrapped_too() -> None:
    for outside in (True, False):
        for wrap in (lambda o: optim.Lookahead(o, k=1, alpha=0.5), lambda o: optim.Accumulate(o, every=1)):
            x, y = with_gradient(0.0, 1.0), with_gradient(0.0, 1.0)
            inside = optim.SGD([x], lr=1.0)
            optimizer = wrap(inside)
            optimizer.step()
            (optimizer if outside else inside).add_param_group({"params": [y], "lr": 2.0})
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
            assert y.item() == x.item()  # one step of 2, and two of 1
            assert (optimizer.steps, optimizer.skipped_steps) == (2, 0)
    with pytest.raises(TypeError, match="Combined: call add_param_group of the one of `optimizers`"):
        optim.Combined(optim.SGD([tensor(1.0)])).add_param_group({"params": [tensor(1.0)]})


def test_a_step_that_is_skipped_is_not_counted_by_what_is_around_it() -> None:
    def closure() -> Any:
        return 0.0

    for wrap in (
        lambda p: optim.Lookahead(optim.SGD([p], nonfinite="skip"), k=2),
        lambda p: optim.Switch(optim.SGD([p], nonfinite="skip"), optim.SGD([p], nonfinite="skip"), at=np.int64(1)),
        lambda p: optim.SAM(optim.SGD([p], nonfinite="skip")),
    ):
        p = with_gradient(1.0, np.nan)
        optimizer = wrap(p)
        optimizer.step(closure)
        assert optimizer.skipped_steps == 1
        p.grad = ag.tensor(1.0)
        optimizer.step(closure)
        assert (optimizer.count if hasattr(optimizer, "count") else optimizer.steps) == 1
        assert p.item() == pytest.approx(0.999)


def test_sharpness_aware_steps_refuse_a_first_gradient_that_is_not_finite() -> None:
    p = tensor(1.0)
    optimizer = optim.SAM(optim.SGD([p], lr=1.0))
    gradients = iter([np.inf, 1.0])

    def closure() -> Any:
        p.grad = ag.tensor(next(gradients))
        return 0.0

    with pytest.raises(FloatingPointError, match="the gradient of parameter 0 of group 0"):
        optimizer.step(closure)
    assert (p.item(), optimizer.count) == (1.0, 0)


def test_the_mean_of_weights_begins_with_a_copy_and_checks_its_decay_when_it_is_made() -> None:
    for first in (np.nan, np.inf, 1e20):
        p = tensor(first)
        mean = optim.WeightAverage([p], decay=0.5)
        for value in (1.0, 2.0):
            p.data[...] = value
            mean.update()
        assert mean.averages[0] == 1.5
    with pytest.raises(ValueError, match=r"WeightAverage: decay must be in \[0, 1\], not 1.5"):
        optim.WeightAverage([tensor(1.0)], decay=1.5)


def test_switching_to_other_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="Switch: optimizer 1 has other parameters than the first one"):
        optim.Switch(optim.SGD([tensor(1.0)]), optim.SGD([tensor(1.0)]))


def _parameters() -> list[Any]:
    p = ag.tensor(np.random.default_rng(0).normal(size=(3, 2)), requires_grad=True)
    p.grad = ag.tensor(np.ones((3, 2)))
    return [p]


NEEDS_MORE = {"Optimizer", "Chain", "KFAC", "GaussNewton"}
NAMED = [
    name
    for name in optim.__all__
    if inspect.isclass(getattr(optim, name)) and issubclass(getattr(optim, name), optim.Optimizer) and name not in NEEDS_MORE
]
PICKLED: dict[str, Any] = {
    **{name: getattr(optim, name) for name in NAMED},
    "KFAC": lambda _: optim.KFAC(nn.MLP(3, 4, 1, generator=0)),
    "GaussNewton": lambda p: optim.GaussNewton(p, np.sum),
    "Chain": lambda p: optim.Chain(p, transformations.clip_by_global_norm(1.0), transformations.add_noise(0.1, 0.5, 0), transformations.scale(-1.0)),
    "a schedule": lambda p: optim.SGD(p, lr=optim.Warmup(optim.Cosine(0.1, 10), 3) + 0.1),
    "SAM": lambda p: optim.SAM(optim.SGD(p)),
    "SWATS": lambda p: optim.SWATS(p),
    "Accumulate": lambda p: optim.Accumulate(optim.SGD(p), 2),
    "Combined": lambda p: optim.Combined(optim.SGD(p)),
    "Lookahead": lambda p: optim.Lookahead(optim.SGD(p)),
    "Switch": lambda p: optim.Switch(optim.SGD(p)),
}


@pytest.mark.parametrize("name", PICKLED)
def test_every_optimizer_can_be_pickled_and_goes_on_as_the_original(name: str) -> None:
    def step(optimizer: Any) -> Any:
        def closure() -> Any:
            p = next(iter(optimizer.parameters()))
            return p.reshape(-1) if name in ("LevenbergMarquardt", "GaussNewton") else (p * p).sum()

        optimizer.step(*([closure] if optimizer.needs_closure else []))
        return [p.data.tolist() for p in optimizer.parameters()]

    optimizer = PICKLED[name](_parameters())
    step(optimizer)
    for clone in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
        for p, q in zip(clone.parameters(), optimizer.parameters(), strict=True):
            p.grad = q.grad
        kept = copy.deepcopy(optimizer)
        for p, q in zip(kept.parameters(), optimizer.parameters(), strict=True):
            p.grad = q.grad
        assert step(clone) == step(kept)
