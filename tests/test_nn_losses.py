"""Losses and distances against torch: value, gradient and gradient of the gradient over a table of all their arguments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from nn import functional

REDUCTIONS = ["mean", "sum", "none"]


class Case:
    """A call of a loss by keywords: arrays that are tracked, arrays and numbers that are not, and whether torch tracks all of the former."""

    def __init__(self, name: str, tracked: dict[str, Any], constants: dict[str, Any], only_ours: tuple[str, ...] = ()) -> None:
        self.name = name
        self.tracked = tracked
        self.constants = constants
        self.only_ours = only_ours  # arguments that torch has no derivative for

    def __repr__(self) -> str:
        def one(value: Any) -> str:
            return "x".join(map(str, value.shape)) or "0-d" if isinstance(value, np.ndarray) else str(value)

        return f"{self.name}({', '.join(f'{k}={one(v)}' for k, v in (self.tracked | self.constants).items())})"


def grid(
    name: str, tracked: dict[str, Any], constants: dict[str, Any] | None = None, only_ours: tuple[str, ...] = (), **options: Any
) -> Iterator[Case]:
    """One case for each combination of the options, each a list of values; an array among them may be tracked by a name in `only_ours`."""
    for values in itertools.product(*options.values()):
        chosen = dict(zip(options, values, strict=True))
        yield Case(name, tracked, {**(constants or {}), **chosen}, only_ours)


def cases() -> Iterator[Case]:
    random = np.random.default_rng(7)

    def normal(*shape: int) -> Any:
        return random.normal(size=shape)

    def inside(*shape: int) -> Any:
        return random.uniform(0.05, 0.95, size=shape)

    def signs(*shape: int) -> Any:
        return np.where(random.random(shape) < 0.5, -1.0, 1.0)

    for shape in [(), (5,), (3, 4), (0, 3), (2, 3, 2)]:
        x, y, w = normal(*shape), normal(*shape), random.uniform(0.5, 2, size=shape)
        numbers = {"input": x, "target": y}
        for name in ("mse_loss", "l1_loss"):
            yield from grid(name, numbers, reduction=REDUCTIONS)
            yield from grid(name, numbers | {"weight": w}, reduction=REDUCTIONS)
        yield from grid("smooth_l1_loss", numbers, reduction=REDUCTIONS, beta=[1.0, 0.3, 0.0, 5.0])
        yield from grid("huber_loss", numbers, reduction=REDUCTIONS, delta=[1.0, 0.3, 5.0])
        yield from grid("huber_loss", numbers | {"weight": w}, reduction=REDUCTIONS, delta=[0.7])
        counts = random.uniform(0, 4, size=shape)
        yield from grid("poisson_nll_loss", {"input": x, "target": counts}, reduction=REDUCTIONS, full=[False, True], log_input=[True])
        yield from grid(
            "poisson_nll_loss",
            {"input": counts + 0.1, "target": counts},
            reduction=REDUCTIONS,
            full=[False, True],
            log_input=[False],
            eps=[1e-8, 0.1],
        )
        yield from grid("gaussian_nll_loss", numbers | {"var": w}, reduction=REDUCTIONS, full=[False, True], eps=[1e-6, 1.0])
        p, q = inside(*shape), inside(*shape)
        yield from grid("binary_cross_entropy", {"input": p, "target": q}, reduction=REDUCTIONS)
        yield from grid("binary_cross_entropy", {"input": p, "target": q, "weight": w}, only_ours=("weight",), reduction=REDUCTIONS)
        yield from grid("binary_cross_entropy_with_logits", {"input": x, "target": q}, reduction=REDUCTIONS)
        yield from grid("binary_cross_entropy_with_logits", {"input": x, "target": q, "weight": w}, only_ours=("weight",), reduction=REDUCTIONS)
        pos = random.uniform(0.5, 3, size=shape[-1:])
        yield from grid(
            "binary_cross_entropy_with_logits", {"input": x, "target": q, "pos_weight": pos}, only_ours=("pos_weight",), reduction=REDUCTIONS
        )
        yield from grid("kl_div", {"input": x, "target": q}, reduction=[*REDUCTIONS, "batchmean"] if shape != (0, 3) else REDUCTIONS)
        yield from grid("kl_div", numbers, reduction=[*REDUCTIONS, "batchmean"] if shape != (0, 3) else REDUCTIONS, log_target=[True])
        yield from grid("hinge_embedding_loss", {"input": x}, {"target": signs(*shape)}, reduction=REDUCTIONS, margin=[1.0, 0.2])
        yield from grid("soft_margin_loss", {"input": x}, {"target": signs(*shape)}, reduction=REDUCTIONS)
        yield from grid("margin_ranking_loss", {"input1": x, "input2": y}, {"target": signs(*shape)}, reduction=REDUCTIONS, margin=[0.0, 0.5])

    x, y = normal(4, 3, 2), normal(4, 3, 2)
    for shape in [(4, 3), (4, 1, 2), (4, 3, 1), (1, 3, 2)]:
        yield from grid("gaussian_nll_loss", {"input": x, "target": y, "var": random.uniform(0.5, 2, size=shape)}, reduction=REDUCTIONS, full=[True])
    yield from grid("gaussian_nll_loss", {"input": x, "target": y}, {"var": 0.7}, reduction=REDUCTIONS)

    for batch in [(), (6,), (3, 2), (2, 2, 3)]:
        classes = 4
        shape = (batch[0], classes, *batch[1:]) if batch else (classes,)
        x, index, w = normal(*shape), random.integers(0, classes, size=batch), random.uniform(0.5, 2, size=classes)
        probabilities = np.moveaxis(random.dirichlet(np.ones(classes), size=batch), -1, 1 if batch else 0).copy()
        ignored = [-100, int(index.flat[0]), 1] if index.size > 1 else [-100]
        for weight in (None, w):
            yield from grid("nll_loss", {"input": x}, {"target": index, "weight": weight}, reduction=REDUCTIONS, ignore_index=ignored)
            yield from grid(
                "cross_entropy",
                {"input": x},
                {"target": index, "weight": weight},
                reduction=REDUCTIONS,
                ignore_index=ignored,
                label_smoothing=[0.0, 0.1, 1.0],
            )
            yield from grid(
                "cross_entropy", {"input": x, "target": probabilities}, {"weight": weight}, reduction=REDUCTIONS, label_smoothing=[0.0, 0.1]
            )
        if batch:
            absent = np.where(random.random(batch) < 0.3, -100, index)
            absent.flat[0] = index.flat[0]
            for name in ("nll_loss", "cross_entropy"):
                yield from grid(name, {"input": x}, {"target": absent}, reduction=REDUCTIONS, weight=[None, w])
                yield from grid(name, {"input": x}, {"target": np.full(batch, -100)}, reduction=REDUCTIONS, weight=[None, w])
            yield from grid("cross_entropy", {"input": x}, {"target": absent}, reduction=REDUCTIONS, weight=[None, w], label_smoothing=[0.2])
        yield from grid("cross_entropy", {"input": x, "weight": w}, {"target": index}, only_ours=("weight",), reduction=REDUCTIONS)
        yield from grid("nll_loss", {"input": x, "weight": w}, {"target": index}, only_ours=("weight",), reduction=REDUCTIONS)
    yield from grid("cross_entropy", {"input": normal(3, 4)}, {"target": random.integers(0, 4, size=3).astype(np.uint8)}, reduction=["mean"])

    for batch in [(), (5,)]:
        x, index = normal(*batch, 4), random.integers(0, 4, size=batch)
        w = random.uniform(0.5, 2, size=4)
        yield from grid("multi_margin_loss", {"input": x}, {"target": index}, reduction=REDUCTIONS, p=[1, 2], margin=[1.0, 0.3], weight=[None, w])
        labels = np.stack([random.permutation([-1, 0, 1, 2, 3][: 4 + i % 2])[:4] for i in range(5)])
        labels[0] = -1
        labels[1] = [2, 2, -1, 0]
        yield from grid("multilabel_margin_loss", {"input": x}, {"target": labels if batch else labels[2]}, reduction=REDUCTIONS)
        soft = {"input": x, "target": inside(*batch, 4)}
        yield from grid("multilabel_soft_margin_loss", soft, reduction=REDUCTIONS)
        yield from grid("multilabel_soft_margin_loss", soft | {"weight": w}, reduction=REDUCTIONS)
        a, b, c = normal(*batch, 4), normal(*batch, 4), normal(*batch, 4)
        target = np.array(signs(*batch))
        yield from grid("cosine_embedding_loss", {"input1": a, "input2": b}, {"target": target}, reduction=REDUCTIONS, margin=[0.0, 0.4])
        three = {"anchor": a, "positive": b, "negative": c}
        yield from grid(
            "triplet_margin_loss", three, reduction=REDUCTIONS, p=[2.0, 1.0, 3.0], margin=[1.0, 3.0], swap=[False, True], eps=[1e-6, 1e-2]
        )
        yield from grid("triplet_margin_with_distance_loss", three, reduction=REDUCTIONS, margin=[1.0, 3.0], swap=[False, True])

    orders = [2.0, 1.0, 3.0, 0.5, float("inf"), 0.0]
    for shape in [(3, 4), (2, 3, 4)]:
        x = {"input": normal(*shape)}
        yield from grid("normalize", x, p=orders, dim=[1, 0, -1])
        yield from grid("normalize", x, eps=[2.5])
        pair = {"x1": normal(*shape), "x2": normal(*shape)}
        yield from grid("cosine_similarity", pair, dim=[1, 0, -1], eps=[1e-8, 1.5])
        yield from grid("pairwise_distance", pair, p=orders, eps=[1e-6, 0.0], keepdim=[False, True])
        yield from grid("cdist", {"x1": normal(*shape), "x2": normal(*shape[:-2], 5, 4)}, p=orders)
    yield from grid("normalize", {"input": normal(2, 3, 4)}, dim=[(1, 2), (0, 2)])
    yield from grid("cosine_similarity", {"x1": normal(3, 1, 4), "x2": normal(5, 4)}, dim=[-1, 1, 2])
    yield from grid("pairwise_distance", {"x1": normal(4), "x2": normal(3, 4)}, p=[2.0, 1.0])
    yield from grid("pairwise_distance", {"x1": normal(3, 4), "x2": normal(4)}, keepdim=[True])
    yield from grid("cdist", {"x1": normal(3, 1, 4, 2), "x2": normal(2, 5, 2)}, p=[2.0, 1.0])
    yield from grid("pdist", {"input": normal(5, 3)}, p=orders)


CASES: dict[str, list[Case]] = {}
for _case in cases():
    CASES.setdefault(_case.name, []).append(_case)


def _torch_function(torch: Any, name: str) -> Any:
    return {"cdist": torch.cdist}.get(name) or getattr(torch.nn.functional, name)


def _to_torch(torch: Any, value: Any) -> Any:
    return torch.tensor(value.astype(np.int64) if value.dtype == np.uint8 else value) if isinstance(value, np.ndarray) else value


def _close(ours: Any, theirs: Any, what: str) -> None:
    theirs = np.zeros_like(ours) if theirs is None else theirs.detach().numpy(force=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11, err_msg=what)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_value_gradient_and_second_derivative_are_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    for case in CASES[name]:
        _compare(torch, case)


def _compare(torch: Any, case: Case) -> None:
    random = np.random.default_rng(1)
    xs = {k: ag.tensor(v, requires_grad=True) for k, v in case.tracked.items()}
    ours = getattr(functional, case.name)(**xs, **case.constants)
    ts = {k: torch.tensor(v, requires_grad=k not in case.only_ours) for k, v in case.tracked.items()}
    theirs = _torch_function(torch, case.name)(**ts, **{k: _to_torch(torch, v) for k, v in case.constants.items()})
    assert ours.shape == tuple(theirs.shape), case
    _close(ours.detach().numpy(), theirs, f"value of {case}")
    shared = [k for k in case.tracked if k not in case.only_ours]
    g = random.normal(size=ours.shape)
    gradients = ag.gradient(ours, [xs[k] for k in shared], g, create_graph=True)
    expected = torch.autograd.grad(theirs, [ts[k] for k in shared], torch.tensor(g), create_graph=True, allow_unused=True)
    for name, a, b in zip(shared, gradients, expected, strict=True):
        _close(a.detach().numpy(), b, f"gradient of {name} in {case}")
    directions = [random.normal(size=a.shape) for a in gradients]
    total: Any = sum(np.sum(a * v) for a, v in zip(gradients, directions, strict=True))
    if all(b is None for b in expected):
        return  # a norm of order 0: torch knows that it does not depend on anything
    try:
        second = torch.autograd.grad(
            sum((b * torch.tensor(v)).sum() for b, v in zip(expected, directions, strict=True) if b is not None),
            [ts[k] for k in shared],
            allow_unused=True,
        )
    except RuntimeError as error:
        if not any(reason in str(error) for reason in ("not implemented", "does not require grad")):
            raise
        return  # torch has no derivative of this gradient; or the gradient is constant
    curvature = ag.gradient(total, [xs[k] for k in shared], allow_unused=True) if total.requires_grad else [None] * len(shared)
    for name, a, b, v in zip(shared, curvature, second, directions, strict=True):
        _close(np.zeros_like(v) if a is None else a.numpy(), b, f"second derivative of {name} in {case}")


def _strided(value: Any) -> Any:
    """The same numbers in a read-only array with negative strides, in another order."""
    if not isinstance(value, np.ndarray):
        return value
    view = np.zeros([2 * n for n in reversed(value.shape)], value.dtype)[(..., *(slice(None, None, -2),) * value.ndim)].T
    view[...] = value
    view.flags.writeable = False
    return view


def _in_single(value: Any) -> Any:
    return value.astype(np.float32) if getattr(value, "dtype", None) == np.float64 else value


def _value_and_gradients(case: Case, change: Any = lambda value: value) -> list[Any]:
    xs = {k: ag.tensor(change(v), requires_grad=True) for k, v in case.tracked.items()}
    y = getattr(functional, case.name)(**xs, **{k: change(v) for k, v in case.constants.items()})
    gradients = ag.gradient(y, list(xs.values()), np.ones(y.shape), allow_unused=True)
    return [y.detach().numpy(), *(g.numpy() for g in gradients if g is not None)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_layout_does_not_matter_and_float32_stays_float32(name: str) -> None:
    for case in CASES[name][::7]:
        expected = _value_and_gradients(case)
        for a, b in zip(expected, _value_and_gradients(case, _strided), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14, err_msg=repr(case))
        for a, b in zip(expected, _value_and_gradients(case, _in_single), strict=True):
            assert b.dtype == np.float32, case
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5, err_msg=repr(case))
