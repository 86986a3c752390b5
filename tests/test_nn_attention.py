"""Attention: torch's values and gradients over every argument, derivatives of higher order, masks, dropout and caches."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import functional

TOLERANCE = {"rtol": 1e-11, "atol": 1e-12}


def leaves(*arrays: Any) -> list[Any]:
    return [ag.tensor(array, requires_grad=True) for array in arrays]


def twins(torch: Any, *arrays: Any) -> list[Any]:
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def assert_equal_gradients(ours: list[Any], theirs: list[Any]) -> None:
    for x, t in zip(ours, theirs, strict=True):
        if t.grad is None:
            assert x.grad is None or not x.grad.data.any()
        else:
            np.testing.assert_allclose(x.grad.data, t.grad.numpy(), **TOLERANCE)


# --- scaled_dot_product_attention -----------------------------------------------------------------------------------------------

SHAPES = {
    "one sequence": ((3, 4), (5, 4), (5, 2)),
    "batch": ((2, 3, 4), (2, 5, 4), (2, 5, 2)),
    "heads": ((2, 3, 4, 2), (2, 3, 4, 2), (2, 3, 4, 2)),
    "one key": ((2, 1, 3, 4), (2, 1, 1, 4), (2, 1, 1, 3)),
    "more queries than keys": ((1, 2, 5, 3), (1, 2, 2, 3), (1, 2, 2, 3)),
    "broadcast batch": ((3, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4)),
    "no key": ((2, 3, 4), (2, 0, 4), (2, 0, 4)),
    "no query": ((2, 0, 4), (2, 3, 4), (2, 3, 4)),
}


def mask_of(kind: str, queries: int, keys: int, batch: tuple[int, ...], rng: np.random.Generator) -> Any:
    if kind == "none" or kind == "causal":
        return None
    if kind == "boolean":
        mask = rng.random((queries, keys)) > 0.4
        mask[: queries // 2, :1] = True
        return mask
    if kind == "additive":
        return rng.normal(size=(queries, keys))
    if kind == "additive with -inf":
        mask = rng.normal(size=(*batch, queries, keys))
        mask[..., keys // 2 :] = -np.inf
        return mask
    if kind == "for one key":
        return rng.random((1, keys)) > 0.3
    if kind == "nothing to see":
        return np.zeros((queries, keys), dtype=bool)
    raise AssertionError(kind)


MASKS = ["none", "causal", "boolean", "additive", "additive with -inf", "for one key", "nothing to see"]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_attention_has_torchs_values_and_gradients(shapes: Any, scale: float | None, mask: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=shape) for shape in shapes]
    batch = np.broadcast_shapes(*(shape[:-2] for shape in shapes))
    masks = mask_of(mask, shapes[0][-2], shapes[1][-2], batch, rng)
    ours, theirs = leaves(*arrays), twins(torch, *arrays)
    mine, other = (None, None) if masks is None else (masks, torch.tensor(masks))
    if masks is not None and masks.dtype.kind == "f":
        (mine,), (other,) = leaves(masks), twins(torch, masks)
    options: dict[str, Any] = {"is_causal": mask == "causal", "scale": scale}
    y = functional.scaled_dot_product_attention(*ours, mine, **options)
    t = torch.nn.functional.scaled_dot_product_attention(*theirs, other, **options)
    np.testing.assert_allclose(y.detach().numpy(), t.detach().numpy(), **TOLERANCE)
    g = rng.normal(size=y.shape)
    y.backward(g)
    t.backward(torch.tensor(g))
    assert_equal_gradients(ours, theirs)
    if isinstance(mine, ag.Tensor):
        assert_equal_gradients([mine], [other])


@pytest.mark.parametrize("heads", [(4, 2, 2), (4, 1, 1), (4, 4, 4), (4, 2, 1)])
@pytest.mark.parametrize("is_causal", [False, True])
def test_grouped_queries_share_keys_and_values_as_in_torch(heads: tuple[int, int, int], is_causal: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(2, n, 3, 4)) for n in heads]
    ours, theirs = leaves(*arrays), twins(torch, *arrays)
    y = functional.scaled_dot_product_attention(*ours, is_causal=is_causal, enable_gqa=True)
    t = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=is_causal, enable_gqa=True)
    np.testing.assert_allclose(y.detach().numpy(), t.detach().numpy(), **TOLERANCE)
    y.sum().backward()
    t.sum().backward()
    assert_equal_gradients(ours, theirs)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("masked", ["none", "additive", "boolean"])
def test_attention_differentiates_twice(dropout: float, masked: str, rng: np.random.Generator) -> None:
    q, k, v = (rng.normal(size=(2, n, w)) for n, w in ((3, 2), (4, 2), (4, 3)))
    mask = rng.normal(size=(3, 4))
    if masked == "boolean":
        shown = mask > -0.5
        shown[0] = False
        assert ag.gradcheck(lambda *x: functional.scaled_dot_product_attention(*x, shown, dropout, generator=3), q, k, v)
    else:
        arrays = (q, k, v, mask) if masked == "additive" else (q, k, v)
        assert ag.gradcheck(lambda *x: functional.scaled_dot_product_attention(*x, *[None][len(x) - 3 :], dropout, generator=3), *arrays)


def test_the_kernel_agrees_with_the_mathematics_written_out_at_the_second_order(rng: np.random.Generator) -> None:
    arrays = [rng.normal(size=(2, 2, 4, 3)) for _ in range(3)]

    def written_out(q: Any, k: Any, v: Any) -> Any:
        scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(3)
        powers = np.exp(scores + np.triu(np.full((4, 4), -50.0), 1))
        return powers / powers.sum(axis=-1, keepdims=True) @ v

    def second(attention: Any) -> list[Any]:
        x = leaves(*arrays)
        first = ag.gradient((attention(*x) ** 2).sum(), x, create_graph=True)
        return ag.gradient(sum((g**2).sum() for g in first), x)

    expected = second(written_out)
    for got, wanted in zip(second(lambda *x: functional.scaled_dot_product_attention(*x, is_causal=True)), expected, strict=True):
        np.testing.assert_allclose(got.data, wanted.data, rtol=1e-10, atol=1e-12)


def test_a_query_that_may_see_no_key_gives_zeros_and_gradient_zero(rng: np.random.Generator) -> None:
    q, k, v = leaves(*(rng.normal(size=(3, 2)) for _ in range(3)))
    shown = np.array([[True, False, True], [False, False, False], [True, True, True]])
    y = functional.scaled_dot_product_attention(q, k, v, shown)
    y.sum().backward()
    np.testing.assert_array_equal(y.data[1], 0.0)
    np.testing.assert_array_equal(q.grad.data[1], 0.0)
    assert all(np.isfinite(x.grad.data).all() for x in (q, k, v))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("level", [-1e3, -90.0, 0.0, 90.0, 1e3])
def test_softmax_stands_scores_of_any_size(dtype: Any, level: float) -> None:
    q, k = np.ones((2, 3, 1), dtype), np.array([[[0.0], [1.0], [-2.0]]], dtype)
    value = np.eye(3, dtype=dtype)[None]
    bias = np.array([[level] * 3, [0.0] * 3, [level, -np.inf, level]], dtype)  # one row far away, others not
    weights = functional.scaled_dot_product_attention(q, k, value, bias, scale=1.0)
    expected = np.exp(k[0, :, 0].astype(float) + np.array([[0.0] * 3, [0.0] * 3, [0.0, -np.inf, 0.0]]))
    np.testing.assert_allclose(weights[1], expected / expected.sum(axis=-1, keepdims=True), rtol=2 * np.finfo(dtype).eps * max(1, abs(level)))


def test_dropped_weights_are_zero_and_the_others_larger() -> None:
    value = np.eye(64)
    q = np.zeros((200, 64))
    weights = functional.scaled_dot_product_attention(q, value, value, dropout_p=0.25, generator=0) * 64
    np.testing.assert_allclose(np.unique(weights.round(12)), [0.0, 4 / 3])
    np.testing.assert_allclose((weights == 0).mean(), 0.25, atol=0.02)
    np.testing.assert_array_equal(functional.scaled_dot_product_attention(q, value, value, dropout_p=1.0), 0.0)


def test_the_default_generator_draws_the_dropout() -> None:
    x = np.random.default_rng(0).normal(size=(8, 4))
    nn.manual_seed(1)
    first = functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5)
    assert (functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5) != first).any()
    nn.manual_seed(1)
    np.testing.assert_array_equal(functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5), first)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_parts_of_a_batch_give_what_the_whole_gives(masked: bool, dropout: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.MultiheadAttention(4, 2, dropout=dropout, batch_first=True, dtype=np.float64, generator=0)
    arrays = rng.normal(size=(5, 3, 4)), rng.normal(size=(5, 3, 4))
    mask = rng.normal(size=(10, 3, 3)) if masked else None
    results = []
    for part in (2**19, 40, 1):
        monkeypatch.setattr("nn.functional.attention.PART", part)
        nn.manual_seed(0)
        x, other = leaves(*arrays)
        y, weights = layer(x, x, x, attn_mask=mask)
        z, _ = layer(x, other, other, attn_mask=mask, need_weights=False)
        ((y * y).sum() + (weights**2).sum() + (z**2).sum()).backward()
        results.append((y.data, z.data, x.grad.data, other.grad.data))
    for got in results[1:]:
        for a, b in zip(got, results[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_attention_of_float32_is_float32_whatever_the_mask() -> None:
    for mask in (None, np.zeros((3, 3)), np.ones((3, 3), dtype=bool), np.zeros((3, 3), dtype=np.float32)):
        q, k, v = leaves(*(np.ones((2, 3, 4), dtype=np.float32) for _ in range(3)))
        y = functional.scaled_dot_product_attention(q, k, v, mask, 0.5)
        y.sum().backward()
        assert y.dtype == q.grad.dtype == k.grad.dtype == v.grad.dtype == np.float32


def test_attention_takes_strided_and_read_only_arrays(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 3, 6, 2)).transpose(2, 1, 0, 3)[::-2]
    x.flags.writeable = False
    plain = np.ascontiguousarray(x)
    expected = functional.scaled_dot_product_attention(plain, plain, plain, is_causal=True)
    np.testing.assert_allclose(functional.scaled_dot_product_attention(x, x, x, is_causal=True), expected, rtol=1e-13)


def test_attention_maps_over_a_batch_and_has_forward_derivatives(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 4, 2))

    def attend(x: Any) -> Any:
        return functional.scaled_dot_product_attention(x, x, x, is_causal=True)

    np.testing.assert_allclose(ag.vmap(attend)(x), attend(x), rtol=1e-13)
    gradients = ag.vmap(ag.grad(lambda x: (attend(x) ** 2).sum()))(x)
    np.testing.assert_allclose(gradients[1], ag.grad(lambda x: (attend(x) ** 2).sum())(x[1]), rtol=1e-12)
    _, tangent = ag.jvp(attend, (x,), (np.ones_like(x),))
    step = 1e-6
    np.testing.assert_allclose(tangent, (attend(x + step) - attend(x - step)) / (2 * step), atol=1e-8)


def test_masks_have_forward_derivatives_and_batches_too(rng: np.random.Generator) -> None:
    q, k, v = (rng.normal(size=(2, 3, 4)) for _ in range(3))
    mask, direction, step = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), 1e-6
    layer = nn.MultiheadAttention(4, 2, batch_first=True, dtype=np.float64, generator=0)
    for attend in (
        lambda m: functional.scaled_dot_product_attention(q, k, v, m),
        lambda m: layer(ag.tensor(q), ag.tensor(q), ag.tensor(q), attn_mask=m)[0],
        lambda m: layer(*(3 * [q]), attn_mask=m, need_weights=False)[0],
    ):
        _, tangent = ag.jvp(attend, (mask,), (direction,))
        numeric = (plain(attend(mask + step * direction)) - plain(attend(mask - step * direction))) / (2 * step)
        np.testing.assert_allclose(plain(tangent), numeric, atol=1e-8)
        masks = np.stack((mask, 2 * mask))
        np.testing.assert_allclose(plain(ag.vmap(attend)(masks))[1], plain(attend(masks[1])), rtol=1e-12)


def plain(x: Any) -> Any:
    return x.detach().numpy() if isinstance(x, ag.Tensor) else x


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((3, 4), (5, 3), (5, 3)), {}, r"query of shape \(3, 4\), key of shape \(5, 3\).*queries and keys must have one width"),
        (((3, 4), (5, 4), (6, 4)), {}, "one value for each key"),
        (((4,), (5, 4), (5, 4)), {}, "two axes at least"),
        (((2, 3, 4), (3, 5, 4), (3, 5, 4)), {}, "axes before the last two must broadcast"),
        (((3, 4), (5, 4), (5, 4)), {"attn_mask": np.ones((2, 5))}, r"attn_mask of shape \(2, 5\) does not broadcast to \(3, 5\)"),
        (((3, 4), (3, 4), (3, 4)), {"attn_mask": np.ones((3, 3)), "is_causal": True}, "attn_mask or is_causal=True, not both"),
        (((3, 4), (3, 4), (3, 4)), {"dropout_p": -0.5}, r"probability to drop an element, must be in .0, 1., not -0.5"),
        (((3, 2, 4), (2, 2, 4), (2, 2, 4)), {"enable_gqa": True}, "the heads .axis -3. of the queries must be a multiple"),
    ],
)
def test_attention_refuses_what_does_not_fit(shapes: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        functional.scaled_dot_product_attention(*(np.ones(shape) for shape in shapes), **options)


def test_a_mask_of_integers_is_refused() -> None:
    with pytest.raises(TypeError, match=r"attn_mask of dtype int64 and shape \(3, 3\); give booleans .True shows. or floats"):
        functional.scaled_dot_product_attention(*(np.ones((3, 4)) for _ in range(3)), np.ones((3, 3), dtype=np.int64))


# --- MultiheadAttention -----------------------------------------------------------------------------------------------------------

LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "bias of keys": {"add_bias_kv": True},
    "zero attention": {"add_zero_attn": True},
    "both": {"add_bias_kv": True, "add_zero_attn": True},
    "other widths": {"kdim": 3, "vdim": 5},
    "other width of keys": {"kdim": 3, "bias": False},
    "other widths and more keys": {"kdim": 3, "vdim": 5, "add_bias_kv": True, "add_zero_attn": True},
}
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no weights": {"need_weights": False},
    "each head's weights": {"average_attn_weights": False},
    "hidden pairs": {"attn_mask": "boolean"},
    "hidden pairs, no weights": {"attn_mask": "boolean", "need_weights": False},
    "added to pairs": {"attn_mask": "float"},
    "added for each head": {"attn_mask": "float 3-d", "average_attn_weights": False},
    "hidden for each head": {"attn_mask": "boolean 3-d", "need_weights": False},
    "padding": {"key_padding_mask": "boolean"},
    "padding, no weights": {"key_padding_mask": "boolean", "need_weights": False},
    "padding added": {"key_padding_mask": "float"},
    "both masks": {"key_padding_mask": "boolean", "attn_mask": "boolean"},
    "both masks, no weights": {"key_padding_mask": "float", "attn_mask": "float 3-d", "need_weights": False},
    "causal": {"attn_mask": "causal", "is_causal": True},
    "causal, no weights": {"attn_mask": "causal", "is_causal": True, "need_weights": False},
    "causal and padding": {"attn_mask": "causal", "is_causal": True, "key_padding_mask": "boolean"},
}


def call_of(call: dict[str, Any], batch: int, heads: int, queries: int, keys: int, batched: bool, rng: np.random.Generator) -> dict[str, Any]:
    arguments = dict(call)
    kind = arguments.get("attn_mask", "")
    shape = (batch * heads, queries, keys) if kind.endswith("3-d") else (queries, keys)
    if kind.startswith("boolean"):
        arguments["attn_mask"] = rng.random(shape) > 0.6
        arguments["attn_mask"][..., 0] = False
    elif kind.startswith("float"):
        arguments["attn_mask"] = rng.normal(size=shape)
    elif kind == "causal":
        arguments["attn_mask"] = np.triu(np.ones((queries, keys), dtype=bool), 1)
    padding = arguments.get("key_padding_mask")
    shape = (batch, keys) if batched else (keys,)
    if padding == "boolean":
        arguments["key_padding_mask"] = np.arange(keys) >= rng.integers(2, keys, size=shape[:-1])[..., None]
    elif padding == "float":
        arguments["key_padding_mask"] = rng.normal(size=shape)
    return arguments


def pair(torch: Any, name: str, dtype: Any = np.float64, **options: Any) -> tuple[Any, Any]:
    """A layer of ours and of torch's with the same parameters, which are all different from zero."""
    ours, theirs = getattr(nn, name)(dtype=dtype, generator=0, **options), getattr(torch.nn, name)(dtype=torch.float64, **options)
    rng = np.random.default_rng(1)
    for parameter in ours.parameters():
        parameter.data[...] = rng.normal(size=parameter.shape) * 0.5
    theirs.load_state_dict({key: torch.tensor(value.numpy()) for key, value in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("name", "self_attention"), [(name, own) for name in LAYERS for own in (False, True) if not (own and "kdim" in LAYERS[name])]
)
def test_multihead_attention_has_torchs_values_and_gradients(name: str, self_attention: bool, call: dict[str, Any], rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for batch_first, batched in itertools.product((False, True), (False, True)):
        heads, batch, queries, keys = 2, 3 if batched else 1, 4, 4 if self_attention or call.get("attn_mask") == "causal" else 5
        ours, theirs = pair(torch, "MultiheadAttention", embed_dim=4, num_heads=heads, batch_first=batch_first, **LAYERS[name])
        widths = (4, ours.kdim, ours.vdim)
        lengths = (queries, keys, keys)
        shapes = [((batch, n, w) if batch_first else (n, batch, w)) if batched else (n, w) for n, w in zip(lengths, widths, strict=True)]
        arguments = call_of(call, batch, heads, queries, keys, batched, rng)
        arrays = [rng.normal(size=shape) for shape in shapes[: 1 if self_attention else 3]]
        mine, others = leaves(*arrays), twins(torch, *arrays)
        masks = [name for name in ("attn_mask", "key_padding_mask") if getattr(arguments.get(name), "dtype", None) == np.float64]
        mine += [ag.tensor(arguments[name], requires_grad=True) for name in masks]
        others += [torch.tensor(arguments[name], requires_grad=True) for name in masks]
        theirs_arguments = {name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in arguments.items()}
        arguments.update(zip(masks, mine[len(arrays) :], strict=True))
        theirs_arguments.update(zip(masks, others[len(arrays) :], strict=True))
        y, weights = ours(*(mine[:1] * 3 if self_attention else mine[:3]), **arguments)
        t, their_weights = theirs(*(others[:1] * 3 if self_attention else others[:3]), **theirs_arguments)
        np.testing.assert_allclose(y.detach().numpy(), t.detach().numpy(), **TOLERANCE)
        g = rng.normal(size=y.shape)
        loss, their_loss = (y * g).sum(), (t * torch.tensor(g)).sum()
        if their_weights is None:
            assert weights is None
        else:
            np.testing.assert_allclose(weights.detach().numpy(), their_weights.detach().numpy(), **TOLERANCE)
            h = rng.normal(size=weights.shape)
            loss, their_loss = loss + (weights * h).sum(), their_loss + (their_weights * torch.tensor(h)).sum()
        loss.backward()
        their_loss.backward()
        assert_equal_gradients([*mine, *ours.parameters()], [*others, *theirs.parameters()])


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_fresh_layer_has_torchs_names_shapes_and_distributions(layer: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = nn.MultiheadAttention(64, 4, generator=0, **layer), torch.nn.MultiheadAttention(64, 4, **layer)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert {name: value.shape for name, value in state.items()} == {name: tuple(value.shape) for name, value in expected.items()}
    assert list(state) == list(expected)
    for name, value in state.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value.data.std(), expected[name].numpy().std(), rtol=0.3)
        if "bias_" not in name:  # uniform, so the bounds tell
            np.testing.assert_allclose(np.abs(value.data).max(), np.abs(expected[name].numpy()).max(), rtol=0.05)


def test_projected_keys_and_values_can_be_given(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    layer, theirs = pair(torch, "MultiheadAttention", embed_dim=4, num_heads=2)
    arrays = [rng.normal(size=shape) for shape in ((3, 2, 4), (5, 2, 4), (5, 2, 4), (4, 6, 2), (4, 6, 2))]
    results = []
    for module, function, values in (
        (layer, functional.multi_head_attention_forward, leaves(*arrays)),
        (theirs, torch.nn.functional.multi_head_attention_forward, twins(torch, *arrays)),
    ):
        parameters = (module.in_proj_weight, module.in_proj_bias, None, None, True, 0.0, module.out_proj.weight, module.out_proj.bias)
        y, weights = function(*values[:3], 4, 2, *parameters, static_k=values[3], static_v=values[4])
        ((y * y).sum() + (weights * weights * weights).sum()).backward()
        results.append((y.detach().numpy(), weights.detach().numpy(), values))
    for got, expected in zip(results[0][:2], results[1][:2], strict=True):
        np.testing.assert_allclose(got, expected, **TOLERANCE)
    assert_equal_gradients(results[0][2], results[1][2])


@pytest.mark.parametrize("need_weights", [False, True])
def test_multihead_attention_differentiates_twice(need_weights: bool, rng: np.random.Generator) -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True, dtype=np.float64, generator=0)
    mask = np.triu(np.ones((3, 3), dtype=bool), 1)

    def attend(x: Any) -> Any:
        y, weights = layer(x, x, x, attn_mask=mask, need_weights=need_weights)
        return y if weights is None else (y * y).sum() + (weights**2).sum()

    assert ag.gradcheck(attend, rng.normal(size=(2, 3, 4)))
    assert ag.gradcheck(lambda q, k: layer(q, k, k)[0], rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 2, 4)))


