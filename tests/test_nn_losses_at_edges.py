"""Losses and distances at their edges: extreme inputs, kinks, zero vectors, float32, numeric derivatives, and bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from nn import functional
from nn.functional import distances

BIG = np.array([-1e4, -800.0, -50.0, 0.0, 50.0, 800.0, 1e4])
INF = np.inf

# name, the tracked first argument, the others, options: where torch's value and gradient are finite (or both are nan), ours are the same
EXTREMES: list[tuple[str, Any, tuple[Any, ...], dict[str, Any]]] = [
    ("binary_cross_entropy_with_logits", BIG, (np.ones(7),), {}),
    ("binary_cross_entropy_with_logits", BIG, (np.zeros(7),), {"pos_weight": np.full(7, 3.0)}),
    ("binary_cross_entropy_with_logits", BIG, (np.full(7, 0.3),), {"pos_weight": np.full(7, 3.0)}),
    ("binary_cross_entropy", np.array([0, 1, 0, 1, 1e-200, 1e-13, 0.5]), (np.array([0, 1, 1, 0, 1, 1, 0.5]),), {}),
    ("binary_cross_entropy", np.array([0.0, 1.0]), (np.array([0.3, 0.4]),), {}),
    ("multilabel_soft_margin_loss", BIG, (np.ones(7),), {}),
    ("cross_entropy", np.stack([BIG, -BIG]), (np.array([0, 3]),), {}),
    ("cross_entropy", np.stack([BIG, -BIG]), (np.array([0, 3]),), {"label_smoothing": 0.1}),
    ("cross_entropy", np.array([[0.0, -INF, 1.0]]), (np.array([0]),), {}),
    ("cross_entropy", np.array([[0.0, -INF, 1.0]]), (np.array([1]),), {}),
    ("cross_entropy", np.array([[0.0, np.nan, 1.0], [1.0, 2.0, 3.0]]), (np.array([-100, 1]),), {}),
    ("nll_loss", np.array([[-INF, np.nan, 1.0], [1.0, 2.0, 3.0]]), (np.array([-100, 1]),), {}),
    ("l1_loss", np.array([1.0, 2.0]), (np.array([1.0, 3.0]),), {}),
    ("smooth_l1_loss", np.array([1.0, 2.0, -1.0]), (np.array([0.0, 2.0, 0.0]),), {}),
    ("huber_loss", np.array([1.0, 2.0, -1.0]), (np.array([0.0, 2.0, 0.0]),), {}),
    ("margin_ranking_loss", np.array([1.0, 2.0, -1.0]), (np.array([1.0, 2.0, 0.0]), np.array([1.0, -1.0, 1.0])), {}),
    ("hinge_embedding_loss", np.array([1.0, 2.0, -1.0]), (np.array([-1.0, 0.5, 1.0]),), {}),
    ("gaussian_nll_loss", np.array([1.0, 2.0, -1.0]), (np.array([-1.0, 1.0, 1.0]), np.array([0.0, 1e-9, 1.0])), {}),
    ("poisson_nll_loss", np.array([1.0, 2.0, -1.0]), (np.array([0.0, 1.0, 5.0]),), {"full": True}),
    ("kl_div", np.array([-1.0, -2.0, -0.1]), (np.array([0.0, 1.0, 0.5]),), {"reduction": "sum"}),
    ("triplet_margin_loss", np.array([[1.0, 2.0]]), (np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]])), {}),
    ("pairwise_distance", np.array([[1.0, 2.0]]), (np.array([[1.0, 2.0]]),), {}),
    ("cosine_similarity", np.array([[1e-9, 0.0], [1.0, 2.0]]), (np.array([[1.0, 2.0], [1.0, 2.0]]),), {}),
    ("normalize", np.array([[1e-13, 0.0], [1.0, 2.0]]), (), {}),
]


@pytest.mark.parametrize(("name", "x", "others", "options"), EXTREMES, ids=lambda v: v if isinstance(v, str) else "")
def test_value_and_gradient_at_extremes_and_kinks_are_torchs(name: str, x: Any, others: Any, options: Any) -> None:
    torch = pytest.importorskip("torch")

    def to_torch(value: Any) -> Any:
        return torch.tensor(value) if isinstance(value, np.ndarray) else value

    ours, theirs = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    loss = getattr(functional, name)(ours, *others, **options)
    expected = getattr(torch.nn.functional, name)(theirs, *map(to_torch, others), **{k: to_torch(v) for k, v in options.items()})
    np.testing.assert_allclose(loss.detach().numpy(), expected.detach().numpy(), rtol=1e-12)
    loss.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-21)


# Either side of where a maximum is taken off before powers of e are made.
@pytest.mark.parametrize("largest", [1.0, 39.9, 40.1, 87.0, 89.0, 299.0, 301.0, 800.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_and_cross_entropy_are_exact_for_logits_of_any_size(largest: float, dtype: Any, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    logits = (rng.uniform(-1, 1, (6, 5)) * largest).astype(dtype)
    logits[0], labels = [largest, -largest, 0, 0, 0], np.array([0, 1, 2, 3, 4, 0], np.uint8)
    tolerance = {"rtol": 200 * np.finfo(dtype).eps, "atol": 1e-30}
    ours, theirs = ag.tensor(logits, requires_grad=True), torch.tensor(logits.astype(np.float64), requires_grad=True)
    loss = functional.cross_entropy(ours, labels, reduction="none")
    their_loss = torch.nn.functional.cross_entropy(theirs, torch.tensor(labels.astype(int)), reduction="none")
    assert loss.dtype == dtype
    np.testing.assert_allclose(loss.detach().numpy(), their_loss.detach().numpy(), rtol=tolerance["rtol"], atol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(functional.softmax(ours, 1).detach().numpy(), torch.softmax(theirs, 1).detach().numpy(), **tolerance)
    loss.sum().backward()
    their_loss.sum().backward()
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=tolerance["rtol"], atol=4 * np.finfo(dtype).eps)


def test_soft_margin_loss_is_finite_where_torchs_is_not() -> None:
    x = ag.tensor(BIG, requires_grad=True)
    loss = functional.soft_margin_loss(x, np.ones(7), reduction="sum")
    loss.backward()
    assert loss.item() == pytest.approx(10850 + np.log(2))
    np.testing.assert_allclose(x.grad.numpy(), [-1, -1, -1, -0.5, 0, 0, 0], atol=1e-20)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.normalize(x),
        lambda x: functional.normalize(x, p=1),
        lambda x: functional.normalize(x, p=INF),
        lambda x: functional.cosine_similarity(x, np.ones((2, 3))),
        lambda x: functional.cosine_similarity(np.ones((2, 3)), x),
        lambda x: functional.cosine_embedding_loss(x, np.ones((2, 3)), np.array([1, -1])),
        lambda x: functional.pairwise_distance(x, np.zeros((2, 3)), eps=0.0),
        lambda x: functional.cdist(x, np.zeros((1, 3))),
        lambda x: functional.cdist(x, np.zeros((1, 3)), p=1.0),
        lambda x: functional.cdist(x, np.zeros((1, 3)), p=0.5),
        lambda x: functional.pdist(x),
    ],
)
def test_the_zero_vector_has_gradient_zero(function: Any) -> None:
    x = ag.tensor(np.zeros((2, 3)), requires_grad=True)
    function(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.normalize(x),
        lambda x: functional.cosine_similarity(x, np.ones((2, 3))),
        lambda x: functional.cosine_embedding_loss(x, np.ones((2, 3)), np.array([1, -1])),
        lambda x: functional.cdist(x, np.zeros((1, 3)), p=1.0),
    ],
)
def test_the_zero_vector_has_a_finite_second_derivative(function: Any) -> None:
    x = ag.tensor(np.zeros((2, 3)), requires_grad=True)
    (g,) = ag.gradient(function(x).sum(), [x], create_graph=True)
    (second,) = ag.gradient(g.sum(), [x], allow_unused=True)
    assert second is None or np.isfinite(second.numpy()).all()


@pytest.mark.parametrize("shapes", [((7, 3), (5, 3)), ((2, 1, 4, 3), (3, 5, 3)), ((1, 3), (1, 3))])
def test_many_euclidean_distances_are_those_of_few(shapes: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = (rng.normal(size=shape) for shape in shapes)
    x[..., 0, :] = y.reshape(-1, 3)[0]  # a distance of 0
    results = []
    for most in (1 << 20, 10):  # 10: several blocks of rows
        monkeypatch.setattr(distances, "_MANY", most)
        a, b = ag.tensor(x, requires_grad=True), ag.tensor(y, requires_grad=True)
        d = functional.cdist(a, b)
        first = ag.gradient(np.sum(d * d * d), [a, b], create_graph=True)
        second = ag.gradient(np.sum(first[0] * x[..., ::-1]), [a, b])
        results.append([v.detach().numpy() for v in (d, *first, *second)])
    for few, many in zip(*results, strict=True):
        np.testing.assert_allclose(many, few, rtol=1e-11, atol=1e-12)


# --- losses that torch has not --------------------------------------------------------------------------------------------


def _torchvision_focal_loss(torch: Any, inputs: Any, targets: Any, alpha: float, gamma: float) -> Any:
    """The formula as torchvision.ops.sigmoid_focal_loss documents it."""
    p = torch.sigmoid(inputs)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = entropy * (1 - p_t) ** gamma
    return loss * (alpha * targets + (1 - alpha) * (1 - targets)) if alpha >= 0 else loss


@pytest.mark.parametrize("alpha", [0.25, 0.7, -1])
@pytest.mark.parametrize("gamma", [2, 0, 1.5, 0.5])
def test_sigmoid_focal_loss_is_torchvisions_formula(alpha: float, gamma: float, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x, y = rng.normal(size=(4, 3)), rng.integers(0, 2, size=(4, 3)).astype(float)
    for reduction, total in (("none", lambda v: v), ("mean", lambda v: v.mean()), ("sum", lambda v: v.sum())):
        ours, theirs = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        loss = functional.sigmoid_focal_loss(ours, y, alpha, gamma, reduction)
        expected = total(_torchvision_focal_loss(torch, theirs, torch.tensor(y), alpha, gamma))
        np.testing.assert_allclose(loss.detach().numpy(), expected.detach().numpy(), rtol=1e-12)
        loss.sum().backward()
        expected.sum().backward()
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-11)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1, 2, 3.5])
def test_sigmoid_focal_loss_is_finite_for_extreme_logits(gamma: float) -> None:
    for target in (0.0, 1.0):
        x = ag.tensor(BIG, requires_grad=True)
        functional.sigmoid_focal_loss(x, np.full(7, target), gamma=gamma, reduction="sum").backward()
        assert np.isfinite(x.grad.numpy()).all()


def test_dice_loss_is_one_minus_the_overlap(rng: np.random.Generator) -> None:
    p, t = rng.random((2, 3, 4, 4)), rng.integers(0, 2, size=(2, 3, 4, 4))
    both, sizes = (p * t).sum(axis=(2, 3)), (p + t).sum(axis=(2, 3))
    np.testing.assert_allclose(functional.dice_loss(p, t, 0.5, axis=(2, 3), reduction="none"), 1 - (2 * both + 0.5) / (sizes + 0.5))
    both, sizes = (p * t).sum(axis=(1, 2, 3)), (p * p + t).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(functional.dice_loss(p, t, squared=True), np.mean(1 - (2 * both + 1) / (sizes + 1)))
    assert functional.dice_loss(t, t.astype(float)) == 0
    assert ag.gradcheck(lambda x: functional.dice_loss(x, t, squared=True), p)
    empty = ag.tensor(np.zeros((1, 4)), requires_grad=True)
    loss = functional.dice_loss(empty, np.zeros((1, 4)))
    loss.backward()
    assert loss.item() == 0
    assert np.isfinite(empty.grad.numpy()).all()


# --- numeric derivatives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda x, y, z: functional.gaussian_nll_loss(x, y, 1 + z * z, full=True), 3),
        (lambda x, y, z: functional.binary_cross_entropy_with_logits(x, functional.sigmoid(y), pos_weight=np.exp(z)), 3),
        (lambda x, y: functional.binary_cross_entropy(0.05 + 0.9 * functional.sigmoid(x), functional.sigmoid(y)), 2),
        (lambda x, y: functional.cross_entropy(x, np.array([2, 0, 3]), weight=np.exp(y[0]), label_smoothing=0.2), 2),
        (lambda x: functional.multi_margin_loss(x, np.array([2, 0, 3]), p=2, margin=0.7), 1),
        (lambda x: functional.multilabel_margin_loss(x, np.array([[0, 2, -1, 1], [1, -1, 0, 0], [3, 2, 1, 0]])), 1),
        (lambda x, y: functional.sigmoid_focal_loss(x, functional.sigmoid(y)), 2),
        (lambda x, y: functional.cdist(x, y, p=3.0), 2),
    ],
)
def test_what_torch_cannot_differentiate_twice_passes_the_gradient_checker(function: Any, inputs: int, rng: np.random.Generator) -> None:
    assert ag.gradcheck(function, *(rng.normal(size=(3, 4)) for _ in range(inputs)))


# --- dtypes, lists, tensors -------------------------------------------------------------------------------------------------

X = np.array([[0.2, 0.7, 0.4], [0.9, 0.1, 0.3]], dtype=np.float32)
SIGN = np.array([[1, -1, 1], [-1, 1, -1]])
CALLS: dict[str, Any] = {
    "mse_loss": lambda x, **k: functional.mse_loss(x, X.tolist(), weight=[[1, 2, 3], [1, 1, 1]], **k),
    "l1_loss": lambda x, **k: functional.l1_loss(x, SIGN, **k),
    "smooth_l1_loss": lambda x, **k: functional.smooth_l1_loss(x, SIGN, beta=0.5, **k),
    "huber_loss": lambda x, **k: functional.huber_loss(x, SIGN, delta=0.5, **k),
    "poisson_nll_loss": lambda x, **k: functional.poisson_nll_loss(x, SIGN + 2, full=True, **k),
    "gaussian_nll_loss": lambda x, **k: functional.gaussian_nll_loss(x, SIGN, 0.5, full=True, **k),
    "binary_cross_entropy": lambda x, **k: functional.binary_cross_entropy(x, SIGN > 0, weight=[1, 2, 3], **k),
    "binary_cross_entropy_with_logits": lambda x, **k: functional.binary_cross_entropy_with_logits(x, SIGN > 0, pos_weight=[1, 2, 3], **k),
    "sigmoid_focal_loss": lambda x, **k: functional.sigmoid_focal_loss(x, SIGN > 0, **k),
    "dice_loss": lambda x, **k: functional.dice_loss(x, SIGN > 0, **k),
    "cross_entropy": lambda x, **k: functional.cross_entropy(x, [0, 2], weight=[1, 2, 3], label_smoothing=0.1, **k),
    "cross_entropy, one ignored": lambda x, **k: functional.cross_entropy(x, [0, -100], **k),
    "nll_loss": lambda x, **k: functional.nll_loss(x, [0, -100], weight=np.ones(3), **k),
    "kl_div": lambda x, **k: functional.kl_div(x, X.tolist(), **k),
    "hinge_embedding_loss": lambda x, **k: functional.hinge_embedding_loss(x, SIGN, **k),
    "margin_ranking_loss": lambda x, **k: functional.margin_ranking_loss(x, X, SIGN, margin=0.1, **k),
    "soft_margin_loss": lambda x, **k: functional.soft_margin_loss(x, SIGN, **k),
    "multilabel_soft_margin_loss": lambda x, **k: functional.multilabel_soft_margin_loss(x, SIGN > 0, weight=[1, 2, 3], **k),
    "multi_margin_loss": lambda x, **k: functional.multi_margin_loss(x, [0, 2], weight=[1, 2, 3], **k),
    "multilabel_margin_loss": lambda x, **k: functional.multilabel_margin_loss(x, [[0, -1, 1], [2, 1, -1]], **k),
    "cosine_embedding_loss": lambda x, **k: functional.cosine_embedding_loss(x, X[::-1], [1, -1], margin=0.1, **k),
    "triplet_margin_loss": lambda x, **k: functional.triplet_margin_loss(x, X[::-1], X, swap=True, **k),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", CALLS)
def test_float32_stays_float32_whatever_the_targets_are(name: str, reduction: str) -> None:
    x = ag.tensor(X, requires_grad=True)
    loss = CALLS[name](x, reduction=reduction)
    loss.sum().backward()
    assert loss.dtype == x.grad.dtype == np.float32
    plain = CALLS[name](X, reduction=reduction)
    assert plain.dtype == np.float32
    np.testing.assert_array_equal(plain, loss.detach().numpy())


@pytest.mark.parametrize("name", ["cosine_similarity", "pairwise_distance", "cdist"])
def test_distances_of_float32_are_float32(name: str) -> None:
    x = ag.tensor(X, requires_grad=True)
    y = getattr(functional, name)(x, X[::-1])
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32
    assert functional.normalize(X).dtype == functional.pdist(X).dtype == np.float32


@pytest.mark.parametrize("target", [np.array([2, 0, -100]), np.array([2, 0, 1], dtype=np.int32)])
@pytest.mark.parametrize("options", [{}, {"weight": np.array([1.0, 2.0, 3.0])}, {"label_smoothing": 0.1}, {"ignore_index": 0}, {"reduction": "none"}])
def test_labels_may_be_tensors(target: Any, options: Any, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 3))
    target = target if "ignore_index" not in options else target % 2
    for name in ("cross_entropy", "nll_loss"):
        if name == "nll_loss" and "label_smoothing" in options:
            continue
        results = []
        for labels in (target, ag.tensor(target)):
            logits = ag.tensor(x, requires_grad=True)
            loss = getattr(functional, name)(logits, labels, **options)
            loss.sum().backward()
            results.append((loss.detach().numpy(), logits.grad.numpy()))
        np.testing.assert_array_equal(results[0][0], results[1][0])
        np.testing.assert_array_equal(results[0][1], results[1][1])


def test_integers_and_lists_are_inputs_too() -> None:
    logits = [[1, 2, 3], [0, 4, 0]]
    for x in (logits, np.array(logits), ag.tensor(logits)):
        np.testing.assert_array_equal(functional.cross_entropy(x, [2, 1]), functional.cross_entropy(np.array(logits, dtype=float), [2, 1]))
        assert functional.mse_loss(x, logits) == 0


def test_the_divergence_of_a_target_of_zero_is_zero_and_its_slope_infinite() -> None:
    target = ag.tensor(np.array([0.0, 1.0]), requires_grad=True)
    loss = functional.kl_div(np.log([0.5, 0.5]), target, reduction="sum")
    loss.backward()
    assert loss.item() == np.log(2)
    np.testing.assert_array_equal(target.grad.numpy(), [-np.inf, 1 + np.log(2)])


def test_labels_in_a_tensor_are_not_handed_out() -> None:
    labels = ag.tensor([0, 2, -100])
    x = ag.tensor(np.zeros((3, 3)), requires_grad=True)
    for options in ({}, {"weight": np.ones(3)}, {"label_smoothing": 0.1}):
        functional.cross_entropy(x, labels, **options).backward()
    assert not labels.handed_out  # else the tape would watch for changes, and sweep more slowly


def test_labels_that_change_after_the_call_do_not_change_the_gradient() -> None:
    x, labels = ag.tensor(np.array([[1.0, 2.0]]), requires_grad=True), np.array([0])
    loss = functional.cross_entropy(x, labels)
    labels[0] = 1
    loss.backward()
    assert x.grad.numpy()[0, 0] < 0


def test_losses_work_inside_vmap(rng: np.random.Generator) -> None:
    x, y, labels = rng.normal(size=(4, 3, 5)), rng.normal(size=(4, 3, 5)), rng.integers(0, 5, size=(4, 3))
    absent = np.where(labels == labels[0, 0], -100, labels)
    absent[:, 1] = labels[:, 1]
    for function, arguments in (
        (functional.mse_loss, (x, y)),
        (functional.huber_loss, (x, y)),
        (functional.cross_entropy, (x, labels)),
        (functional.cross_entropy, (x, absent)),
        (lambda a, b: functional.cross_entropy(a, b, weight=np.arange(1.0, 6.0), label_smoothing=0.1), (x, absent)),
        (functional.nll_loss, (x, absent)),
        (functional.multi_margin_loss, (x, labels)),
        (functional.binary_cross_entropy_with_logits, (x, functional.sigmoid(y))),
        (functional.cosine_similarity, (x, y)),
        (functional.cdist, (x, y)),
        (lambda a, b: functional.ctc_loss(functional.log_softmax(a[:, None], -1), [[1]], [3], [1]), (x, labels)),
    ):
        together = ag.vmap(ag.grad(lambda a, b, f=function: np.sum(f(a, b))))(*arguments)
        alone = [ag.grad(lambda a, b, f=function: np.sum(f(a, b)))(*one) for one in zip(*arguments, strict=True)]
        np.testing.assert_allclose(together, np.stack(alone), rtol=1e-12, atol=1e-15)


def test_bad_input_is_named_inside_vmap_too() -> None:
    with pytest.raises(ValueError, match="binary_cross_entropy: input must be probabilities"):
        ag.vmap(functional.binary_cross_entropy)(np.full((2, 3), 1.5), np.zeros((2, 3)))
    for name in ("cross_entropy", "nll_loss", "multi_margin_loss"):
        with pytest.raises(ValueError, match=f"{name}: target holds a class that does not exist"):
            ag.vmap(getattr(functional, name))(np.zeros((4, 2, 3)), np.full((4, 2), 3))


# --- bad input --------------------------------------------------------------------------------------------------------------

L = np.zeros((2, 3))
BAD: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    *[
        (name, (np.zeros((3, 1)), np.zeros(3)), {}, ValueError, rf"{name}: input has shape \(3, 1\), target \(3,\)")
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
    ],
    ("mse_loss", (L, L), {"weight": np.ones(3)}, ValueError, r"mse_loss: input has shape \(2, 3\), weight \(3,\)"),
    ("smooth_l1_loss", (L, L), {"beta": -1.0}, ValueError, "beta must not be negative"),
    ("huber_loss", (L, L), {"delta": 0.0}, ValueError, "delta must be positive"),
    ("gaussian_nll_loss", (L, L, -1.0), {}, ValueError, "var has negative entries"),
    ("gaussian_nll_loss", (L, L, np.ones(3)), {}, ValueError, r"var has shape \(3,\), input \(2, 3\)"),
    (
        "binary_cross_entropy",
        (L + 1.5, L),
        {},
        ValueError,
        r"probabilities in \[0, 1\], but of 6 elements 6 are not; use binary_cross_entropy_with_logits",
    ),
    ("sigmoid_focal_loss", (L, L), {"alpha": 2.0}, ValueError, "alpha must be in"),
    ("sigmoid_focal_loss", (L, L), {"gamma": -1.0}, ValueError, "gamma must not be negative"),
    ("dice_loss", (L, np.zeros(3)), {}, ValueError, r"dice_loss: input has shape \(2, 3\), target \(3,\)"),
    *[
        entry
        for name in ("cross_entropy", "nll_loss", "multi_margin_loss")
        for entry in (
            (name, (L, [0, 3]), {}, ValueError, rf"{name}: target holds class 3, but input of shape \(2, 3\) has classes 0..2"),
            (name, (L, [0, -1]), {}, ValueError, rf"{name}: target holds class -1"),
            (name, (L, ag.tensor([0, 3])), {}, ValueError, rf"{name}: target holds class 3"),
            (
                name,
                (L, [0, 1, 1]),
                {},
                ValueError,
                rf"{name}: target has shape \(3,\), but input of shape \(2, 3\) needs class indices of shape \(2,\)",
            ),
            (name, (L, [0.0, 1.0]), {}, TypeError, rf"{name}: target of dtype float64 and shape \(2,\).* give integer classes of shape \(2,\)"),
            (name, (L, [True, False]), {}, TypeError, rf"{name}: target of dtype bool"),
            (name, (L, [0, 1]), {"weight": [1, 2]}, ValueError, rf"{name}: weight has shape \(2,\), but there are 3 classes"),
        )
    ],
    ("cross_entropy", (np.float64(1.0), 0), {}, ValueError, "input needs a class axis"),
    ("cross_entropy", (L, L + 1 / 3), {"ignore_index": 1}, ValueError, "ignore_index=1 is for class indices"),
    ("multi_margin_loss", (L, [0, 1]), {"p": 3}, ValueError, "p must be 1 or 2"),
    ("multi_margin_loss", (np.zeros((2, 0)), [0, 1]), {}, ValueError, "at least one class"),
    ("multilabel_margin_loss", (L, [[0, 1, 3], [0, -1, -1]]), {}, ValueError, "multilabel_margin_loss: target holds class 3"),
    ("multilabel_margin_loss", (L, [0, 1]), {}, ValueError, r"target has shape \(2,\)"),
    ("margin_ranking_loss", (L, L, [1, 1, 1]), {}, ValueError, r"input1 has shape \(2, 3\), input2 \(2, 3\), target \(3,\)"),
    ("cosine_embedding_loss", (L, L, [1, 1, 1]), {}, ValueError, r"inputs of shape \(2, 3\), target \(3,\)"),
    ("triplet_margin_loss", (L, L, L), {"margin": 0.0}, ValueError, "margin must be positive"),
    ("triplet_margin_loss", (L, L, L[0]), {}, ValueError, r"anchor has shape \(2, 3\), positive \(2, 3\), negative \(3,\)"),
    ("cdist", (L, np.zeros((2, 4))), {}, ValueError, r"cdist: x1 has shape \(2, 3\), x2 \(2, 4\)"),
    ("cdist", (L, L), {"p": -1.0}, ValueError, "p must not be negative"),
    ("cdist", (L, L), {"compute_mode": "fast"}, ValueError, "compute_mode must be one of"),
    ("pdist", (np.zeros(3),), {}, ValueError, r"pdist: expected a matrix, \(N, M\), not shape \(3,\)"),
    ("cosine_similarity", (L, L), {"dim": 2}, ValueError, "axis 2 is out of bounds"),
    ("cosine_similarity", (L, L), {"dim": 0, "axis": 1}, TypeError, "two names of one argument"),
]


@pytest.mark.parametrize(("name", "arguments", "options", "error", "message"), BAD)
def test_errors_name_the_loss_and_what_was_expected(name: str, arguments: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        getattr(functional, name)(*arguments, **options)


@pytest.mark.parametrize("name", CALLS)
def test_an_unknown_reduction_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match='reduction must be "mean", "sum" or "none", not \'average\''):
        CALLS[name](X, reduction="average")


LEGACY = [n for n in CALLS if not n.startswith(("huber", "gaussian", "sigmoid_focal", "dice"))]


@pytest.mark.parametrize("name", LEGACY)
def test_the_old_booleans_mean_what_they_mean_in_torch(name: str) -> None:
    for average, reduce in itertools.product([None, True, False], repeat=2):
        if average is None and reduce is None:
            continue
        expected = "none" if reduce is False else "sum" if average is False else "mean"
        with pytest.warns(DeprecationWarning, match=f"write reduction='{expected}'"):
            loss = CALLS[name](X, size_average=average, reduce=reduce)
        np.testing.assert_array_equal(loss, CALLS[name](X, reduction=expected))


def test_a_reduction_in_the_place_of_an_old_boolean_is_refused() -> None:
    with pytest.raises(TypeError, match="give the reduction by keyword, reduction='sum'"):
        functional.mse_loss(X, X, "sum")
