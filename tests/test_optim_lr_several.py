"""Schedulers of schedulers, schedulers that are resumed, and groups that are added: all as in torch, which is run beside them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")

STEPS = 30


def inverse(step: float) -> float:
    return 1 / (1 + step)


def pair(lr: float = 0.1, momentum: float = 0.9) -> list[tuple[Any, Any]]:
    """(optimizer, module of its schedulers): ours and torch's."""
    ours = optim.SGD([ag.tensor(1.0, requires_grad=True)], lr=lr, momentum=momentum)
    theirs = torch.optim.SGD([torch.tensor(1.0, requires_grad=True)], lr=lr, momentum=momentum)
    return [(ours, optim.lr_scheduler), (theirs, torch.optim.lr_scheduler)]


def seen(optimizer: Any, scheduler: Any, steps: int = STEPS) -> list[list[tuple[float, float]]]:
    """Learning rates and momenta before each of the steps."""
    result = []
    for _ in range(steps):
        result.append([(float(group["lr"]), float(group["momentum"])) for group in optimizer.param_groups])
        scheduler.step()
    return result


def is_torchs(make: Callable[[Any, Any], Any], steps: int = STEPS) -> list[list[tuple[float, float]]]:
    ours, theirs = (seen(optimizer, make(optimizer, module), steps) for optimizer, module in pair())
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14)
    return ours