def test_dropout_of_weights_is_drawn_while_training_only_and_returned_as_used(rng: np.random.Generator) -> None:
    layer = nn.MultiheadAttention(4, 2, dropout=0.5, batch_first=True, dtype=np.float64, generator=0)
    x = rng.normal(size=(2, 8, 4))
    first, weights = layer(x, x, x, average_attn_weights=False)
    second, _ = layer(x, x, x)
    assert (first.data != second.data).any()
    assert 0.2 < (weights.data == 0).mean() < 0.8
    projected = functional.linear(x, layer.in_proj_weight, layer.in_proj_bias).reshape((2, 8, 3, 2, 2)).transpose((2, 0, 3, 1, 4))
    joined = (weights @ projected[2]).transpose((0, 2, 1, 3)).reshape((2, 8, 4))
    np.testing.assert_allclose(first.data, functional.linear(joined, layer.out_proj.weight, layer.out_proj.bias).data, rtol=1e-12)
    layer.eval()
    np.testing.assert_array_equal(layer(x, x, x)[0].data, layer(x, x, x)[0].data)


def test_is_causal_alone_hides_the_later_keys(rng: np.random.Generator) -> None:
    layer = nn.MultiheadAttention(4, 2, dtype=np.float64, generator=0)
    x = rng.normal(size=(5, 1, 4))
    masked, weights = layer(x, x, x, attn_mask=np.triu(np.ones((5, 5), dtype=bool), 1))
    result, own = layer(x, x, x, is_causal=True)
    np.testing.assert_array_equal(result.data, masked.data)
    np.testing.assert_array_equal(own.data, weights.data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((3, 2, 4), (5, 2, 4), (5, 4)), "give all three with a batch, 3-d, or all three without"),
        (((3, 2, 5), (5, 2, 4), (5, 2, 4)), r"the query's width must be embed_dim=4"),
        (((3, 2, 4), (5, 2, 3), (5, 2, 4)), r"key of shape \(5, 2, 3\), expected a width of 4"),
        (((3, 2, 4), (5, 2, 4), (6, 2, 4)), "one value for each key"),
        (((3, 2, 4), (5, 1, 4), (5, 1, 4)), "the batches must be equal"),
        (((3, 2, 4), (5, 2, 4), (5, 2, 4), (5, 2)), r"key_padding_mask of shape \(5, 2\), expected \(2, 5\)"),
        (((3, 2, 4), (5, 2, 4), (5, 2, 4), None, (5, 3)), r"attn_mask of shape \(5, 3\), expected \(3, 5\) or \(4, 3, 5\)"),
    ],
)
def test_multihead_attention_names_the_shapes_that_do_not_fit(arguments: Any, message: str) -> None:
    layer = nn.MultiheadAttention(4, 2, dtype=np.float64)
    inputs = [np.ones(shape) for shape in arguments[:3]]
    masks = {
        name: None if shape is None else np.zeros(shape, bool) for name, shape in zip(("key_padding_mask", "attn_mask"), arguments[3:], strict=False)
    }
    with pytest.raises(ValueError, match=message):
        layer(*inputs, **masks)


