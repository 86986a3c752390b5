"""Transformer layers against torch over every argument, stacks, caches, and position encodings."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import functional

TOLERANCE = {"rtol": 1e-10, "atol": 1e-11}
WIDTH, HEADS = 6, 2

LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "norm first": {"norm_first": True},
    "no bias": {"bias": False},
    "batch first": {"batch_first": True},
    "gelu": {"activation": "gelu", "norm_first": True, "batch_first": True},
    "eps": {"layer_norm_eps": 0.1, "bias": False, "norm_first": True},
}


def pair(torch: Any, name: str, **options: Any) -> tuple[Any, Any]:
    """A module of ours and torch's with the same random parameters and no dropout, trained; torch's functions for ours where given."""
    torchs = {"silu": torch.nn.functional.silu}
    activation = options.pop("activation", None)
    mine = {} if activation is None else {"activation": activation if activation in ("relu", "gelu") else getattr(functional, activation)}
    other = {} if activation is None else {"activation": torchs.get(activation, activation)}
    ours = getattr(nn, name)(WIDTH, HEADS, dropout=0.0, dtype=np.float64, generator=0, **options, **mine)
    theirs = getattr(torch.nn, name)(WIDTH, HEADS, dropout=0.0, dtype=torch.float64, **options, **other)
    equalise(torch, ours, theirs)
    return ours, theirs


def equalise(torch: Any, ours: Any, theirs: Any) -> None:
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(3)
    for parameter in ours.parameters():
        parameter.data[...] = rng.normal(size=parameter.shape) * 0.6
    theirs.load_state_dict({key: torch.tensor(value.numpy()) for key, value in ours.state_dict().items()})


def assert_same(torch: Any, ours: Any, theirs: Any, inputs: list[Any], arguments: dict[str, Any], rng: np.random.Generator) -> None:
    """Value, and gradients of inputs and parameters, agree."""
    xs, ts = [ag.tensor(x, requires_grad=True) for x in inputs], [torch.tensor(x, requires_grad=True) for x in inputs]
    y = ours(*xs, **arguments)
    t = theirs(*ts, **{name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in arguments.items()})
    np.testing.assert_allclose(y.detach().numpy(), t.detach().numpy(), **TOLERANCE)
    g = rng.normal(size=y.shape)
    y.backward(g)
    t.backward(torch.tensor(g))
    for x, u in zip([*xs, *ours.parameters()], [*ts, *theirs.parameters()], strict=True):
        np.testing.assert_allclose(x.grad.data, u.grad.numpy(), **TOLERANCE)


def sequences(rng: np.random.Generator, batch_first: bool, batched: bool, *lengths: int) -> list[Any]:
    return [rng.normal(size=((3, n, WIDTH) if batch_first else (n, 3, WIDTH)) if batched else (n, WIDTH)) for n in lengths]


def causal(n: int) -> Any:
    return np.triu(np.ones((n, n), dtype=bool), 1)


def padding(batched: bool, n: int) -> Any:
    hidden = np.arange(n) >= np.array([[n], [n - 1], [2]])
    return hidden if batched else hidden[1]


ENCODER_CALLS: dict[str, Any] = {
    "plain": lambda b: {},
    "hidden pairs": lambda b: {"src_mask": causal(4)},
    "causal": lambda b: {"src_mask": causal(4), "is_causal": True},
    "added": lambda b: {"src_mask": np.linspace(-1, 1, 16).reshape(4, 4)},
    "padding": lambda b: {"src_key_padding_mask": padding(b, 4)},
    "both": lambda b: {"src_mask": causal(4), "src_key_padding_mask": padding(b, 4)},
}


@pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning")
@pytest.mark.parametrize("call", ENCODER_CALLS.values(), ids=ENCODER_CALLS)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_encoder_layers_have_torchs_values_and_gradients(layer: dict[str, Any], call: Any, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for batched in (True, False):
        ours, theirs = pair(torch, "TransformerEncoderLayer", dim_feedforward=7, **layer)
        assert_same(torch, ours, theirs, sequences(rng, layer.get("batch_first", False), batched, 4), call(batched), rng)


DECODER_CALLS: dict[str, Any] = {
    "plain": lambda b: {},
    "causal": lambda b: {"tgt_mask": causal(4), "tgt_is_causal": True},
    "masks": lambda b: {"tgt_mask": np.linspace(-1, 1, 16).reshape(4, 4), "memory_mask": np.linspace(-2, 1, 20).reshape(4, 5)},
    "padding": lambda b: {"tgt_key_padding_mask": padding(b, 4), "memory_key_padding_mask": padding(b, 5)},
    "memory causal": lambda b: {"memory_mask": np.triu(np.ones((4, 5), dtype=bool), 1), "memory_is_causal": True},
}


@pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning")
@pytest.mark.parametrize("call", DECODER_CALLS.values(), ids=DECODER_CALLS)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_decoder_layers_have_torchs_values_and_gradients(layer: dict[str, Any], call: Any, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for batched in (True, False):
        ours, theirs = pair(torch, "TransformerDecoderLayer", dim_feedforward=7, **layer)
        assert_same(torch, ours, theirs, sequences(rng, layer.get("batch_first", False), batched, 4, 5), call(batched), rng)


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
def test_activations_are_named_or_given(activation: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for name, lengths in (("TransformerEncoderLayer", (4,)), ("TransformerDecoderLayer", (4, 5))):
        ours, theirs = pair(torch, name, dim_feedforward=7, activation=activation)
        assert_same(torch, ours, theirs, sequences(rng, False, True, *lengths), {}, rng)
    layer = nn.TransformerEncoderLayer(4, 2, 3, activation=nn.Tanh())
    assert "(activation): Tanh()" in repr(layer)
    with pytest.raises(ValueError, match='TransformerDecoderLayer: activation must be "relu", "gelu" or a function, not \'swish\''):
        nn.TransformerDecoderLayer(4, 2, activation="swish")


@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning", "ignore:Support for mismatched:UserWarning")
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("is_causal", [None, True, False])
def test_stacks_have_torchs_values_and_gradients(norm: bool, is_causal: bool | None, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    layers, others = pair(torch, "TransformerEncoderLayer", dim_feedforward=7)
    norms = (nn.LayerNorm(WIDTH, dtype=np.float64), torch.nn.LayerNorm(WIDTH, dtype=torch.float64)) if norm else (None, None)
    ours, theirs = nn.TransformerEncoder(layers, 2, norms[0]), torch.nn.TransformerEncoder(others, 2, norms[1])
    equalise(torch, ours, theirs)
    masks = {"mask": causal(4), "is_causal": is_causal, "src_key_padding_mask": padding(True, 4)}
    assert_same(torch, ours, theirs, sequences(rng, False, True, 4), masks, rng)

    layers, others = pair(torch, "TransformerDecoderLayer", dim_feedforward=7)
    ours, theirs = nn.TransformerDecoder(layers, 2, norms[0]), torch.nn.TransformerDecoder(others, 2, norms[1])
    equalise(torch, ours, theirs)
    for parameter in (*ours.parameters(), *theirs.parameters()):
        parameter.grad = None
    masks = {"tgt_mask": causal(4), "tgt_is_causal": is_causal, "memory_key_padding_mask": padding(True, 5)}
    assert_same(torch, ours, theirs, sequences(rng, False, True, 4, 5), masks, rng)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning", "ignore:Support for mismatched:UserWarning")
@pytest.mark.parametrize(("batch_first", "norm_first"), list(itertools.product((False, True), (False, True))))
def test_the_whole_transformer_has_torchs_values_and_gradients(batch_first: bool, norm_first: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    sizes = {"num_encoder_layers": 1, "num_decoder_layers": 2, "dim_feedforward": 7, "batch_first": batch_first, "norm_first": norm_first}
    ours, theirs = pair(torch, "Transformer", **sizes)
    masks = {
        "tgt_mask": nn.Transformer.generate_square_subsequent_mask(4, dtype=np.float64),
        "src_key_padding_mask": padding(True, 5),
        "memory_key_padding_mask": padding(True, 5),
        "tgt_key_padding_mask": np.zeros((3, 4)),
    }
    assert_same(torch, ours, theirs, sequences(rng, batch_first, True, 5, 4), masks, rng)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
def test_fresh_transformers_have_torchs_distributions() -> None:
    torch = pytest.importorskip("torch")
    for name in ("Transformer", "TransformerEncoderLayer", "TransformerDecoderLayer"):
        more = {"num_encoder_layers": 1, "num_decoder_layers": 1} if name == "Transformer" else {}
        ours, theirs = getattr(nn, name)(32, 4, dim_feedforward=64, generator=0, **more), getattr(torch.nn, name)(32, 4, dim_feedforward=64, **more)
        expected = theirs.state_dict()
        for key, value in ours.state_dict().items():
            np.testing.assert_allclose(value.data.std(), expected[key].numpy().std(), rtol=0.25, atol=1e-9, err_msg=key)
            np.testing.assert_allclose(np.abs(value.data).max(), np.abs(expected[key].numpy()).max(), rtol=0.15, atol=1e-9, err_msg=key)


def test_copies_in_a_stack_begin_alike_and_are_trained_apart() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, generator=0), 2)
    first, second = encoder.layers
    np.testing.assert_array_equal(first.linear1.weight.data, second.linear1.weight.data)
    assert first.linear1.weight is not second.linear1.weight
    assert len(list(encoder.parameters())) == 2 * 12


def test_a_layer_differentiates_twice(rng: np.random.Generator) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 3, dropout=0.0, activation="gelu", norm_first=True, dtype=np.float64, generator=0)
    x = ag.tensor(rng.normal(size=(3, 2, 4)), requires_grad=True)
    v = rng.normal(size=x.shape)

    def slope(x: Any) -> Any:
        (g,) = ag.gradient((layer(x, is_causal=True) ** 2).sum(), [x], create_graph=True)
        return (g * v).sum()

    (second,) = ag.gradient(slope(x), [x])
    for index in ((0, 0, 0), (1, 1, 2), (2, 0, 3)):
        step = np.zeros(x.shape)
        step[index] = 1e-5
        numeric = (slope(ag.tensor(x.data + step, requires_grad=True)).item() - slope(ag.tensor(x.data - step, requires_grad=True)).item()) / 2e-5
        np.testing.assert_allclose(second.data[index], numeric, rtol=1e-6, atol=1e-7)


def test_dropout_acts_while_training_only(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 2, 4))
    model = nn.Transformer(4, 2, 1, 1, 8, dropout=0.5, dtype=np.float64, generator=0)
    assert (model(x, x).data != model(x, x).data).any()
    model.eval()
    np.testing.assert_array_equal(model(x, x).data, model(x, x).data)


def test_float32_stays_float32(rng: np.random.Generator) -> None:
    x = ag.tensor(rng.normal(size=(5, 2, 4)).astype(np.float32), requires_grad=True)
    model = nn.Transformer(4, 2, 1, 1, 8, activation="gelu")
    y = model(x, x, tgt_mask=np.zeros((5, 5)))
    y.sum().backward()
    assert {y.dtype, x.grad.dtype, *(p.grad.dtype for p in model.parameters())} == {np.dtype(np.float32)}


def test_generating_step_by_step_equals_the_full_pass(rng: np.random.Generator) -> None:
    sizes = {"dim_feedforward": 8, "dropout": 0.0, "batch_first": True, "dtype": np.float64, "generator": 0}
    x, memory = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 3, 4))
    with ag.no_grad():
        encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, **sizes), 2, nn.LayerNorm(4, dtype=np.float64))
        caches = encoder.caches()
        parts = [encoder(x[:, i : i + 1], is_causal=True, caches=caches) for i in range(5)]
        np.testing.assert_allclose(np.concatenate(parts, axis=1).data, encoder(x, is_causal=True).data, rtol=1e-11)
        decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, norm_first=True, **sizes), 2)
        pairs = decoder.caches()
        parts = [decoder(x[:, i : i + 1], memory, tgt_is_causal=True, caches=pairs) for i in range(5)]
        np.testing.assert_allclose(np.concatenate(parts, axis=1).data, decoder(x, memory, tgt_is_causal=True).data, rtol=1e-11)
    assert [len(own) for own, _ in pairs] == [5, 5]
    assert [len(kept) for _, kept in pairs] == [3, 3]


def test_a_transformer_names_what_does_not_fit() -> None:
    model = nn.Transformer(4, 2, 1, 1, 8)
    with pytest.raises(ValueError, match=r"src of shape \(5, 2, 4\) and tgt of shape \(5, 3, 4\); the batches .axis 1. must be equal"):
        model(np.zeros((5, 2, 4)), np.zeros((5, 3, 4)))
    with pytest.raises(ValueError, match="the last axis must be d_model=4"):
        model(np.zeros((5, 2, 4)), np.zeros((5, 2, 3)))


# --- positions --------------------------------------------------------------------------------------------------------------------


def test_sinusoids_are_those_of_the_paper() -> None:
    table = functional.sinusoidal_positions(7, 6, dtype=np.float64)
    for p, i in itertools.product(range(7), range(3)):
        np.testing.assert_allclose(table[p, 2 * i], np.sin(p / 10000 ** (2 * i / 6)), atol=1e-15)
        np.testing.assert_allclose(table[p, 2 * i + 1], np.cos(p / 10000 ** (2 * i / 6)), atol=1e-15)
    np.testing.assert_array_equal(functional.sinusoidal_positions(np.array([[3], [1]]), 6, dtype=np.float64), table[[[3], [1]]])
    with pytest.raises(ValueError, match="width=5 must be even"):
        functional.sinusoidal_positions(3, 5)


@pytest.mark.parametrize("batch_first", [False, True])
def test_sinusoids_are_added_from_where_a_part_begins(batch_first: bool) -> None:
    layer = nn.SinusoidalPositions(4, max_length=3, batch_first=batch_first, dtype=np.float64)
    assert not layer.state_dict()
    x = np.zeros((2, 8, 4) if batch_first else (8, 2, 4))
    expected = functional.sinusoidal_positions(8, 4, dtype=np.float64)
    y = layer(x).data if batch_first else layer(x).data.swapaxes(0, 1)
    np.testing.assert_array_equal(y[1], expected)
    part = layer(x[:, :2], start=5).data[0] if batch_first else layer(x[:2], start=5).data[:, 0]
    np.testing.assert_array_equal(part, expected[5:7])
    np.testing.assert_array_equal(layer(np.zeros((8, 4))).data, expected)
    with pytest.raises(ValueError, match="expected a last axis of 4"):
        layer(np.zeros((2, 3)))


@pytest.mark.parametrize("interleaved", [False, True])
def test_products_of_turned_vectors_depend_on_their_distance_only(interleaved: bool, rng: np.random.Generator) -> None:
    q, k = rng.normal(size=(2, 6))

    def product(m: int, n: int) -> float:
        turn = nn.RotaryPositions(base=100.0, interleaved=interleaved)
        return float(turn(q[None], m)[0] @ turn(k[None], n)[0])

    np.testing.assert_allclose(product(3, 7), product(13, 17), rtol=1e-12)
    np.testing.assert_allclose(product(4, 4), q @ k, rtol=1e-12)
    assert abs(product(3, 7) - product(3, 8)) > 1e-6


@pytest.mark.parametrize("interleaved", [False, True])
def test_pairs_are_turned_as_complex_numbers(interleaved: bool, rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 5, 6))
    z = x[..., 0::2] + 1j * x[..., 1::2] if interleaved else x[..., :3] + 1j * x[..., 3:]
    z = z * np.exp(1j * np.arange(5)[:, None] * 10000.0 ** (-np.arange(3) / 3))
    expected = np.stack((z.real, z.imag), axis=-1).reshape(x.shape) if interleaved else np.concatenate((z.real, z.imag), axis=-1)
    np.testing.assert_allclose(functional.rotary_positions(x, interleaved=interleaved), expected, rtol=1e-12)
    at = functional.rotary_positions(x[:, 2:4], np.array([2, 3]), interleaved=interleaved)
    np.testing.assert_allclose(at, expected[:, 2:4], rtol=1e-12)
    np.testing.assert_allclose(functional.rotary_positions(x[:, 2:4], 2, interleaved=interleaved), expected[:, 2:4], rtol=1e-12)
    assert ag.gradcheck(lambda x: functional.rotary_positions(x, 1, interleaved=interleaved) ** 2, x)
    assert functional.rotary_positions(x.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match=r"x of shape \(2, 3\), expected .* even width"):
        functional.rotary_positions(np.zeros((2, 3)))
