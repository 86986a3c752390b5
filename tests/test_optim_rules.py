"""Rules as pure functions: they change nothing, keep dtypes, run in any cut; and what torch does not have, by its formula."""

from __future__ import annotations

import concurrent.futures
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from optim import packs, parallel, program, rules, transformations

CLASSES = [getattr(optim, name) for name in optim.optimizers.__all__ if name != "LBFGS"]  # which has no rule, and tests of its own
every_optimizer = pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)


def shapes_for(make: Any) -> list[tuple[int, ...]]:
    return [(3, 4), (5, 5)] if make is optim.Muon else [(3, 4), (5,), (), (2, 1, 3)]


def run(make: Any, starts: list[Any], steps: list[list[Any]], **options: Any) -> tuple[list[Any], Any]:
    parameters = [ag.tensor(start, requires_grad=True) for start in starts]
    optimizer = make(parameters, **options)
    for gradients in steps:
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = ag.tensor(g)
        optimizer.step()
    return [np.array(p.data) for p in parameters], optimizer


@every_optimizer
def test_a_rule_changes_neither_the_gradient_nor_the_parameter_nor_the_old_state(make: Any, rng: np.random.Generator) -> None:
    shape = shapes_for(make)[0]
    hyperparameters = make([ag.tensor(np.ones(shape), requires_grad=True)])
    group = {name: hyperparameters.param_groups[0][name] for name in hyperparameters.hyperparameters}
    g, p = rng.normal(size=shape), rng.normal(size=shape)
    state: dict[str, Any] = {}
    for _ in range(3):
        copies = g.copy(), p.copy(), {name: np.array(value) for name, value in state.items()}
        change, new = hyperparameters.rule(g, p, state, **group)
        again, _ = hyperparameters.rule(g, p, state, **group)
        np.testing.assert_array_equal(change, again)
        np.testing.assert_array_equal(g, copies[0])
        np.testing.assert_array_equal(p, copies[1])
        assert all((np.array(state[name]) == value).all() for name, value in copies[2].items())
        assert change.shape == p.shape
        g, p, state = rng.normal(size=shape), p + change, new


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_and_states_keep_their_dtype(make: Any, dtype: Any, rng: np.random.Generator) -> None:
    shapes = shapes_for(make)
    parameters, optimizer = run(
        make, [np.ones(s, dtype=dtype) for s in shapes], [[rng.normal(size=s).astype(dtype) for s in shapes] for _ in range(3)], lr=np.float64(0.01)
    )
    assert {p.dtype for p in parameters} == {np.dtype(dtype)}
    arrays = [v for entry in optimizer.state.values() for v in entry.values() if isinstance(v, np.ndarray)]
    assert {a.dtype for a in arrays} <= {np.dtype(dtype)}


RULES = {"AdamW": "adam", "SparseAdam": "sparse_adam"}  # whose names are not their classes' in small letters
PER_ELEMENT = [make for make in CLASSES if hasattr(getattr(rules, RULES.get(make.__name__, make.__name__.lower())), "per_element")]