@pytest.mark.parametrize("options", [{"embed_dim": 5, "num_heads": 2}, {"embed_dim": 0, "num_heads": 1}])
def test_heads_that_do_not_divide_the_width_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be a positive multiple of num_heads"):
        nn.MultiheadAttention(**options)
    with pytest.raises(ValueError, match=r"MultiheadAttention: p, the probability .* not -0.1"):
        nn.MultiheadAttention(4, 2, dropout=-0.1)


# --- caches -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("steps", [[1] * 6, [2, 1, 3], [6]])
@pytest.mark.parametrize("recorded", [False, True])
def test_attention_step_by_step_equals_the_full_pass(batch_first: bool, steps: list[int], recorded: bool, rng: np.random.Generator) -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=batch_first, dtype=np.float64, generator=0)
    axis = 1 if batch_first else 0
    x = ag.tensor(rng.normal(size=(2, 6, 4) if batch_first else (6, 2, 4)), requires_grad=recorded)
    g = rng.normal(size=x.shape)
    cache, parts, start = nn.KeyValueCache(), [], 0
    with ag.enable_grad() if recorded else ag.no_grad():
        full, _ = layer(x, x, x, is_causal=True)
        for step in steps:
            part = x[:, start : start + step] if batch_first else x[start : start + step]
            parts.append(layer(part, part, part, is_causal=True, need_weights=False, cache=cache)[0])
            start += step
        joined = np.concatenate(parts, axis=axis)
    assert len(cache) == 6
    np.testing.assert_allclose(joined.detach().numpy(), full.detach().numpy(), rtol=1e-12, atol=1e-14)
    if recorded:
        (expected,) = ag.gradient((full * g).sum(), [x])
        (got,) = ag.gradient((joined * g).sum(), [x])
        np.testing.assert_allclose(got.data, expected.data, rtol=1e-11, atol=1e-13)


