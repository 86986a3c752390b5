"""GPT and the sequence-to-sequence Transformer: against torch, generation with and without caches, and learning something."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from nn import functional

SMALL: dict[str, Any] = {"vocab_size": 11, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 8}


@pytest.mark.parametrize("bias", [False, True])
def test_the_first_losses_of_a_gpt_are_torchs(bias: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    from tools.bench.transformer_workloads import torch_gpt

    model = nn.models.GPT(**SMALL, bias=bias, generator=0)
    loss_of, state = torch_gpt(model, SMALL["n_head"])
    ours, theirs = optim.AdamW(model.parameters(), lr=1e-2), torch.optim.AdamW(state.values(), lr=1e-2)
    for _ in range(20):
        tokens = rng.integers(0, 11, size=(3, 9))
        losses = []
        for optimizer, loss in (
            (ours, functional.cross_entropy(model(tokens[:, :-1]).reshape((-1, 11)), tokens[:, 1:].reshape(-1))),
            (theirs, loss_of(torch.tensor(tokens[:, :-1]), torch.tensor(tokens[:, 1:]))),
        ):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)


def test_a_gpt_has_nanogpts_names_shared_table_and_initial_values() -> None:
    model = nn.models.GPT(65, 16, n_layer=8, n_head=2, n_embd=64, generator=0)
    state = model.state_dict()
    assert list(state)[:2] == ["transformer.wte.weight", "transformer.wpe.weight"]
    for part in ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_proj.bias", "ln_2.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"):
        assert f"transformer.h.7.{part}" in state
    assert model.transformer["wte"].weight is model.lm_head.weight
    np.testing.assert_allclose(state["transformer.h.0.mlp.c_fc.weight"].data.std(), 0.02, rtol=0.05)
    np.testing.assert_allclose(state["transformer.h.0.mlp.c_proj.weight"].data.std(), 0.005, rtol=0.05)
    np.testing.assert_array_equal(state["transformer.h.0.mlp.c_fc.bias"].data, 0.0)
    assert "transformer.h.0.ln_1.bias" not in nn.models.GPT(**SMALL, bias=False).state_dict()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("new", [3, 12])
def test_generating_with_caches_draws_what_the_full_passes_draw(temperature: float, new: int) -> None:
    model = nn.models.GPT(**SMALL, dropout=0.2, dtype=np.float64, generator=0)
    start = np.array([[1, 2], [3, 4]])
    results = [model.generate(start, new, temperature, top_k=5, generator=7, use_cache=use) for use in (True, False)]
    np.testing.assert_array_equal(results[0], results[1])
    assert results[0].shape == (2, 2 + new)
    np.testing.assert_array_equal(results[0][:, :2], start)
    assert model.training


def test_top_k_and_temperature_choose_among_the_likeliest() -> None:
    model = nn.models.GPT(**SMALL, generator=0)
    start = np.tile([[1, 2]], (400, 1))
    with ag.no_grad():
        logits = model(start[:1]).numpy()[0, -1]
    likeliest = np.argsort(logits)[::-1]
    assert set(model.generate(start, 1, top_k=2, generator=0)[:, -1]) == set(likeliest[:2])
    assert set(model.generate(start, 1, temperature=0)[:, -1]) == {likeliest[0]}
    drawn = model.generate(start, 1, temperature=0.05, generator=0)[:, -1]
    expected = np.exp((logits - logits.max()) / 0.05)
    np.testing.assert_allclose(np.bincount(drawn, minlength=11) / 400, expected / expected.sum(), atol=0.08)


def test_a_gpt_learns_a_sequence_and_repeats_it() -> None:
    model = nn.models.GPT(**SMALL, generator=0)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    text = np.array([1, 5, 2, 9, 3, 7, 4, 10])
    tokens = np.array([np.roll(text, -i) for i in range(8)])
    for _ in range(80):
        loss = functional.cross_entropy(model(tokens[:, :-1]).reshape((-1, 11)), tokens[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
    np.testing.assert_array_equal(model.generate(text[None, :3], 13, temperature=0)[0], np.tile(text, 2))


def test_a_gpt_names_what_does_not_fit() -> None:
    model = nn.models.GPT(**SMALL)
    with pytest.raises(ValueError, match=r"tokens of shape \(1, 9\) after 0 positions; expected .batch, length., up to 8"):
        model(np.zeros((1, 9), dtype=int))
    with pytest.raises(IndexError, match="asks for row 11"):
        model(np.array([[11]]))
    with pytest.raises(ValueError, match="n_embd=8 must be a multiple of n_head=3"):
        nn.models.GPT(11, 8, 2, n_head=3, n_embd=8)
    with pytest.raises(ValueError, match="temperature=-1"):
        model.generate(np.array([[1]]), 1, temperature=-1)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_sequence_to_sequence_transformer_learns_to_reverse(norm_first: bool) -> None:
    start, end, padding, rng = 1, 2, 0, np.random.default_rng(0)
    sizes = {"d_model": 16, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 32}
    model = nn.models.Seq2SeqTransformer(7, **sizes, dropout=0.0, norm_first=norm_first, padding_idx=padding, generator=0)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        source = rng.integers(3, 7, size=(32, 3))
        source[:16, 2] = padding
        target = np.full((32, 5), end)
        target[:, 0] = start
        target[:16, 1:3], target[16:, 1:4] = source[:16, 1::-1], source[16:, ::-1]
        loss = functional.cross_entropy(model(source, target[:, :-1]).reshape((-1, 7)), target[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_array_equal(model.generate(np.array([[3, 4, 5], [6, 4, padding]]), start, end, 6), [[1, 5, 4, 3, 2], [1, 4, 6, 2, 2]])


def test_decoding_step_by_step_equals_the_full_pass_with_padding(rng: np.random.Generator) -> None:
    sizes = {"d_model": 8, "nhead": 2, "num_encoder_layers": 2, "num_decoder_layers": 2, "dim_feedforward": 16}
    model = nn.models.Seq2SeqTransformer(7, **sizes, padding_idx=0, dtype=np.float64, generator=0).eval()
    source, target = np.array([[3, 4, 5, 0], [3, 4, 5, 6]]), np.array([[1, 4, 5], [1, 6, 3]])
    with ag.no_grad():
        full, memory, caches = model(source, target), model.encode(source), model.transformer.decoder.caches()
        parts = [model.decode(target[:, i : i + 1], memory, source, caches) for i in range(3)]
        np.testing.assert_allclose(np.concatenate(parts, axis=1).data, full.data, rtol=1e-11)
        alone = model(source[:1, :3], target[:1])
    np.testing.assert_allclose(full.data[0], alone.data[0], rtol=1e-11)  # the padding is not looked at
    assert "embedding.weight" in model.state_dict()
