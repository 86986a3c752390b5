"""Every rule that torch has, with every option, agrees with it over 50 steps in float64; states can be exchanged half-way."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim

torch = pytest.importorskip("torch")

SHAPES = [(4, 3), (5,), (), (2, 1, 3)]
STEPS = 50


def options(**choices: list[Any]) -> list[dict[str, Any]]:
    """All combinations of the choices."""
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


BOTH = [False, True]
DECAY = [0.0, 0.1]
CASES: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        *options(lr=[0.05], momentum=[0.0, 0.9], dampening=[0.0, 0.3], weight_decay=DECAY, maximize=BOTH),
        *options(lr=[0.05], momentum=[0.9], nesterov=[True], weight_decay=DECAY, maximize=BOTH),
    ],
    "ASGD": options(lr=[0.05], lambd=[1e-4, 0.1], alpha=[0.75, 0.5], t0=[1e6, 10], weight_decay=DECAY, maximize=BOTH),
    "Adagrad": options(lr=[0.05], lr_decay=DECAY, weight_decay=DECAY, initial_accumulator_value=[0.0, 0.5], eps=[1e-10, 0.1], maximize=BOTH),
    "Adadelta": options(lr=[1.0, 0.3], rho=[0.9, 0.5], eps=[1e-6, 0.1], weight_decay=DECAY, maximize=BOTH),
    "RMSprop": options(lr=[0.05], alpha=[0.99, 0.8], eps=[1e-8, 0.1], weight_decay=DECAY, momentum=[0.0, 0.9], centered=BOTH, maximize=BOTH),
    "Rprop": options(lr=[0.05], etas=[(0.5, 1.2), (0.3, 1.5)], step_sizes=[(1e-6, 50), (0.02, 0.2)], maximize=BOTH),
    "Adam": options(
        lr=[0.05], betas=[(0.9, 0.999), (0.5, 0.8)], eps=[1e-8, 0.1], weight_decay=DECAY, amsgrad=BOTH, maximize=BOTH, decoupled_weight_decay=BOTH
    ),
    "AdamW": options(lr=[0.05], betas=[(0.9, 0.999), (0.5, 0.8)], eps=[1e-8, 0.1], weight_decay=DECAY, amsgrad=BOTH, maximize=BOTH),
    "Adamax": options(lr=[0.05], betas=[(0.9, 0.999), (0.5, 0.8)], eps=[1e-8, 0.1], weight_decay=DECAY, maximize=BOTH),
    "NAdam": options(
        lr=[0.05],
        betas=[(0.9, 0.999), (0.5, 0.8)],
        eps=[1e-8, 0.1],
        weight_decay=DECAY,
        momentum_decay=[4e-3, 0.1],
        decoupled_weight_decay=BOTH,
        maximize=BOTH,
    ),
    "RAdam": options(lr=[0.05], betas=[(0.9, 0.999), (0.5, 0.8)], eps=[1e-8, 0.1], weight_decay=DECAY, decoupled_weight_decay=BOTH, maximize=BOTH),
    "Adafactor": options(lr=[0.05, 0.5], beta2_decay=[-0.8, -0.5], eps=[(None, 1e-3), (1e-3, 0.1)], d=[1.0, 2.0], weight_decay=DECAY, maximize=BOTH),
}
REAL_ONLY = {"Adafactor"}
every_case = pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}-{'-'.join(f'{k}={v}' for k, v in case.items())}") for name, cases in CASES.items() for case in cases],
)
first_cases = pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in (cases[0], cases[-1])])


@pytest.fixture(autouse=True)
def double_precision_scalars_in_torch() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def gradients(random: np.random.Generator, steps: int) -> list[list[Any]]:
    """Gradients of a noisy kind, some of them zero: what a rule meets in training."""
    return [[random.normal(size=shape) * random.choice([0.0, 1.0, 3.0], p=[0.1, 0.6, 0.3], size=shape) for shape in SHAPES] for _ in range(steps)]


class Pair:
    """Our parameters and torch's, which are given the same gradients."""

    def __init__(self, random: np.random.Generator, name: str, case: dict[str, Any], shapes: list[tuple[int, ...]] = SHAPES) -> None:
        starts = [random.normal(size=shape) for shape in shapes]
        self.ours = [ag.tensor(start, requires_grad=True) for start in starts]
        self.theirs = [torch.tensor(start, requires_grad=True) for start in starts]
        self.our_optimizer = getattr(optim, name)(self.ours, **case)
        self.their_optimizer = getattr(torch.optim, name)(self.theirs, **case)

    def step(self, gradients: list[Any]) -> None:
        for p, q, g in zip(self.ours, self.theirs, gradients, strict=True):
            p.grad = None if g is None else ag.tensor(g)
            q.grad = None if g is None else torch.tensor(g)
        self.our_optimizer.step()
        self.their_optimizer.step()

    def compare(self, step: int) -> None:
        for i, (p, q) in enumerate(zip(self.ours, self.theirs, strict=True)):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12, atol=1e-12, err_msg=f"parameter {i} after step {step}")


