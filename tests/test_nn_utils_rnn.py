"""Packed and padded batches of sequences: torch over all arguments, derivatives, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from nn.utils import rnn


@pytest.mark.parametrize("rest", [(), (3,), (2, 3)])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("lengths", "enforce_sorted"), [([4, 2, 2, 1], True), ([4, 2, 2, 1], False), ([1, 3, 3, 2], False), ([5, 5, 5, 5], True)])
def test_packing_agrees_with_torch(rest: Any, batch_first: bool, lengths: list[int], enforce_sorted: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(4, 5, *rest) if batch_first else (5, 4, *rest))
    a, t = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours = rnn.pack_padded_sequence(a, lengths, batch_first, enforce_sorted)
    theirs = torch.nn.utils.rnn.pack_padded_sequence(t, torch.tensor(lengths), batch_first, enforce_sorted)
    np.testing.assert_array_equal(ours.data.detach().numpy(), theirs.data.detach().numpy())
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        found, expected = getattr(ours, name), getattr(theirs, name)
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(found, expected.numpy())
            assert found.dtype == np.int64
    for total in (None, 7):
        for value in (0.0, -2.5):
            padded, found_lengths = rnn.pad_packed_sequence(ours, batch_first, value, total)
            expected, expected_lengths = torch.nn.utils.rnn.pad_packed_sequence(theirs, batch_first, value, total)
            np.testing.assert_array_equal(padded.detach().numpy(), expected.detach().numpy())
            np.testing.assert_array_equal(found_lengths, expected_lengths.numpy())
    g = rng.normal(size=padded.shape)
    padded.backward(g)
    expected.backward(torch.tensor(g))
    np.testing.assert_array_equal(a.grad.data, t.grad.numpy())
    for part, wanted in zip(rnn.unpack_sequence(ours), torch.nn.utils.rnn.unpack_sequence(theirs), strict=True):
        np.testing.assert_array_equal(part.detach().numpy(), wanted.detach().numpy())


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("rest", [(), (2, 3)])
def test_padding_agrees_with_torch(batch_first: bool, side: str, rest: Any, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    parts = [rng.normal(size=(n, *rest)) for n in (3, 0, 5)]
    ours = [ag.tensor(part, requires_grad=True) for part in parts]
    theirs = [torch.tensor(part, requires_grad=True) for part in parts]
    found = rnn.pad_sequence(ours, batch_first, 1.5, side)
    expected = torch.nn.utils.rnn.pad_sequence(theirs, batch_first, 1.5, side)
    np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
    g = rng.normal(size=found.shape)
    found.backward(g)
    expected.backward(torch.tensor(g))
    for a, t in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.grad.data, t.grad.numpy())
    if side == "right":
        for part, back in zip(parts, rnn.unpad_sequence(found, [3, 0, 5], batch_first), strict=True):
            np.testing.assert_array_equal(back.detach().numpy(), part)


def test_packing_and_padding_differentiate_twice(rng: np.random.Generator) -> None:
    def there_and_back(x: Any) -> Any:
        return rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [1, 3], enforce_sorted=False))[0] ** 2

    assert ag.gradcheck(there_and_back, rng.normal(size=(3, 2, 2)))


def test_sequences_of_integers_are_packed_and_keep_their_dtype() -> None:
    packed = rnn.pack_sequence([np.array([1, 2, 3]), np.array([4])])
    assert packed.data.dtype == np.int64
    padded, _ = rnn.pad_packed_sequence(packed)
    assert padded.dtype == np.int64
    float32, _ = rnn.pad_packed_sequence(rnn.pack_sequence([np.ones(2, np.float32)]))
    assert float32.dtype == np.float32


def test_a_packed_sequence_changes_its_dtype() -> None:
    packed = rnn.pack_sequence([np.ones(1), np.ones(3)], enforce_sorted=False)
    for other, dtype in ((packed.float(), np.float32), (packed.to(np.float16), np.float16), (packed.float().double(), np.float64)):
        assert other.data.dtype == dtype
        assert other.sorted_indices is packed.sorted_indices
        assert other.unsorted_indices is packed.unsorted_indices


def test_a_packed_sequence_is_made_as_torchs_and_unpacks_into_four() -> None:
    data, sizes, order, back = rnn.PackedSequence(np.arange(3), np.array([2, 1]), np.array([1, 0]))
    np.testing.assert_array_equal(back, [1, 0])
    assert rnn.PackedSequence((data, sizes)).sorted_indices is None
    assert order.tolist() == [1, 0]
    assert rnn.invert_permutation(None) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rnn.pack_padded_sequence(np.ones((5, 2)), [3]), r"1 lengths for a batch of 2 in an input of shape \(5, 2\)"),
        (lambda: rnn.pack_padded_sequence(np.ones((5, 2)), [3, 0]), r"lengths must be from 1 to 5 .*, got \[3, 0\]"),
        (lambda: rnn.pack_padded_sequence(np.ones((5, 2)), [6, 1]), r"lengths must be from 1 to 5 .*, got \[6, 1\]"),
        (lambda: rnn.pack_padded_sequence(np.ones((5, 2)), [1, 3]), r"lengths must fall, got \[1, 3\]; pass enforce_sorted=False"),
        (lambda: rnn.pack_padded_sequence(np.ones(5), [1]), r"input must be \(T, B, ...\), but has shape \(5,\)"),
        (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([np.ones(3)]), total_length=2), "total_length=2 is less than the longest sequence, 3"),
        (lambda: rnn.pad_sequence([]), "got no sequences"),
        (lambda: rnn.pad_sequence([np.ones((2, 3)), np.ones((2, 4))]), r"must agree in all axes but the first, got shapes \[\(2, 3\), \(2, 4\)\]"),
        (lambda: rnn.pad_sequence([np.ones(2)], padding_side="both"), 'padding_side must be "right" or "left"'),
        (lambda: rnn.unpad_sequence(np.ones((5, 2)), [6, 1]), r"lengths \[6, 1\] for a batch of 2 sequences of up to 5 steps"),
    ],
)
def test_what_does_not_fit_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rnn.pack_padded_sequence(np.ones((5, 2)), [1.5, 1.0]), "lengths must be a sequence of integers, not of dtype float64"),
        (lambda: rnn.pad_packed_sequence(np.ones((5, 2))), "expected a PackedSequence, not ndarray"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()