@pytest.mark.parametrize("make", PER_ELEMENT, ids=lambda make: make.__name__)
def test_cutting_joining_and_compiling_change_nothing(make: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [(7, 5), (3,), (), (0, 4), (50,), (2, 2)]
    starts = [np.array(rng.normal(size=s), order="F") for s in shapes]
    steps = [[rng.normal(size=s) * (rng.random(size=s) > 0.1) for s in shapes] for _ in range(5)]
    decay = {"weight_decay": 0.1} if "weight_decay" in inspect.signature(make).parameters else {}

    def outcome(joined: int, block: int, compiled_from: int) -> list[Any]:
        monkeypatch.setattr(packs, "JOINED", joined)
        monkeypatch.setattr(packs, "PROGRAM", compiled_from)
        monkeypatch.setattr(program, "BLOCK", block)
        parameters, optimizer = run(make, starts, steps, **decay)
        return parameters + [v for entry in optimizer.state_dict()["state"].values() for v in entry.values()]

    expected = outcome(1, 1, 1 << 20)
    for ways in ((1 << 20, 1, 1 << 20), (1, 200, 1), (10, 5000, 1), (1 << 20, 350, 1), (1 << 20, 1 << 20, 1)):
        for found, wanted in zip(outcome(*ways), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@every_optimizer
def test_a_small_network_learns(make: Any, rng: np.random.Generator) -> None:
    x = rng.normal(size=(64, 4))
    y = np.tanh(x @ rng.normal(size=(4, 3)))
    model = nn.MLP(4, 16, 3, activation=nn.Tanh, dtype=np.float64, generator=0)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    optimizer = make(
        matrices if make is optim.Muon else model.parameters(),
        lr={"LARS": 20.0, "Adadelta": 1.0, "SGD": 0.3, "ASGD": 0.3, "Shampoo": 0.1}.get(make.__name__, 0.01),
    )
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def one_step(make: Callable[..., Any], p: Any, gradients: list[Any]) -> Any:
    parameters, _ = run(make, [p], [[g] for g in gradients])
    return parameters[0]


def test_lion_steps_by_the_sign_of_the_interpolated_momentum() -> None:
    p, g1, g2 = np.array([1.0, -2.0]), np.array([0.5, -0.1]), np.array([-4.0, -0.3])
    m1 = 0.01 * g1
    p1 = p - 0.1 * (np.sign(0.1 * g1) + 0.2 * p)
    p2 = p1 - 0.1 * (np.sign(0.9 * m1 + 0.1 * g2) + 0.2 * p1)
    found = one_step(lambda ps: optim.Lion(ps, lr=0.1, weight_decay=0.2), p, [g1, g2])
    np.testing.assert_allclose(found, p2, rtol=1e-14)


def test_lars_scales_by_the_ratio_of_norms() -> None:
    p, g = np.array([3.0, 4.0]), np.array([0.6, 0.8])
    local = 0.01 * 5 / (1 + 0.1 * 5 + 1e-8)
    found = one_step(lambda ps: optim.LARS(ps, lr=0.5, momentum=0.9, weight_decay=0.1, trust_coefficient=0.01), p, [g])
    np.testing.assert_allclose(found, p - 0.5 * local * (g + 0.1 * p), rtol=1e-14)


def test_lamb_moves_a_fixed_fraction_of_the_norm() -> None:
    p, g = np.array([3.0, 4.0]), np.array([0.6, -0.8])
    r = g / (np.abs(g) + 1e-6) + 0.1 * p
    found = one_step(lambda ps: optim.LAMB(ps, lr=0.5, weight_decay=0.1), p, [g])
    np.testing.assert_allclose(found, p - 0.5 * 5 / math.hypot(*r) * r, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found - p), 0.5 * 5, rtol=1e-12)


@pytest.mark.parametrize("make", [optim.LARS, optim.LAMB])
def test_layerwise_rules_move_a_parameter_that_is_zero(make: Any) -> None:
    found = one_step(lambda ps: make(ps, lr=0.5), np.zeros(2), [np.array([1.0, -1.0])])
    assert np.isfinite(found).all()
    assert (np.sign(found) == [-1, 1]).all()


def test_shampoo_whitens_along_each_axis(rng: np.random.Generator) -> None:
    p, g = np.zeros((3, 4)), rng.normal(size=(3, 4))

    def root(h: Any) -> Any:
        values, vectors = np.linalg.eigh(h)
        return vectors @ np.diag(values**-0.25) @ vectors.T

    expected = -0.5 * root(g @ g.T + 0.1 * np.eye(3)) @ g @ root(g.T @ g + 0.1 * np.eye(4))
    found = one_step(lambda ps: optim.Shampoo(ps, lr=0.5, eps=0.1), p, [g])
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_shampoo_leaves_long_axes_alone_and_renews_its_roots_now_and_then(rng: np.random.Generator) -> None:
    g = rng.normal(size=(3, 50))
    _, optimizer = run(lambda ps: optim.Shampoo(ps, lr=0.5, max_size=10, update_every=2), [np.zeros((3, 50))], [[g]])
    (entry,) = optimizer.state.values()
    assert set(entry) == {"step", "statistic_0", "root_0"}
    first = entry["root_0"]
    optimizer.step()
    assert entry["root_0"] is first
    optimizer.step()
    assert entry["root_0"] is not first


def test_shampoo_renews_its_roots_more_often_at_first(rng: np.random.Generator) -> None:
    steps = [[rng.normal(size=(3, 3))] for _ in range(33)]
    p = ag.tensor(np.zeros((3, 3)), requires_grad=True)
    optimizer = optim.Shampoo([p], update_every=16)
    renewed, last = [], None
    for k, (g,) in enumerate(steps, 1):
        p.grad = ag.tensor(g)
        optimizer.step()
        if optimizer.state[p]["root_0"] is not last:
            renewed.append(k)
        last = optimizer.state[p]["root_0"]
    assert renewed == [1, 2, 4, 8, 17, 33]


def test_shampoo_can_take_its_length_from_another_rule(rng: np.random.Generator) -> None:
    gradients = [rng.normal(size=(4, 3)) for _ in range(2)]
    lengths = {
        "sgd": np.linalg.norm(gradients[1]),
        "adagrad": np.linalg.norm(gradients[1] / np.sqrt(gradients[0] ** 2 + gradients[1] ** 2)),
    }
    for grafting, length in lengths.items():
        p, q = (ag.tensor(np.zeros((4, 3)), requires_grad=True) for _ in range(2))
        grafted, bare = optim.Shampoo([p], lr=0.5, grafting=grafting), optim.Shampoo([q], lr=0.5)
        for g in gradients:
            before, before_bare = p.data.copy(), q.data.copy()
            p.grad = q.grad = ag.tensor(g)
            grafted.step()
            bare.step()
        change, direction = p.data - before, q.data - before_bare
        assert np.linalg.norm(change) == pytest.approx(0.5 * length)
        np.testing.assert_allclose(change / np.linalg.norm(change), direction / np.linalg.norm(direction), rtol=1e-9)


def test_grafted_shampoo_trains_with_roots_that_are_seldom_renewed() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    images, digits = datasets.load_digits(return_X_y=True)
    x = (images / 16).astype(np.float32)

    def after(make: Any) -> float:
        model = nn.MLP(64, 64, 32, 10, generator=0)
        optimizer = make(model.parameters())
        loader = nn.batches(x, digits, batch_size=128, shuffle=True, seed=0)
        for batch, labels in (b for _ in range(5) for b in loader):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), labels).backward()
            optimizer.step()
        return float(nn.functional.cross_entropy(model(x), digits).item())

    best_of_sgd = min(after(lambda p, lr=lr: optim.SGD(p, lr=lr, momentum=0.9)) for lr in (0.1, 0.3))
    assert after(lambda p: optim.Shampoo(p, lr=0.1, momentum=0.9, update_every=20, grafting="sgd")) < 0.5 * best_of_sgd