@every_case
def test_fifty_steps_are_torchs(name: str, case: dict[str, Any], rng: np.random.Generator) -> None:
    pair = Pair(rng, name, case)
    for step, g in enumerate(gradients(rng, STEPS), 1):
        pair.step(g)
        pair.compare(step)


@first_cases
def test_parameters_without_gradient_are_left_alone_and_age_by_themselves(name: str, case: dict[str, Any], rng: np.random.Generator) -> None:
    pair = Pair(rng, name, case)
    for step, g in enumerate(gradients(rng, 20), 1):
        pair.step([array if rng.random() < 0.7 else None for array in g])
        pair.compare(step)


@first_cases
def test_states_go_from_torch_to_us_and_back(name: str, case: dict[str, Any], rng: np.random.Generator) -> None:
    pair = Pair(rng, name, case)
    steps = gradients(rng, 30)
    for g in steps[:10]:
        pair.step(g)
    pair.our_optimizer = getattr(optim, name)(pair.ours)
    pair.our_optimizer.load_state_dict(pair.their_optimizer.state_dict())
    for g in steps[10:20]:
        pair.step(g)
    pair.compare(20)
    pair.their_optimizer = getattr(torch.optim, name)(pair.theirs)
    pair.their_optimizer.load_state_dict(optim.to_torch(pair.our_optimizer.state_dict()))
    for g in steps[20:]:
        pair.step(g)
    pair.compare(30)


@first_cases
def test_a_state_of_torchs_can_be_kept_without_torch(name: str, case: dict[str, Any], rng: np.random.Generator, tmp_path: Path) -> None:
    pair = Pair(rng, name, case)
    steps = gradients(rng, 12)
    for g in steps[:6]:
        pair.step(g)
    nn.save_checkpoint(tmp_path / "state", optimizer=optim.from_torch(pair.their_optimizer.state_dict()))
    pair.our_optimizer = getattr(optim, name)(pair.ours)
    nn.load_checkpoint(tmp_path / "state", optimizer=pair.our_optimizer)
    for g in steps[6:]:
        pair.step(g)
    pair.compare(12)


def test_the_memory_of_lbfgs_goes_to_torch_and_back() -> None:
    start = np.array([-1.0, 2.0])
    p, q = ag.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    ours, theirs = optim.LBFGS([p], lr=0.1, max_iter=3), torch.optim.LBFGS([q], lr=0.1, max_iter=3)

    def step(optimizer: Any, x: Any) -> None:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = (1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2
            loss.backward()
            return loss

        optimizer.step(closure)

    for _ in range(3):
        step(ours, p)
        step(theirs, q)
    swapped = optim.LBFGS([p]), torch.optim.LBFGS([q])
    swapped[0].load_state_dict(optim.from_torch(theirs.state_dict()))
    swapped[1].load_state_dict(optim.to_torch(ours.state_dict()))
    for _ in range(3):
        step(swapped[0], p)
        step(swapped[1], q)
    np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9)


def test_half_and_bfloat16_states_and_schedules() -> None:
    q = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    theirs = torch.optim.SGD([q], lr=0.1, momentum=0.9)
    (q * 1.5).sum().backward()
    theirs.step()
    ours = optim.SGD([ag.tensor(np.ones(3, np.float16), requires_grad=True)], lr=0.1)
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.state_dict()["state"][0]["momentum_buffer"], np.full(3, 1.5, np.float32))
    ours.param_groups[0]["lr"] = optim.Exponential(0.1, 0.9)
    with pytest.raises(ValueError, match="lr of group 0 is a schedule, Exponential"):
        optim.to_torch(ours.state_dict())


def test_a_model_and_its_optimizer_go_on_in_torch() -> None:
    model = nn.MLP(3, 4, 2, generator=0, dtype=np.float64)
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    x = np.random.default_rng(0).normal(size=(5, 3))
    optimizer = optim.AdamW(model.parameters(), lr=0.1)

    def ours_step() -> None:
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()

    ours_step()
    theirs.load_state_dict(nn.to_torch(model))
    their_optimizer = torch.optim.AdamW(theirs.parameters())
    their_optimizer.load_state_dict(optim.to_torch(optimizer.state_dict()))
    ours_step()
    their_optimizer.zero_grad()
    (theirs(torch.tensor(x)) ** 2).sum().backward()
    their_optimizer.step()
    for p, q in zip(model.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-10)
    model.load_state_dict(theirs.state_dict())
    optimizer.load_state_dict(their_optimizer.state_dict())


