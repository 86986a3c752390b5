"""torch's schedulers and ours give the same learning rates and momenta for 200 steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import optim

STEPS = 200
CASES: list[tuple[str, dict[str, Any]]] = [
    ("LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}),
    ("LambdaLR", {"lr_lambda": [lambda t: 0.9**t, lambda t: 1 + t % 3]}),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 0.9 if t % 2 else 1.05}),
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 30, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [5, 50, 50, 120], "gamma": 0.3}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 20}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 50}),
    ("ExponentialLR", {"gamma": 0.97}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 60, "power": 2.5}),
    ("CosineAnnealingLR", {"T_max": 40}),
    ("CosineAnnealingLR", {"T_max": 130, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 10}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 3, "eta_min": 0.01}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 9}),
    ("CyclicLR", {"base_lr": [0.01, 0.1], "max_lr": [0.5, 0.3], "step_size_up": 9, "step_size_down": 21, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 20, "mode": "exp_range", "gamma": 0.99, "base_momentum": 0.5}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 20, "scale_fn": lambda x: 1 / x, "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 20, "scale_fn": lambda x: 0.995**x, "scale_mode": "iterations"}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 201}),
    ("OneCycleLR", {"max_lr": [0.5, 0.3], "epochs": 41, "steps_per_epoch": 5, "anneal_strategy": "linear", "pct_start": 0.1}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 240, "three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0, "max_momentum": 0.9}),
]

torch = pytest.importorskip("torch")


def optimizers(kind: str) -> tuple[Any, Any]:
    def groups(make: Callable[..., Any]) -> list[dict[str, Any]]:
        return [{"params": [make(1.0, requires_grad=True)]}, {"params": [make(2.0, requires_grad=True)], "lr": 0.3}]

    options: dict[str, Any] = {"lr": 0.1} | ({"momentum": 0.9} if kind == "SGD" else {})
    return getattr(optim, kind)(groups(ag.tensor), **options), getattr(torch.optim, kind)(groups(torch.tensor), **options)


def rates(optimizer: Any) -> list[tuple[float, ...]]:
    return [(float(g["lr"]), float(g["momentum"] if "momentum" in g else g["betas"][0])) for g in optimizer.param_groups]


def compare(ours: Any, theirs: Any, our_scheduler: Any, their_scheduler: Any, steps: int = STEPS) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(steps):
            np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-11, atol=1e-14, err_msg=f"step {step}")
            np.testing.assert_allclose(our_scheduler.get_last_lr(), [float(x) for x in their_scheduler.get_last_lr()], rtol=1e-11, atol=1e-14)
            our_scheduler.step()
            their_scheduler.step()


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
@pytest.mark.filterwarnings("ignore")
def test_learning_rates_and_momenta_are_torchs(name: str, options: dict[str, Any], kind: str) -> None:
    ours, theirs = optimizers(kind)
    compare(ours, theirs, getattr(optim.lr_scheduler, name)(ours, **options), getattr(torch.optim.lr_scheduler, name)(theirs, **options))


@pytest.mark.filterwarnings("ignore")
def test_sequential_schedulers_are_torchs() -> None:
    ours, theirs = optimizers("SGD")

    def make(module: Any, optimizer: Any) -> Any:
        parts = [
            module.LinearLR(optimizer, start_factor=0.1, total_iters=10),
            module.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.001),
            module.ExponentialLR(optimizer, gamma=0.98),
        ]
        return module.SequentialLR(optimizer, parts, milestones=[10, 60])

    compare(ours, theirs, make(optim.lr_scheduler, ours), make(torch.optim.lr_scheduler, theirs))


@pytest.mark.filterwarnings("ignore")
def test_chained_schedulers_are_torchs() -> None:
    ours, theirs = optimizers("SGD")

    def make(module: Any, optimizer: Any) -> Any:
        parts = [
            module.ConstantLR(optimizer, factor=0.1, total_iters=10),
            module.ExponentialLR(optimizer, gamma=0.98),
            module.CosineAnnealingLR(optimizer, T_max=300),
        ]
        return module.ChainedScheduler(parts)

    compare(ours, theirs, make(optim.lr_scheduler, ours), make(torch.optim.lr_scheduler, theirs))


RELATIVE = [(name, options) for name, options in CASES if name not in ("LambdaLR", "CyclicLR", "OneCycleLR", "CosineAnnealingWarmRestarts")]


@pytest.mark.parametrize(("name", "options"), RELATIVE, ids=[f"{name}-{i}" for i, (name, _) in enumerate(RELATIVE)])
@pytest.mark.filterwarnings("ignore")
def test_two_schedulers_that_are_stepped_in_turn_multiply_as_in_torch(name: str, options: dict[str, Any]) -> None:
    ours, theirs = optimizers("SGD")
    pairs = []
    for other, more in (("StepLR", {"step_size": 9, "gamma": 0.5}), (name, options), ("ExponentialLR", {"gamma": 1.01})):
        pairs.append((getattr(optim.lr_scheduler, other)(ours, **more), getattr(torch.optim.lr_scheduler, other)(theirs, **more)))
    for step in range(STEPS):
        np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-9, atol=1e-12, err_msg=f"step {step}")
        for pair in pairs:
            for scheduler in pair:
                scheduler.step()
        if step == 20:
            ours.param_groups[0]["lr"] = theirs.param_groups[0]["lr"] = 0.2


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("cooldown", [0, 3])
def test_reduce_on_plateau_is_torchs(mode: str, threshold_mode: str, cooldown: int, rng: np.random.Generator) -> None:
    ours, theirs = optimizers("SGD")
    options: dict[str, Any] = {
        "mode": mode,
        "factor": 0.7,
        "patience": 4,
        "threshold": 0.01,
        "threshold_mode": threshold_mode,
        "cooldown": cooldown,
        "min_lr": [1e-3, 1e-2],
    }
    a, b = optim.lr_scheduler.ReduceLROnPlateau(ours, **options), torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for step in range(STEPS):
        metric = float((1 if mode == "min" else -1) * (10 / (1 + 0.05 * step) + rng.normal()))
        a.step(metric)
        b.step(metric)
        np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-14, err_msg=f"step {step}")


def test_a_plateau_is_handed_over_to_torch_and_back(rng: np.random.Generator) -> None:
    ours, theirs = optimizers("SGD")

    def make() -> tuple[Any, Any]:
        options: dict[str, Any] = {"patience": 3, "factor": 0.5, "cooldown": 2}
        return optim.lr_scheduler.ReduceLROnPlateau(ours, **options), torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)

    a, b = make()
    for _ in range(4):
        for _ in range(7):
            metric = 1 + float(rng.random())
            a.step(metric)
            b.step(metric)
            assert rates(ours) == rates(theirs)
        c, d = make()
        c.load_state_dict(b.state_dict())
        d.load_state_dict(a.state_dict())
        a, b = c, d
    assert rates(ours)[0][0] < 0.05


@pytest.mark.parametrize(("strategy", "epochs"), [("cos", 10), ("linear", 7), ("cos", 0)])
@pytest.mark.filterwarnings("ignore")
def test_the_rate_of_weight_averaging_is_torchs_after_another_scheduler(strategy: str, epochs: int) -> None:
    ours, theirs = optimizers("SGD")
    options: dict[str, Any] = {"swa_lr": [0.05, 0.01], "anneal_epochs": epochs, "anneal_strategy": strategy}
    first, second = optim.lr_scheduler.ExponentialLR(ours, 0.9), torch.optim.lr_scheduler.ExponentialLR(theirs, 0.9)
    a, b = optim.swa_utils.SWALR(ours, **options), torch.optim.swa_utils.SWALR(theirs, **options)
    for epoch in range(30):
        np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-12, err_msg=f"epoch {epoch}")
        if epoch < 8:
            first.step()
            second.step()
        else:
            a.step()
            b.step()


def test_warm_restarts_take_fractions_of_epochs() -> None:
    ours, theirs = optimizers("SGD")
    a = optim.lr_scheduler.CosineAnnealingWarmRestarts(ours, T_0=3, T_mult=2)
    b = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, T_0=3, T_mult=2)
    for k in range(100):
        a.step(k / 7)
        b.step(k / 7)
        np.testing.assert_allclose(rates(ours), rates(theirs), rtol=1e-11, atol=1e-14)


def test_a_saved_scheduler_goes_on() -> None:
    first, _ = optimizers("SGD")
    scheduler = optim.lr_scheduler.StepLR(first, 3)
    for _ in range(4):
        scheduler.step()
    second, _ = optimizers("SGD")
    other = optim.lr_scheduler.StepLR(second, 3)
    other.load_state_dict(scheduler.state_dict())
    second.load_state_dict(first.state_dict())
    for _ in range(4):
        assert rates(first) == rates(second)
        scheduler.step()
        other.step()


def test_a_factor_is_asked_for_once_per_step() -> None:
    ours, _ = optimizers("SGD")
    calls: list[float] = []
    scheduler = optim.lr_scheduler.MultiplicativeLR(ours, [lambda t: calls.append(t) or 0.5, lambda t: 1.0])  # type: ignore[func-returns-value]
    for _ in range(20):
        scheduler.step()
    assert calls == list(range(1, 21))
    assert rates(ours)[0][0] == 0.1 * 0.5**20


def test_resuming_at_a_step_needs_the_initial_learning_rate() -> None:
    ours, theirs = optimizers("SGD")
    with pytest.raises(KeyError, match="group 0 has no 'initial_lr'"):
        optim.lr_scheduler.StepLR(ours, 3, last_epoch=4)
    for optimizer in (ours, theirs):
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.5
    compare(
        ours,
        theirs,
        optim.lr_scheduler.ExponentialLR(ours, 0.9, last_epoch=0),
        torch.optim.lr_scheduler.ExponentialLR(theirs, 0.9, last_epoch=0),
        9,
    )


def test_misuse_is_named() -> None:
    ours, _ = optimizers("SGD")
    scheduler = optim.lr_scheduler
    with pytest.raises(TypeError, match="optimizer must be an Optimizer, not int"):
        scheduler.StepLR(3, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lr_lambda: 3 values for 2 parameter groups"):
        scheduler.LambdaLR(ours, [abs, abs, abs])
    with pytest.raises(ValueError, match="give total_steps, or epochs and steps_per_epoch"):
        scheduler.OneCycleLR(ours, 0.1, epochs=3)
    with pytest.raises(ValueError, match="2 schedulers need 1 milestones, not 0"):
        scheduler.SequentialLR(ours, [scheduler.StepLR(ours, 3), scheduler.StepLR(ours, 3)], [])
    with pytest.raises(ValueError, match="all schedulers must be of this optimizer"):
        scheduler.ChainedScheduler([scheduler.StepLR(ours, 3)], optimizers("Adam")[0])
    p = ag.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="CyclicLR: Adagrad has no momentum or betas"):
        scheduler.CyclicLR(optim.Adagrad([p]), 0.1, 0.2)
    with pytest.raises(TypeError, match=r"StepLR: group 0 has no lr to set; give a schedule to one of scale.factor instead"):
        scheduler.StepLR(optim.Chain([p], optim.transformations.scale(-0.1)), 3)
    with pytest.raises(ValueError, match='SWALR: anneal_strategy must be "cos" or "linear"'):
        optim.swa_utils.SWALR(ours, 0.1, anneal_strategy="exp")
    with pytest.raises(ValueError, match="SWALR: anneal_epochs must be an integer >= 0"):
        optim.swa_utils.SWALR(ours, 0.1, anneal_epochs=-1)
    with pytest.raises(TypeError, match="lr of group 0 is a schedule already"):
        scheduler.StepLR(optim.SGD([p], lr=optim.Constant(0.1)), 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: optim.lr_scheduler.StepLR(o, 3),
        lambda o: optim.lr_scheduler.ReduceLROnPlateau(o),
        lambda o: optim.lr_scheduler.SequentialLR(o, [optim.lr_scheduler.ConstantLR(o), optim.lr_scheduler.ExponentialLR(o, 0.9)], [2]),
        lambda o: optim.lr_scheduler.ChainedScheduler([optim.lr_scheduler.ConstantLR(o), optim.lr_scheduler.ExponentialLR(o, 0.9)]),
    ],
    ids=["StepLR", "ReduceLROnPlateau", "SequentialLR", "ChainedScheduler"],
)
def test_a_state_of_something_else_is_refused(make):
    optimizer = optim.SGD([ag.tensor(1.0, requires_grad=True)], lr=0.1)
    scheduler = make(optimizer)
    before = scheduler.state_dict()
    with pytest.raises(ValueError, match=f"{type(scheduler).__name__}: the state of something else: it has no '.*', only 'state', 'param_groups'"):
        scheduler.load_state_dict({"state": {}, "param_groups": []})
    assert scheduler.state_dict() == before