CHAINS: list[list[tuple[str, dict[str, Any]]]] = [
    [("LinearLR", {"start_factor": 0.1, "total_iters": 5}), ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.05})],
    [("LambdaLR", {"lr_lambda": inverse}), ("ExponentialLR", {"gamma": 0.9})],
    [("ExponentialLR", {"gamma": 0.9}), ("LambdaLR", {"lr_lambda": inverse}), ("StepLR", {"step_size": 4})],
    [("ConstantLR", {"total_iters": 3}), ("OneCycleLR", {"max_lr": 0.1, "total_steps": 40})],
    [("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 4}), ("MultiStepLR", {"milestones": [5, 9]})],
]


def parts(module: Any, optimizer: Any, chain: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    return [getattr(module, name)(optimizer, **options) for name, options in chain]


@pytest.mark.parametrize("chain", CHAINS, ids=["+".join(name for name, _ in chain) for chain in CHAINS])
def test_chained_schedulers_are_torchs_and_those_stepped_one_by_one(chain: list[tuple[str, dict[str, Any]]]) -> None:
    chained = is_torchs(lambda optimizer, module: module.ChainedScheduler(parts(module, optimizer, chain)))
    optimizer, module = pair()[0]
    singly = parts(module, optimizer, chain)
    for values in chained:
        assert [(group["lr"], group["momentum"]) for group in optimizer.param_groups] == values
        for scheduler in singly:
            scheduler.step()


@pytest.mark.parametrize("chain", CHAINS, ids=["+".join(name for name, _ in chain) for chain in CHAINS])
def test_sequential_schedulers_are_torchs_with_their_momenta(chain: list[tuple[str, dict[str, Any]]]) -> None:
    milestones = [3, 8][: len(chain) - 1]
    is_torchs(lambda optimizer, module: module.SequentialLR(optimizer, parts(module, optimizer, chain), milestones))


def test_a_chain_in_a_sequence_does_what_it_does_alone_wherever_it_begins() -> None:
    # Not compared with torch, which begins its cosine with another value: inside a sequence it does not know its first step.
    alone = is_torchs(lambda optimizer, module: module.ChainedScheduler(parts(module, optimizer, CHAINS[0])), 6)
    for place in (0, 1):
        optimizer, module = pair()[0]
        members = [module.ConstantLR(optimizer, 0.5, 3), module.ChainedScheduler(parts(module, optimizer, CHAINS[0]))]
        rates = seen(optimizer, module.SequentialLR(optimizer, members[place:], [4][place:]), 10)
        np.testing.assert_allclose(rates[0 if place else 4 :][:6], alone, rtol=1e-12)


MAKERS: dict[str, Callable[[Any, Any], Any]] = {
    "LambdaLR": lambda o, m: m.LambdaLR(o, inverse),
    "MultiplicativeLR": lambda o, m: m.MultiplicativeLR(o, inverse),
    "StepLR": lambda o, m: m.StepLR(o, 3),
    "ConstantLR": lambda o, m: m.ConstantLR(o, total_iters=10),
    "LinearLR": lambda o, m: m.LinearLR(o, total_iters=10),
    "PolynomialLR": lambda o, m: m.PolynomialLR(o, 20),
    "CosineAnnealingLR": lambda o, m: m.CosineAnnealingLR(o, 3, 0.01),
    "CosineAnnealingWarmRestarts": lambda o, m: m.CosineAnnealingWarmRestarts(o, 10),
    "CyclicLR": lambda o, m: m.CyclicLR(o, 0.1, 0.5, 4, scale_fn=inverse, scale_mode="iterations"),
    "OneCycleLR": lambda o, m: m.OneCycleLR(o, 0.3, 40),
    "SequentialLR": lambda o, m: m.SequentialLR(o, [m.LinearLR(o), m.ExponentialLR(o, 0.9)], [2]),
    "ChainedScheduler": lambda o, m: m.ChainedScheduler([m.LinearLR(o), m.LambdaLR(o, inverse)]),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_scheduler_resumes_in_an_optimizer_that_was_made_with_another_learning_rate(name: str) -> None:
    results = []
    for (first, module), (second, _) in zip(pair(), pair(lr=1.0), strict=True):
        scheduler = MAKERS[name](first, module)
        seen(first, scheduler, 4)
        other = MAKERS[name](second, module)
        second.load_state_dict(first.state_dict())
        other.load_state_dict(scheduler.state_dict())
        expected = seen(first, scheduler)
        np.testing.assert_allclose(seen(second, other), expected, rtol=1e-12)
        results.append(expected)
    np.testing.assert_allclose(*results, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", MAKERS)
def test_a_scheduler_takes_over_the_state_of_torchs(name: str) -> None:
    (_, our_module), (theirs, module) = pair()
    scheduler = MAKERS[name](theirs, module)
    seen(theirs, scheduler, 4)
    ours = pair(lr=1.0)[0][0]
    other = MAKERS[name](ours, our_module)
    ours.load_state_dict(theirs.state_dict())
    state = scheduler.state_dict()
    other.load_state_dict(state)
    np.testing.assert_allclose(seen(ours, other), seen(theirs, scheduler), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", MAKERS)
def test_a_scheduler_can_be_pickled_with_its_optimizer(name: str) -> None:
    optimizer, module = pair()[0]
    scheduler = MAKERS[name](optimizer, module)
    seen(optimizer, scheduler, 4)
    copied = pickle.loads(pickle.dumps(scheduler))
    assert seen(copied.optimizer, copied, 10) == seen(optimizer, scheduler, 10)


def test_a_group_that_is_added_later_is_scheduled_from_its_own_learning_rate_as_in_torch() -> None:
    for (optimizer, module), tensor in zip(pair(), (ag.tensor, torch.tensor), strict=True):
        scheduler = module.ExponentialLR(optimizer, 0.5)
        scheduler.step()
        optimizer.add_param_group({"params": [tensor(1.0, requires_grad=True)], "lr": 0.01})
        scheduler.step()
        np.testing.assert_allclose([group["lr"] for group in optimizer.param_groups], [0.025, 0.005])


def test_a_group_that_is_added_later_joins_each_scheduler_that_knows_its_values() -> None:
    module = optim.lr_scheduler
    for make in [*MAKERS.values(), lambda o, m: m.ReduceLROnPlateau(o, patience=0)]:
        optimizer, _ = pair()[0]
        scheduler = make(optimizer, module)
        optimizer.add_param_group({"params": [ag.tensor(1.0, requires_grad=True)]})
        for _ in range(3):
            scheduler.step(*([1.0] if isinstance(scheduler, module.ReduceLROnPlateau) else []))
        assert len(scheduler.get_last_lr()) == 2
        assert optimizer.param_groups[1]["lr"] > 0
    optimizer, _ = pair()[0]
    listed = module.LambdaLR(optimizer, [inverse])
    optimizer.add_param_group({"params": [ag.tensor(1.0, requires_grad=True)]})
    with pytest.raises(ValueError, match="lr_lambda: 1 values, but there is a group 1 now; make the scheduler anew"):
        listed.step()


def test_what_cannot_be_a_part_is_refused_when_it_is_given() -> None:
    optimizer, module = pair()[0]
    plateau, step = module.ReduceLROnPlateau(optimizer), module.StepLR(optimizer, 3)
    with pytest.raises(TypeError, match="SequentialLR: scheduler 1 is a ReduceLROnPlateau, which cannot be stepped without more"):
        module.SequentialLR(optimizer, [step, plateau], [3])
    with pytest.raises(TypeError, match="ChainedScheduler: scheduler 0 is a ReduceLROnPlateau"):
        module.ChainedScheduler([plateau, step])
    with pytest.raises(ValueError, match=r"SequentialLR: milestones must be in order, not \[5, 2\]"):
        module.SequentialLR(optimizer, [step, step, step], [5, 2])
    with pytest.raises(ValueError, match="SequentialLR: got no schedulers"):
        module.SequentialLR(optimizer, [], [])
    chained = module.ChainedScheduler([step])
    with pytest.raises(ValueError, match="ChainedScheduler: step goes to the next step, or back to 0; it cannot go to 4"):
        chained.step(4)
    with pytest.raises(ValueError, match="ChainedScheduler: the state is of 2 schedulers, but there are 1"):
        chained.load_state_dict(module.ChainedScheduler([step, step]).state_dict())
    with pytest.raises(ValueError, match="StepLR: the state is of 2 parameter groups, but the optimizer has 1"):
        step.load_state_dict({**step.state_dict(), "base_lrs": [0.1, 0.1]})
    scheduled = optim.SGD([ag.tensor(1.0, requires_grad=True)], lr=optim.Constant(0.1))
    with pytest.raises(TypeError, match="ReduceLROnPlateau: lr of group 0 is a schedule already"):
        module.ReduceLROnPlateau(scheduled)


@pytest.mark.parametrize("pct_start", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("total", [2, 3, 10])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_is_torchs_for_few_steps_and_any_share_of_warm_up(pct_start: float, total: int, three_phase: bool) -> None:
    if three_phase and pct_start > 0.5:
        with pytest.raises(ValueError, match=r"or \[0, 0.5\] with three phases"):
            optim.OneCycle(1.0, total, pct_start, three_phase=True)
        return
    if pct_start * total == 1:  # torch divides by the 0 steps of the way up; here the peak is the first value
        assert optim.OneCycle(1.0, total, pct_start, three_phase=three_phase)(0) == 1.0
        return
    options: dict[str, Any] = {"max_lr": 1.0, "total_steps": total, "pct_start": pct_start, "three_phase": three_phase}
    is_torchs(lambda optimizer, module: module.OneCycleLR(optimizer, **options), total - 1)


def plateau(optimizer: Any, module: Any) -> Any:
    return module.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)


ORDERS = ["optimizer scheduler load_optimizer load_scheduler", "optimizer scheduler load_scheduler load_optimizer"]
ORDERS += ["optimizer load_optimizer scheduler load_scheduler"]


@pytest.mark.parametrize("lr", [0.1, 0.7])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", MAKERS)
def test_all_orders_of_making_and_loading_give_the_same_rates(name: str, order: str, lr: float) -> None:
    (first, module), _ = pair()
    scheduler, metric = MAKERS[name](first, module), plateau(first, module)
    seen(first, scheduler, 4)
    metric.step(1.0)
    metric.step(1.0)  # another one has changed the rate since
    states = first.state_dict(), scheduler.state_dict(), metric.state_dict()
    second: Any
    other: Any
    for action in order.split():
        if action == "optimizer":
            second = pair(lr=lr)[0][0]
        elif action == "scheduler":
            other, metric = MAKERS[name](second, module), plateau(second, module)
        elif action == "load_optimizer":
            second.load_state_dict(states[0])
        else:
            metric.load_state_dict(states[2])
            other.load_state_dict(states[1])
    for a, b in zip(first.param_groups, second.param_groups, strict=True):
        assert {k: v for k, v in a.items() if k != "params"} == {k: v for k, v in b.items() if k != "params"}
    assert seen(second, other, 6) == seen(first, scheduler, 6)


@pytest.mark.parametrize("name", MAKERS)
def test_a_scheduler_made_on_a_loaded_optimizer_takes_over_the_state_of_torchs(name: str) -> None:
    (_, our_module), (theirs, module) = pair()
    scheduler = MAKERS[name](theirs, module)
    seen(theirs, scheduler, 4)
    ours = pair(lr=1.0)[0][0]
    ours.load_state_dict(theirs.state_dict())
    other = MAKERS[name](ours, our_module)
    other.load_state_dict(scheduler.state_dict())
    np.testing.assert_allclose(seen(ours, other), seen(theirs, scheduler), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", [*MAKERS, "ReduceLROnPlateau"])
def test_a_scheduler_shows_its_options_and_where_it_stands(name: str) -> None:
    optimizer, module = pair()[0]
    make = MAKERS.get(name, plateau)
    text = repr(make(optimizer, module))
    assert text.startswith(f"{name}(")
    assert "lr [" in text
    assert "at step 0" in text
    assert "object at 0x" not in text.replace("function", "")
