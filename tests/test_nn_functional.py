"""Layers' functions: closed forms, numeric derivatives, and torch."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
from torch_twins import assert_same_as_torch

import autograd_core as ag
import nn
from nn import functional


def test_relu_has_gradient_zero_at_zero() -> None:
    x = ag.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    functional.relu(x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.0, 1.0])


def test_sigmoid_is_accurate_in_both_tails() -> None:
    x = np.array([-700.0, -50.0, 0.0, 50.0, 800.0])
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(functional.sigmoid(x), [np.exp(-700.0), np.exp(-50.0), 0.5, 1.0, 1.0], rtol=1e-14)


@pytest.mark.parametrize("function", [functional.softmax, functional.log_softmax])
def test_softmax_takes_axis_or_dim_and_stands_huge_logits(function: Any) -> None:
    x = np.array([[1e4, 1e4 + 1], [-1e4, 0.0]])
    np.testing.assert_array_equal(function(x, dim=1), function(x))
    np.testing.assert_array_equal(function(x, 0), function(x.T, -1).T)
    assert np.isfinite(function(x)).all()
    with pytest.raises(TypeError, match="two names of one argument"):
        function(x, axis=0, dim=1)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        function(x, 2)


def test_softmax_with_one_masked_entry_is_finite_with_finite_gradient() -> None:
    x = ag.tensor([0.0, -np.inf, 1.0], requires_grad=True)
    (functional.softmax(x) * np.array([1.0, 2.0, 3.0])).sum().backward()
    assert np.isfinite(x.grad.data).all()
    assert x.grad.data[1] == 0


@pytest.mark.parametrize("function", [functional.relu, functional.sigmoid, functional.tanh, functional.softmax, functional.log_softmax])
def test_activations_differentiate_twice(function: Any, rng: np.random.Generator) -> None:
    assert ag.gradcheck(function, rng.normal(size=(3, 4)) + 0.1)


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_linear_differentiates_twice_in_all_arguments(batch: tuple[int, ...], rng: np.random.Generator) -> None:
    assert ag.gradcheck(functional.linear, rng.normal(size=(*batch, 4)), rng.normal(size=(3, 4)), rng.normal(size=3))


def test_a_weight_of_one_row_without_its_axis_gives_results_without_theirs(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for shape in [(4,), (5, 4), (2, 3, 4), (0, 4)]:
        assert_same_as_torch(functional.linear, torch.nn.functional.linear, [rng.normal(size=shape), rng.normal(size=4)])
    assert ag.gradcheck(functional.linear, rng.normal(size=(5, 4)), rng.normal(size=4), np.array(0.5))


def test_linear_names_the_shapes_that_disagree() -> None:
    with pytest.raises(ValueError, match=r"input of shape \(2, 3\) for a weight of shape \(5, 4\)"):
        functional.linear(np.ones((2, 3)), np.ones((5, 4)))
    with pytest.raises(ValueError, match=r"weight must be \(out_features, in_features\) or \(in_features,\), but has shape \(1, 5, 3\)"):
        functional.linear(np.ones((2, 3)), np.ones((1, 5, 3)))
    with pytest.raises(ValueError, match=r"bias of shape \(4,\) for a weight of shape \(5, 3\)"):
        functional.linear(np.ones((2, 3)), np.ones((5, 3)), np.ones(4))


@pytest.mark.parametrize("place", range(3))
def test_products_name_the_argument_that_is_a_list(place: int) -> None:
    products = [
        (functional.linear, ["input", "weight", "bias"], [(2, 3), (5, 3), (5,)]),
        (functional.bilinear, ["input1", "input2", "weight"], [(2, 3), (2, 4), (5, 3, 4)]),
    ]
    for function, names, shapes in products:
        arrays: list[Any] = [np.ones(shape) for shape in shapes]
        arrays[place] = arrays[place].tolist()
        with pytest.raises(TypeError, match=rf"linear: {names[place]} must be a tensor or an array, not list; np.asarray\(...\) makes one"):
            function(*arrays)


def test_mse_loss_refuses_shapes_that_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"input has shape \(3, 1\), target \(3,\)"):
        functional.mse_loss(np.ones((3, 1)), np.ones(3))
    with pytest.raises(ValueError, match='reduction must be "mean", "sum" or "none"'):
        functional.mse_loss(np.ones(3), np.ones(3), reduction="average")


def test_cross_entropy_is_the_log_likelihood() -> None:
    logits = np.log([[0.2, 0.8], [0.5, 0.5]])
    np.testing.assert_allclose(functional.cross_entropy(logits, np.array([1, 0])), -(np.log(0.8) + np.log(0.5)) / 2, rtol=1e-15)


def test_cross_entropy_stays_finite_for_huge_logits_and_its_gradient_is_softmax_minus_one_hot() -> None:
    x = ag.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    loss = functional.cross_entropy(x, np.array([2]))
    loss.backward()
    assert loss.item() == 2e4
    np.testing.assert_array_equal(x.grad.data, [[1.0, 0.0, -1.0]])


CASES = list(itertools.product(["mean", "sum", "none"], [False, True], [0.0, 0.1], [-100, 1]))


def _problem(rng: np.random.Generator, shape: tuple[int, ...], classes: int = 4) -> tuple[Any, Any, Any]:
    logits = rng.normal(size=(shape[0], classes, *shape[1:]) if shape else classes)
    return logits, rng.integers(0, classes, size=shape), rng.uniform(0.5, 2, size=classes)


@pytest.mark.parametrize("shape", [(), (5,), (3, 2)])
@pytest.mark.parametrize(("reduction", "weighted", "smoothing", "ignore"), CASES)
def test_cross_entropy_of_indices_agrees_with_torch(
    shape: tuple[int, ...], reduction: str, weighted: bool, smoothing: float, ignore: int, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    logits, target, weight = _problem(rng, shape)
    if shape and (target == ignore).all():
        target[0] = 0
    if not shape:
        target = np.array(2)
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignore}
    x, t = ag.tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    ours = functional.cross_entropy(x, target, weight=weight if weighted else None, **options)
    theirs = torch.nn.functional.cross_entropy(t, torch.tensor(target), weight=torch.tensor(weight) if weighted else None, **options)
    np.testing.assert_allclose(ours.numpy() if not ours.requires_grad else ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
    g = rng.normal(size=ours.shape)
    ours.backward(g)
    theirs.backward(torch.tensor(g))
    np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(), (5,), (3, 2)])
def test_cross_entropy_of_probabilities_agrees_with_torch(
    shape: tuple[int, ...], reduction: str, weighted: bool, smoothing: float, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    logits, _, weight = _problem(rng, shape)
    target = rng.dirichlet(np.ones(4), size=shape)
    target = np.moveaxis(target, -1, 1 if shape else 0).copy()
    x, y = ag.tensor(logits, requires_grad=True), ag.tensor(target, requires_grad=True)
    t, u = torch.tensor(logits, requires_grad=True), torch.tensor(target, requires_grad=True)
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing}
    ours = functional.cross_entropy(x, y, weight=weight if weighted else None, **options)
    theirs = torch.nn.functional.cross_entropy(t, u, weight=torch.tensor(weight) if weighted else None, **options)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12)
    g = rng.normal(size=ours.shape)
    ours.backward(g)
    theirs.backward(torch.tensor(g))
    np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(y.grad.data, u.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_of_cross_entropy_does_not_depend_on_how_its_logits_lie_in_memory(scale: float, dtype: Any, rng: np.random.Generator) -> None:
    logits, target = (rng.normal(size=(6, 5)) * scale).astype(dtype), rng.integers(0, 5, size=6)
    gradients = []
    for laid in (logits, np.asfortranarray(logits), np.repeat(logits, 2, axis=1)[:, ::2], logits[::-1].copy()[::-1]):
        x = ag.tensor(laid, requires_grad=True)
        functional.cross_entropy(x, target).backward()
        gradients.append(x.grad.numpy())
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = (p / p.sum(axis=1, keepdims=True) - np.eye(5)[target]) / 6
    for found in gradients:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_differentiates_twice(reduction: str, smoothing: float, rng: np.random.Generator) -> None:
    logits, target, weight = _problem(rng, (3, 2))
    assert ag.gradcheck(
        lambda x: functional.cross_entropy(x, target, weight=weight, ignore_index=1, reduction=reduction, label_smoothing=smoothing), logits
    )


def test_cross_entropy_of_float32_is_float32() -> None:
    for options in ({}, {"weight": np.ones(3)}, {"label_smoothing": 0.1}, {"ignore_index": 0}, {"reduction": "sum"}):
        x = ag.tensor(np.ones((2, 3), dtype=np.float32), requires_grad=True)
        loss = functional.cross_entropy(x, np.array([0, 2]), **options)
        loss.backward()
        assert loss.dtype == x.grad.dtype == np.float32


@pytest.mark.filterwarnings("ignore:invalid value")
def test_cross_entropy_with_every_sample_ignored_is_nan_as_in_torch() -> None:
    assert np.isnan(functional.cross_entropy(np.ones((2, 3)), np.array([-100, -100])))


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (np.array([0, 3]), ValueError, r"target holds class 3, but input of shape \(2, 3\) has classes 0..2"),
        (np.array([0, -1]), ValueError, "target holds class -1"),
        (np.array([0, 1, 2]), ValueError, r"target has shape \(3,\), but input of shape \(2, 3\) needs class indices of shape \(2,\)"),
        (np.array([0.0, 1.0]), TypeError, "give integer classes of shape"),
    ],
)
def test_cross_entropy_refuses_targets_that_do_not_fit(target: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        functional.cross_entropy(np.ones((2, 3)), target)


def test_cross_entropy_refuses_bad_options() -> None:
    with pytest.raises(ValueError, match=r"weight has shape \(2,\), but there are 3 classes"):
        functional.cross_entropy(np.ones((2, 3)), np.array([0, 1]), weight=np.ones(2))
    with pytest.raises(ValueError, match="label_smoothing must be in"):
        functional.cross_entropy(np.ones((2, 3)), np.array([0, 1]), label_smoothing=2.0)


def _with_bias(loss: Any, target: Any, x: Any, w: Any, b: Any, **options: Any) -> Any:
    return loss(x, w, target, linear_bias=b, **options)


@pytest.mark.parametrize("outputs", [(4,), (4, 2, 3)])
@pytest.mark.parametrize("kind", ["labels", "probabilities"])
def test_the_loss_with_its_layer_agrees_with_torchs(outputs: tuple[int, ...], kind: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x, w, b = rng.normal(size=(5, 3)), rng.normal(size=(*outputs, 3)), rng.normal(size=outputs)
    target = rng.integers(0, 4, size=(5, *outputs[1:])) if kind == "labels" else rng.uniform(size=(5, *outputs))
    weight = rng.uniform(size=4)
    for reduction, smoothing, ignored, weighted in itertools.product(["mean", "sum", "none"], [0.0, 0.2], [None, 1], [False, True]):
        if ignored is not None and kind == "probabilities":
            continue
        options: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignored}
        weights = (weight, torch.tensor(weight)) if weighted else (None, None)
        ours = partial(_with_bias, functional.linear_cross_entropy, target, weight=weights[0], **options)
        theirs = partial(_with_bias, torch.nn.functional.linear_cross_entropy, torch.tensor(target), weight=weights[1], **options)
        assert_same_as_torch(ours, theirs, [x, w, b], second=False)
    ours_layer = nn.LinearCrossEntropyLoss(3, 4, out_features=outputs[1:], bias=True, dtype="float64")
    theirs_layer = torch.nn.LinearCrossEntropyLoss(3, 4, out_features=outputs[1:], bias=True, dtype=torch.float64)
    ours_layer.load_state_dict(theirs_layer.state_dict())
    np.testing.assert_allclose(ours_layer(x, target).item(), theirs_layer(torch.tensor(x), torch.tensor(target)).item(), rtol=1e-12)
    assert repr(ours_layer) == repr(theirs_layer)


def test_the_loss_with_its_layer_refuses_what_does_not_fit() -> None:
    x, w, y = np.ones((2, 3)), np.ones((4, 3)), np.array([0, 1])
    for call, message in [
        (lambda: functional.linear_cross_entropy(x, np.ones((4, 2)), y), r"input of shape \(2, 3\) for a linear_weight of shape \(4, 2\)"),
        (lambda: functional.linear_cross_entropy(x, w, y, linear_bias=np.ones(3)), r"linear_bias has shape \(3,\), expected \(4,\)"),
        (lambda: functional.linear_cross_entropy(x, w, np.ones((2, 4)), ignore_index=0), "ignore_index=0 is for class indices"),
        (lambda: functional.linear_cross_entropy(x, w, y, options=3), "options= is not taken"),  # type: ignore[arg-type]
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            call()


def test_loss_modules_remember_their_options() -> None:
    x, y = np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([0, 1])
    loss = nn.CrossEntropyLoss(weight=np.array([1.0, 3.0]), reduction="sum")
    np.testing.assert_allclose(loss(x, y), functional.cross_entropy(x, y, weight=np.array([1.0, 3.0]), reduction="sum"))
    assert list(loss.state_dict()) == ["weight"]
    np.testing.assert_allclose(nn.MSELoss()(x, 0.0), (x * x).mean())


def test_a_network_has_torchs_gradients(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    ours = nn.Sequential(
        nn.Linear(5, 7, dtype=np.float64), nn.Tanh(), nn.Linear(7, 6, dtype=np.float64), nn.ReLU(), nn.Linear(6, 3, dtype=np.float64)
    )
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).double()
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()})
    x, y = rng.normal(size=(8, 5)), rng.integers(0, 3, size=8)
    functional.cross_entropy(ours(x), y).backward()
    torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y)).backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-12, atol=1e-14)