def test_what_torchs_schedulers_and_users_put_into_groups_is_taken_over() -> None:
    q = torch.tensor(1.0, requires_grad=True)
    theirs = torch.optim.SGD([{"params": [q], "lr_scale": 0.5}], lr=0.1, momentum=0.9)
    torch.optim.lr_scheduler.OneCycleLR(theirs, 0.2, total_steps=10)
    torch.optim.swa_utils.SWALR(theirs, swa_lr=0.05)
    ours = optim.SGD([ag.tensor(1.0, requires_grad=True)], lr=0.1)
    ours.load_state_dict(theirs.state_dict())
    assert ours.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]
    assert ours.param_groups[0]["lr_scale"] == 0.5


def test_adafactor_is_torchs_where_whole_rows_have_no_gradient(rng: np.random.Generator) -> None:
    pair = Pair(rng, "Adafactor", {"lr": 0.05}, [(4, 3), (2, 5, 3)])
    for step in range(1, 21):
        a, b = rng.normal(size=(4, 3)), rng.normal(size=(2, 5, 3))
        a[[1, 3]] = 0.0
        b[1, :, 2] = 1e-30
        pair.step([a, b])
        pair.compare(step)


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() if name not in REAL_ONLY for case in (cases[0], cases[-1])])
def test_complex_parameters_are_torchs(name: str, case: dict[str, Any], rng: np.random.Generator) -> None:
    start = rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2))
    p, q = ag.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    ours, theirs = getattr(optim, name)([p], **case), getattr(torch.optim, name)([q], **case)
    for _ in range(20):
        g = rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2))
        p.grad, q.grad = ag.tensor(g), torch.tensor(g)
        ours.step()
        theirs.step()
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12, atol=1e-12)


@first_cases
def test_defaults_and_argument_order_are_torchs(name: str, case: dict[str, Any]) -> None:
    p, q = ag.tensor(1.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    ours, theirs = getattr(optim, name)([p]).param_groups[0], getattr(torch.optim, name)([q]).param_groups[0]
    shared = ours.keys() & theirs.keys() - {"params"}
    assert set(case) <= shared
    assert {key: ours[key] for key in shared} == {key: theirs[key] for key in shared}
    by_place = getattr(optim, name)([p], 0.5).param_groups[0]
    assert by_place["lr"] == 0.5


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (5, 5)])
@pytest.mark.parametrize(
    "case",
    options(lr=[0.05], weight_decay=DECAY, momentum=[0.95, 0.5], nesterov=BOTH, ns_steps=[5, 2], adjust_lr_fn=[None, "original", "match_rms_adamw"]),
)
def test_muon_is_torchs_but_for_its_bfloat16(
    shape: tuple[int, int], case: dict[str, Any], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    pair = Pair(rng, "Muon", case, [shape])
    for step in range(1, 21):
        pair.step([rng.normal(size=shape)])
        pair.compare(step)
    with pytest.raises(ValueError, match=r"Muon: parameter 0 has shape \(3,\) and is no matrix"):
        optim.Muon([ag.tensor(np.ones(3), requires_grad=True)])


@pytest.mark.parametrize("case", options(lr=[0.05], betas=[(0.9, 0.999), (0.5, 0.8)], eps=[1e-8, 0.1], maximize=BOTH))
def test_sparse_adam_is_torchs_on_rows_that_have_a_gradient(case: dict[str, Any], rng: np.random.Generator) -> None:
    start = rng.normal(size=(6, 3))
    p, q = ag.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    ours, theirs = optim.SparseAdam([p], **case), torch.optim.SparseAdam([q], **case)
    for step in range(1, STEPS + 1):
        rows = np.sort(rng.choice(6, size=rng.integers(0, 5), replace=False))
        values = rng.normal(size=(len(rows), 3))
        g = np.zeros((6, 3))
        g[rows] = values
        p.grad = ag.tensor(g)
        q.grad = torch.sparse_coo_tensor(rows[None], values, (6, 3), check_invariants=True)
        before = p.data.copy()
        ours.step()
        theirs.step()
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12, atol=1e-12, err_msg=f"step {step}")
        assert np.array_equal(np.flatnonzero((p.data != before).any(axis=1)), rows)
        if step == 20:
            taken = optim.SparseAdam([p], **case)
            taken.load_state_dict(theirs.state_dict())
            ours = taken


EXECUTION = {"foreach", "capturable", "differentiable", "fused"}  # how torch runs a rule, not what it computes


@pytest.mark.parametrize("name", [*CASES, "SparseAdam", "Muon", "LBFGS"])
def test_every_argument_of_torch_is_there_in_its_order(name: str) -> None:
    def names(make: Any, positional: bool) -> list[str]:
        kinds = [inspect.Parameter.POSITIONAL_OR_KEYWORD] if positional else [inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY]
        return [p.name for p in inspect.signature(make).parameters.values() if p.kind in kinds]

    ours, theirs = getattr(optim, name), getattr(torch.optim, name)
    assert set(names(theirs, False)) - EXECUTION <= set(names(ours, False))
    in_order = list(itertools.takewhile(lambda argument: argument not in EXECUTION, names(theirs, True)))
    assert names(ours, True)[: len(in_order)] == in_order