def test_a_fixed_cache_projects_a_memory_once(rng: np.random.Generator) -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True, dtype=np.float64, generator=0)
    x, memory = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    cache = nn.KeyValueCache(fixed=True)
    with ag.no_grad():
        expected, weights = layer(x, memory, memory)
        first, _ = layer(x[:, :1], memory, memory, cache=cache)
        rest, own = layer(x[:, 1:], memory * np.nan, memory * np.nan, cache=cache)
    assert len(cache) == 5
    np.testing.assert_allclose(np.concatenate((first, rest), axis=1).data, expected.data, rtol=1e-12)
    np.testing.assert_allclose(own.data, weights.data[:, 1:], rtol=1e-12)


def test_a_cache_is_reordered_and_cut(rng: np.random.Generator) -> None:
    key, value = rng.normal(size=(2, 3, 1, 4, 2)).swapaxes(2, 3).reshape((2, 3, 1, 4, 2))
    cache = nn.KeyValueCache()
    for i in range(4):
        cache.extend(key[:, :, i : i + 1], value[:, :, i : i + 1])
    cache.reorder(np.array([2, 0, 0]))
    cache.truncate(2)
    keys, values = cache.extend(key[:, :, 2:3], value[:, :, 2:3])
    np.testing.assert_array_equal(keys[:, :, :2], key[[2, 0, 0], :, :2])
    np.testing.assert_array_equal(values[:, :, 2:], value[:, :, 2:3])
    assert repr(cache) == "KeyValueCache(length=3, shape=(3, 1, 3, 2))"
    cache.truncate(0)
    assert len(cache) == 0
    with pytest.raises(ValueError, match="it holds 0 positions, so it cannot be cut to 1"):
        cache.truncate(1)


def test_a_cache_refuses_another_batch(rng: np.random.Generator) -> None:
    cache = nn.KeyValueCache()
    cache.extend(np.zeros((2, 1, 3, 4)), np.zeros((2, 1, 3, 4)))
    with pytest.raises(ValueError, match=r"keys of shape \(3, 1, 1, 4\) after some of shape \(2, 1, 3, 4\); only the length"):
        cache.extend(np.zeros((3, 1, 1, 4)), np.zeros((3, 1, 1, 4)))