def test_centered_rmsprop_survives_a_constant_gradient() -> None:
    found = one_step(lambda ps: optim.RMSprop(ps, centered=True), np.zeros(3), [np.full(3, 0.1)] * 2000)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (optim.ASGD, {"alpha": 2.0}, r"ASGD: alpha must be in \[0, 1\], not 2.0"),
        (optim.Rprop, {"etas": (1.2, 0.5)}, "Rprop: etas must be two numbers with"),
        (optim.Shampoo, {"grafting": "adam"}, 'Shampoo: grafting must be None, "sgd" or "adagrad", not \'adam\''),
        (optim.Rprop, {"step_sizes": (1.0, 0.1)}, "Rprop: step_sizes must be"),
        (optim.Adafactor, {"eps": 1e-3}, "Adafactor: eps must be a pair"),
        (optim.Adafactor, {"beta2_decay": 0.5}, "Adafactor: beta2_decay must be a finite number <= 0"),
        (optim.Muon, {"ns_steps": 100}, r"Muon: ns_steps must be an integer in \[1, 100\)"),
        (optim.Muon, {"adjust_lr_fn": "auto"}, "Muon: adjust_lr_fn must be None"),
        (optim.Shampoo, {"update_every": 0}, "Shampoo: update_every must be an integer >= 1"),
        (optim.Adadelta, {"rho": -0.1}, "Adadelta: rho must be"),
        (optim.NAdam, {"momentum_decay": math.nan}, "NAdam: momentum_decay must be"),
    ],
)
def test_bad_hyperparameters_are_named(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make([ag.tensor(np.ones((2, 2)), requires_grad=True)], **options)


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.LAMB], ids=lambda make: make.__name__)
def test_threads_change_nothing(make: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [(50, 40), (3,), (2000,), (0, 4), (30, 30)]
    starts = [rng.normal(size=s) for s in shapes]
    steps = [[rng.normal(size=s) for s in shapes] for _ in range(4)]
    monkeypatch.setattr(packs, "JOINED", 100)
    expected, _ = run(make, starts, steps, weight_decay=0.1)
    monkeypatch.setattr(parallel, "WORTH_IT", 1)
    monkeypatch.setattr(parallel, "threads", lambda: 3)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr(parallel, "_pool", lambda: pool)
        found, _ = run(make, starts, steps, weight_decay=0.1)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        bad = [*steps[0][:-1], np.full((30, 30), np.nan)]
        with pytest.raises(FloatingPointError, match="parameter 4 of group 0"):
            run(make, starts, [bad])


def test_shampoo_without_eps_leaves_alone_what_had_no_gradient(rng: np.random.Generator) -> None:
    gradient = rng.normal(size=(4, 3))
    gradient[1] = 0.0
    changes = []
    for eps in (0.0, 1e-14):
        p = ag.tensor(np.zeros((4, 3)), requires_grad=True)
        p.grad = ag.tensor(gradient)
        optim.Shampoo([p], lr=1.0, eps=eps).step()
        changes.append(p.data)
    np.testing.assert_allclose(changes[0], changes[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(changes[0][1], 0.0, atol=1e-14)


HALF: dict[str, Any] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: optim.Adam(p),
    "AMSGrad": lambda p: optim.Adam(p, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p),
    "Adamax": lambda p: optim.Adamax(p),
    "NAdam": lambda p: optim.NAdam(p),
    "RAdam": lambda p: optim.RAdam(p),
    "SparseAdam": lambda p: optim.SparseAdam(p),
    "Lion": lambda p: optim.Lion(p),
    "RMSprop": lambda p: optim.RMSprop(p, centered=True, momentum=0.9),
    "Adagrad": lambda p: optim.Adagrad(p),
    "Adadelta": lambda p: optim.Adadelta(p),
    "Rprop": lambda p: optim.Rprop(p),
    "ASGD": lambda p: optim.ASGD(p, t0=0),
    "LARS": lambda p: optim.LARS(p),
    "LAMB": lambda p: optim.LAMB(p),
    "Adafactor": lambda p: optim.Adafactor(p),
    "Muon": lambda p: optim.Muon(p),
    "Shampoo": lambda p: optim.Shampoo(p, grafting="adagrad"),
    "LBFGS": lambda p: optim.LBFGS(p, max_iter=2),
    "Chain": lambda p: optim.Chain(p, transformations.clip_by_block_rms(1.0), transformations.scale_by_belief(), transformations.scale(-1e-3)),
    "Yogi": lambda p: optim.Chain(p, transformations.scale_by_yogi(), transformations.scale(-1e-3)),
    "Lookahead": lambda p: optim.Lookahead(optim.Adam(p), k=2),
    "Accumulate": lambda p: optim.Accumulate(optim.Adam(p), every=2),
    "SAM": lambda p: optim.SAM(optim.Adam(p)),
    "SWATS": lambda p: optim.SWATS(p),
}


@pytest.mark.parametrize("program", [1, 1 << 14])
@pytest.mark.parametrize("size", [0.0, 1e-7, 1.0, 6e4])
@pytest.mark.parametrize("name", HALF)
def test_half_precision_is_stepped_in_single(name: str, size: float, program: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PROGRAM", program)
    random = np.random.default_rng(0)
    start = random.normal(size=(4, 3)).astype(np.float16)
    slopes = [(size * random.choice([-1.0, 0.0, 1.0], size=(4, 3))).astype(np.float16) for _ in range(4)]
    found = {}
    for dtype in (np.float16, np.float32):
        p = ag.tensor(start.astype(dtype), requires_grad=True)
        optimizer = HALF[name]([p])
        for slope in slopes:
            p.grad = ag.tensor(slope.astype(dtype))
            p.data[...] = start  # each step is compared by itself: what is rounded away would add up
            optimizer.step(*([lambda p=p: (p * 0.0).sum()] if name in ("LBFGS", "SAM") else []))
        found[dtype] = p.data.astype(np.float32)
        assert np.isfinite(p.data).all()
        assert p.dtype == dtype
        assert all(v.dtype == np.float32 for v in optimizer.state_dict().get("state", {}).get(0, {}).values() if isinstance(v, np.ndarray))
    np.testing.assert_allclose(found[np.float16], found[np.float32], rtol=1e-3, atol=1e-3)


def test_the_state_of_half_precision_is_saved_loaded_and_goes_on_when_the_dtype_changes() -> None:
    p = ag.tensor(np.ones(3, np.float16), requires_grad=True)
    p.grad = ag.tensor(np.full(3, 1e-4, np.float16))
    optimizer = optim.Adam([p], lr=0.1)
    optimizer.step()
    other = optim.Adam([p], lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    np.testing.assert_array_equal(other.state[p]["exp_avg_sq"], optimizer.state[p]["exp_avg_sq"])
    assert (other.state[p]["exp_avg_sq"] > 0).all()  # in float16 they would be 0
    p.requires_grad = False
    p.data = p.data.astype(np.float64)
    p.requires_grad = True
    p.grad = ag.tensor(np.full(3, 1e-4))
    optimizer.step()
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.data, 0.8, rtol=1e-3)
