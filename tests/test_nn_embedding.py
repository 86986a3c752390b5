"""Embeddings: torch's values and gradients over every argument, derivatives of higher order, big tables, bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import functional
from nn.functional import embeddings

TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}


def both(torch: Any, function: Any, theirs: Any, weight: Any, g: Any, **weights: Any) -> None:
    """`function(weight, **weights)` and `theirs` agree in value, gradients and in what they leave in the table."""
    w, extra = ag.tensor(weight, requires_grad=True), {name: ag.tensor(value, requires_grad=True) for name, value in weights.items()}
    t, others = torch.tensor(weight, requires_grad=True), {name: torch.tensor(value, requires_grad=True) for name, value in weights.items()}
    y, u = function(w, **extra), theirs(t, **others)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), **TOLERANCE)
    np.testing.assert_allclose(w.detach().numpy(), t.detach().numpy(), **TOLERANCE)
    y.backward(g(y.shape))
    u.backward(torch.tensor(g(y.shape)))
    gradient = t.grad.to_dense() if t.grad.is_sparse else t.grad
    np.testing.assert_allclose(w.grad.data, gradient.numpy(), **TOLERANCE)
    for name, value in extra.items():
        np.testing.assert_allclose(value.grad.data, others[name].grad.numpy(), **TOLERANCE)


def incoming(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(5).normal(size=shape)


INDICES = {
    "vector": np.array([0, 3, 3, 1, 3]),
    "matrix": np.array([[0, 1, 1], [4, 2, 1]]),
    "number": np.array(2),
    "empty": np.zeros((2, 0), dtype=int),
    "int32": np.array([[1], [1]], dtype=np.int32),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("padding_idx", [None, 1, -2])
@pytest.mark.parametrize(("max_norm", "norm_type"), [(None, 2.0), (1.0, 2.0), (1.5, 1.0), (0.8, np.inf)])
@pytest.mark.parametrize(("scale_grad_by_freq", "sparse"), [(False, False), (True, False), (False, True)])
def test_embedding_has_torchs_values_and_gradients(
    index: Any, padding_idx: int | None, max_norm: float | None, norm_type: float, scale_grad_by_freq: bool, sparse: bool, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    if sparse and index.ndim == 0:
        sparse = False  # torch fails at a single number with a sparse gradient
    weight, ids = rng.normal(size=(5, 3)), torch.tensor(index)
    options: dict[str, Any] = {"padding_idx": padding_idx, "max_norm": max_norm, "norm_type": norm_type}
    options |= {"scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse}
    torchs = torch.nn.functional.embedding

    def theirs(w: Any) -> Any:
        if options["max_norm"] is not None:
            with torch.no_grad():  # of a leaf that requires grad, torch renormalises in place too
                torchs(ids, w, max_norm=options["max_norm"], norm_type=options["norm_type"])
        return torchs(ids, w, **options)

    both(torch, lambda w: functional.embedding(index, w, **options), theirs, weight, incoming)


def bag_options() -> list[dict[str, Any]]:
    table = itertools.product(("sum", "mean", "max"), (None, 1, -2), (None, 1.0), (False, True), (False, True))
    return [
        {"mode": mode, "padding_idx": padding, "max_norm": max_norm, "include_last_offset": last, "weighted": weighted}
        for mode, padding, max_norm, last, weighted in table
        if not (weighted and mode != "sum")
    ]


@pytest.mark.parametrize("offsets", [[0, 0, 3, 6], [0, 2, 6], [0], [0, 6, 6]])
@pytest.mark.parametrize("options", bag_options(), ids=str)
def test_bags_have_torchs_values_and_gradients(options: dict[str, Any], offsets: list[int], rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    options = dict(options)
    weight, index = rng.normal(size=(5, 3)), np.array([0, 1, 1, 4, 2, 1])
    if options["include_last_offset"] and len(offsets) == 1:
        offsets = [0, 6]
    weights = {"per_sample_weights": rng.normal(size=6)} if options.pop("weighted") else {}

    def theirs(w: Any, **extra: Any) -> Any:
        return torch.nn.functional.embedding_bag(torch.tensor(index), w, torch.tensor(offsets), **options, **extra)

    both(torch, lambda w, **extra: functional.embedding_bag(index, w, np.array(offsets), **options, **extra), theirs, weight, incoming, **weights)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 1])
def test_rows_of_a_matrix_are_bags(mode: str, padding_idx: int | None, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    weight, index = rng.normal(size=(5, 3)), rng.integers(0, 5, size=(4, 3))
    options: dict[str, Any] = {"mode": mode, "padding_idx": padding_idx}
    weights = {"per_sample_weights": rng.normal(size=(4, 3))} if mode == "sum" else {}

    def theirs(w: Any, **extra: Any) -> Any:
        return torch.nn.functional.embedding_bag(torch.tensor(index), w, **options, **extra)

    both(torch, lambda w, **extra: functional.embedding_bag(index, w, **options, **extra), theirs, weight, incoming, **weights)


def test_the_last_offset_says_where_the_last_bag_ends() -> None:
    bags = functional.embedding_bag(np.array([0, 1, 1, 4]), np.arange(5.0)[:, None], np.array([0, 1, 3]), mode="sum", include_last_offset=True)
    np.testing.assert_array_equal(bags, [[0.0], [2.0]])


def test_a_bag_divides_gradients_by_how_often_the_row_itself_is_asked_for() -> None:
    weight = ag.tensor(np.ones((3, 1)), requires_grad=True)
    functional.embedding_bag(np.array([1, 1, 1, 2]), weight, np.array([0, 2]), mode="sum", scale_grad_by_freq=True).sum().backward()
    np.testing.assert_allclose(weight.grad.data[:, 0], [0.0, 1.0, 1.0])


def test_of_equal_largest_rows_in_a_bag_the_first_gets_the_gradient() -> None:
    weight = ag.tensor(np.ones((3, 2)), requires_grad=True)
    functional.embedding_bag(np.array([2, 1, 0]), weight, np.array([0]), mode="max").sum().backward()
    np.testing.assert_array_equal(weight.grad.data, [[0, 0], [0, 0], [1, 1]])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embeddings_and_bags_differentiate_twice(mode: str, rng: np.random.Generator) -> None:
    index, offsets = np.array([0, 3, 3, 1, 3]), np.array([0, 2, 2])
    assert ag.gradcheck(lambda w: functional.embedding(index, w) ** 2, rng.normal(size=(4, 3)))
    assert ag.gradcheck(lambda w: functional.embedding_bag(index, w, offsets, mode=mode) ** 2, rng.normal(size=(4, 3)))
    if mode == "sum":
        weighted = lambda w, p: functional.embedding_bag(index, w, offsets, mode="sum", per_sample_weights=p)
        assert ag.gradcheck(weighted, rng.normal(size=(4, 3)), rng.normal(size=5))


def test_the_second_derivative_leaves_out_the_padding_as_torch_does(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    weight, index = rng.normal(size=(5, 3)), np.array([[0, 1, 1], [4, 2, 1]])
    w, t = ag.tensor(weight, requires_grad=True), torch.tensor(weight, requires_grad=True)
    v, u = ag.tensor(np.ones((2, 3, 3)), requires_grad=True), torch.ones((2, 3, 3), dtype=torch.float64, requires_grad=True)
    (first,) = ag.gradient(functional.embedding(index, w, padding_idx=1), [w], v, create_graph=True)
    (expected,) = torch.autograd.grad(torch.nn.functional.embedding(torch.tensor(index), t, padding_idx=1), t, u, create_graph=True)
    np.testing.assert_allclose(ag.gradient((first**2).sum(), v).data, torch.autograd.grad((expected**2).sum(), u)[0].numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.complex128])
@pytest.mark.parametrize(("rows", "places", "width"), [(50, 400, 64), (3000, 200, 64), (7, 5, 3)])
@pytest.mark.parametrize("scipy", [False, True])
def test_rows_are_added_alike_with_and_without_scipy(
    dtype: Any, rows: int, places: int, width: int, scipy: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scipy:
        pytest.importorskip("scipy")
    else:
        monkeypatch.setattr(embeddings, "_sparse", lambda: None)
    index, values = rng.integers(0, rows, size=places), rng.normal(size=(places, width)).astype(dtype)
    expected = np.zeros((rows, width), np.complex128 if dtype == np.complex128 else np.float64)
    np.add.at(expected, index, values)
    weight = ag.tensor(np.zeros((rows, width), dtype), requires_grad=True)
    functional.embedding(index, weight).backward(values)
    assert weight.grad.dtype == dtype
    np.testing.assert_allclose(weight.grad.data, expected, rtol=1e-2 if dtype == np.float16 else 1e-4, atol=1e-2 if dtype == np.float16 else 1e-5)


def test_an_embedding_maps_over_a_batch_of_numbers(rng: np.random.Generator) -> None:
    weight, index = rng.normal(size=(5, 3)), np.array([[0, 1], [1, 1], [4, 2]])
    np.testing.assert_array_equal(ag.vmap(lambda i: functional.embedding(i, weight))(index), weight[index])
    gradients = ag.vmap(ag.grad(lambda w, i: (functional.embedding(i, w) ** 2).sum()), in_axes=(None, 0))(weight, index)
    np.testing.assert_allclose(gradients[1], ag.grad(lambda w: (functional.embedding(index[1], w) ** 2).sum())(weight))


def test_renormalising_changes_only_rows_that_are_asked_for_and_too_long() -> None:
    weight = nn.Parameter(np.array([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]]))
    functional.embedding(np.array([0, 1, 0]), weight, max_norm=1.0)
    np.testing.assert_allclose(weight.data, [[0.6, 0.8], [0.3, 0.4], [30.0, 40.0]], rtol=1e-6)
    with pytest.raises(ValueError, match="max_norm changes weight in place, so weight must be a parameter or a plain array"):
        functional.embedding(np.array([0]), weight * 2.0, max_norm=1.0)


def test_float32_stays_float32() -> None:
    weight = ag.tensor(np.ones((3, 2), dtype=np.float32), requires_grad=True)
    weights = ag.tensor(np.ones(4, dtype=np.float32), requires_grad=True)
    index = np.array([0, 1, 1, 2])
    for y in (
        functional.embedding(index, weight, padding_idx=1, scale_grad_by_freq=True, max_norm=1.0),
        functional.embedding_bag(index, weight, np.array([0, 2]), mode="mean", scale_grad_by_freq=True),
        functional.embedding_bag(index, weight, np.array([0, 2]), mode="sum", per_sample_weights=weights),
        functional.embedding_bag(index, weight, np.array([0, 2]), mode="max"),
    ):
        y.sum().backward()
        assert y.dtype == weight.grad.dtype == np.float32
    assert weights.grad.dtype == np.float32


# --- layers -----------------------------------------------------------------------------------------------------------------------


def test_fresh_tables_have_torchs_names_and_distribution() -> None:
    for layer in (nn.Embedding(200, 50, padding_idx=-1, generator=0), nn.EmbeddingBag(200, 50, padding_idx=199, generator=0)):
        assert list(layer.state_dict()) == ["weight"]
        weight = layer.weight.data
        assert weight.dtype == np.float32
        np.testing.assert_allclose([weight[:-1].mean(), weight[:-1].std()], [0, 1], atol=0.02)
        np.testing.assert_array_equal(weight[-1], 0.0)
        assert layer.padding_idx == 199


def test_layers_pass_their_options_on_and_show_them(rng: np.random.Generator) -> None:
    weight = rng.normal(size=(5, 3))
    index = np.array([[0, 1, 1], [4, 2, 1]])
    layer = nn.Embedding.from_pretrained(weight, freeze=False, padding_idx=1, max_norm=1.0, norm_type=1.0, scale_grad_by_freq=True)
    np.testing.assert_allclose(layer(index).data, functional.embedding(index, weight.copy(), max_norm=1.0, norm_type=1.0))
    assert repr(layer) == "Embedding(5, 3, padding_idx=1, max_norm=1.0, norm_type=1.0, scale_grad_by_freq=True)"
    bags = nn.EmbeddingBag.from_pretrained(weight, mode="sum", padding_idx=1)
    assert not bags.weight.requires_grad
    assert not nn.Embedding.from_pretrained(weight).weight.requires_grad
    np.testing.assert_allclose(bags(index).data, functional.embedding_bag(index, weight, mode="sum", padding_idx=1))
    assert repr(bags) == "EmbeddingBag(5, 3, mode='sum', padding_idx=1)"
    np.testing.assert_allclose(nn.EmbeddingBag(5, 3, _weight=weight)(index[0], np.array([0])).data, weight[index[0]].mean(axis=0)[None])


def test_torchs_states_load() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Embedding(4, 3, padding_idx=0)
    layer = nn.Embedding(4, 3, padding_idx=0)
    layer.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(layer(np.arange(4)).data, theirs(torch.arange(4)).detach().numpy())


def test_one_hot_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    for classes, count in ((np.array([[0, 2], [1, 0]]), -1), (np.array(3), -1), (np.array([1]), 5), (np.zeros(0, dtype=int), 3)):
        expected = torch.nn.functional.one_hot(torch.tensor(classes), count).numpy()
        got = functional.one_hot(classes, count)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(functional.one_hot(ag.tensor([1, 0]), 2), [[0, 1], [1, 0]])


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: functional.embedding(np.array([0, 5]), np.ones((5, 2))), IndexError, r"asks for row 5, but weight of shape \(5, 2\) has rows 0..4"),
    (lambda: functional.embedding(np.array([-1]), np.ones((5, 2))), IndexError, "asks for row -1"),
    (lambda: functional.embedding(np.array([0.5]), np.ones((5, 2))), TypeError, r"input of dtype float64 and shape \(1,\); give the numbers of rows"),
    (lambda: functional.embedding(np.array([0]), np.ones(5)), ValueError, r"weight of shape \(5,\), expected"),
    (lambda: functional.embedding(np.array([0]), np.ones((5, 2)), padding_idx=5), ValueError, "padding_idx=5 for a table of 5 rows"),
    (lambda: nn.Embedding(5, 2, padding_idx=-6), ValueError, "Embedding: padding_idx=-6"),
    (lambda: nn.Embedding(-1, 2), ValueError, "num_embeddings must be an integer >= 0, not -1"),
    (lambda: nn.Embedding(5, 2, _weight=np.ones((4, 2))), ValueError, r"a table of shape \(4, 2\), expected .* \(5, 2\)"),
    (lambda: nn.Embedding.from_pretrained(np.ones(3)), ValueError, r"embeddings of shape \(3,\)"),
    (lambda: nn.EmbeddingBag(5, 2, mode="median"), ValueError, "mode must be"),
    (lambda: functional.embedding_bag(np.array([0]), np.ones((5, 2)), np.array([0]), mode="median"), ValueError, "mode must be"),
    (lambda: functional.embedding_bag(np.array([0]), np.ones((5, 2))), ValueError, "with offsets"),
    (lambda: functional.embedding_bag(np.array([[0]]), np.ones((5, 2)), np.array([0])), ValueError, "offsets go with a 1-d input"),
    (lambda: functional.embedding_bag(np.array([0, 1]), np.ones((5, 2)), np.array([1])), ValueError, "offsets must begin with 0"),
    (lambda: functional.embedding_bag(np.array([0, 1]), np.ones((5, 2)), np.array([0, 3])), ValueError, "end by 2"),
    (lambda: functional.embedding_bag(np.array([0]), np.ones((5, 2)), np.array([0.0])), ValueError, "1-d array of integers"),
    (
        lambda: functional.embedding_bag(np.array([0]), np.ones((5, 2)), np.array([0]), mode="max", scale_grad_by_freq=True),
        ValueError,
        "scale_grad_by_freq does not go",
    ),
    (
        lambda: functional.embedding_bag(np.array([0]), np.ones((5, 2)), np.array([0]), per_sample_weights=np.ones(1)),
        ValueError,
        "per_sample_weights go with",
    ),
    (
        lambda: functional.embedding_bag(np.array([0]), np.ones((5, 2)), np.array([0]), mode="sum", per_sample_weights=np.ones(2)),
        ValueError,
        r"per_sample_weights of shape \(2,\)",
    ),
    (lambda: functional.one_hot(np.array([0, 3]), 3), ValueError, "num_classes=3, but the largest class is 3"),
    (lambda: functional.one_hot(np.array([-1])), ValueError, "class -1 is negative"),
    (lambda: functional.one_hot(np.zeros(0, dtype=int)), ValueError, "give num_classes"),
    (lambda: functional.one_hot(np.array([1.0])), TypeError, "give integers"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=[message for _, _, message in BAD])
def test_what_does_not_fit_is_refused_by_name(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
