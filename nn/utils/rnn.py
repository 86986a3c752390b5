"""Batches of sequences of different lengths: padded, (time, batch, ...), or packed, the steps' examples one after the other.

A packed batch has no padding, so that nothing is computed for it: step t has `batch_sizes[t]` rows, of the sequences that are
longer than t. For this the sequences are in order of falling length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

import autograd_core as ag

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Packed):
    """A batch of sequences without padding, which recurrent layers take and return; made by `pack_padded_sequence`.

    data              (steps of all sequences, ...): the first steps of all, then the second steps, ...
    batch_sizes       how many sequences have a step 0, 1, ...
    sorted_indices    which of the original sequences comes 1st, 2nd, ... here; None for all in order
    unsorted_indices  where each of the original sequences is here; found from sorted_indices

    >>> import numpy as np
    >>> pack_sequence([np.array([1, 2, 3]), np.array([4])]).data
    array([1, 4, 2, 3])
    """

    __slots__ = ()

    def __new__(cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None) -> Self:
        if batch_sizes is None:
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, dtype: Any) -> Self:
        """The same sequences with data of another dtype."""
        return type(self)(self.data.astype(dtype), *self[1:])

    def float(self) -> Self:
        """The same sequences in float32."""
        return self.to(np.float32)

    def double(self) -> Self:
        """The same sequences in float64."""
        return self.to(np.float64)


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes another one; None for None.

    >>> import numpy as np
    >>> invert_permutation(np.array([2, 0, 1]))
    array([1, 2, 0])
    """
    if permutation is None:
        return None
    permutation = _integers("invert_permutation", "permutation", permutation)
    inverse = np.empty_like(permutation)
    inverse[permutation] = np.arange(len(permutation))
    return inverse


def _integers(name: str, argument: str, values: Any) -> Any:
    array = values.detach().numpy() if isinstance(values, ag.Tensor) else np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise TypeError(f"{name}: {argument} must be a sequence of integers, not of dtype {array.dtype} and shape {array.shape}")
    return array.astype(np.int64)


def pack_padded_sequence(input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """A padded batch packed.

    input           (T, B, ...), or (B, T, ...) with batch_first
    lengths         of the B sequences, from 1 to T
    enforce_sorted  False: sort the sequences by length; True: they must be sorted, longest first
    raises          ValueError for a wrong number of lengths, for lengths out of range or not sorted

    >>> import numpy as np
    >>> packed = pack_padded_sequence(np.array([[1, 4], [2, 0], [3, 0]]), [3, 1])
    >>> packed.data, packed.batch_sizes
    (array([1, 4, 2, 3]), array([2, 1, 1]))
    """
    lengths = _integers("pack_padded_sequence", "lengths", lengths)
    if input.ndim < 2:
        raise ValueError(f"pack_padded_sequence: input must be (T, B, ...), but has shape {input.shape}")
    batch, longest = input.shape[:2] if batch_first else input.shape[1::-1]
    if lengths.shape != (batch,):
        raise ValueError(f"pack_padded_sequence: {len(lengths)} lengths for a batch of {batch} in an input of shape {input.shape}")
    if not batch or lengths.min() < 1 or lengths.max() > longest:
        raise ValueError(f"pack_padded_sequence: lengths must be from 1 to {longest} for an input of shape {input.shape}, got {lengths.tolist()}")
    sorted_indices = None
    order = np.arange(batch)
    if not enforce_sorted:
        order = sorted_indices = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
    elif (np.diff(lengths) > 0).any():
        raise ValueError(f"pack_padded_sequence: lengths must fall, got {lengths.tolist()}; pass enforce_sorted=False to have them sorted")
    steps, sequences = _places(lengths)
    data = input[order[sequences], steps] if batch_first else input[steps, order[sequences]]
    return PackedSequence(data, np.bincount(steps), sorted_indices)


def _places(lengths: Any) -> tuple[Any, Any]:
    """(step, sequence) of each row of a packed batch of these lengths, which fall."""
    places = np.nonzero(np.arange(lengths[0])[:, None] < lengths)
    return places[0], places[1]


def _lengths_of(batch_sizes: Any) -> Any:
    return (np.asarray(batch_sizes)[:, None] > np.arange(batch_sizes[0])).sum(axis=0)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """A packed batch padded, its sequences in their original order, and their lengths.

    total_length  pad to this length instead of the longest sequence's
    returns       (T, B, ...), or (B, T, ...) with batch_first; and an array of the B lengths
    raises        ValueError if total_length is less than the longest sequence

    >>> import numpy as np
    >>> pad_packed_sequence(pack_sequence([np.array([1, 2, 3]), np.array([4])]), padding_value=-1)
    (array([[ 1,  4],
           [ 2, -1],
           [ 3, -1]]), array([3, 1]))
    """
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"pad_packed_sequence: expected a PackedSequence, not {type(sequence).__name__}")
    data = sequence.data
    lengths = _lengths_of(sequence.batch_sizes)
    longest = len(sequence.batch_sizes)
    if total_length is not None and total_length < longest:
        raise ValueError(f"pad_packed_sequence: total_length={total_length} is less than the longest sequence, {longest}")
    rows = data.shape[0]
    index = np.full((total_length or longest, len(lengths)), rows)  # the row of padding
    index[_places(lengths)] = np.arange(rows)
    if sequence.unsorted_indices is not None:
        index, lengths = index[:, sequence.unsorted_indices], lengths[sequence.unsorted_indices]
    padding = np.full((1, *data.shape[1:]), padding_value, data.dtype)
    return np.concatenate([data, padding])[index.T if batch_first else index], lengths


def pad_sequence(sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right") -> Any:
    """Sequences stacked to a batch, shorter ones padded.

    sequences     (L_i, ...) each
    padding_side  "right": after the sequence, or "left"
    returns       (T, B, ...), or (B, T, ...) with batch_first

    >>> import numpy as np
    >>> pad_sequence([np.array([1, 2, 3]), np.array([4])], batch_first=True)
    array([[1, 2, 3],
           [4, 0, 0]])
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f'pad_sequence: padding_side must be "right" or "left", not {padding_side!r}')
    sequences = list(sequences)
    if not sequences:
        raise ValueError("pad_sequence: got no sequences")
    shapes = {tuple(sequence.shape[1:]) for sequence in sequences if sequence.ndim}
    if len(shapes) != 1 or any(not sequence.ndim for sequence in sequences):
        raise ValueError(f"pad_sequence: sequences must agree in all axes but the first, got shapes {[tuple(s.shape) for s in sequences]}")
    longest = max(sequence.shape[0] for sequence in sequences)
    padded = []
    for sequence in sequences:
        missing = longest - sequence.shape[0]
        padding = np.full((missing, *sequence.shape[1:]), padding_value, sequence.dtype)
        parts = [sequence, padding] if padding_side == "right" else [padding, sequence]
        padded.append(np.concatenate(parts) if missing else sequence)
    return np.stack(padded, axis=0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of a padded batch, without their padding.

    >>> import numpy as np
    >>> unpad_sequence(np.array([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    [array([1, 2, 3]), array([4])]
    """
    lengths = _integers("unpad_sequence", "lengths", lengths)
    batch, longest = padded_sequences.shape[:2] if batch_first else padded_sequences.shape[1::-1]
    if lengths.shape != (batch,) or (batch and not 0 <= lengths.min() <= lengths.max() <= longest):
        raise ValueError(f"unpad_sequence: lengths {lengths.tolist()} for a batch of {batch} sequences of up to {longest} steps")
    return [padded_sequences[i, :n] if batch_first else padded_sequences[:n, i] for i, n in enumerate(lengths.tolist())]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences packed to a batch; see `pack_padded_sequence`.

    >>> import numpy as np
    >>> pack_sequence([np.array([4]), np.array([1, 2, 3])], enforce_sorted=False).sorted_indices
    array([1, 0])
    """
    return pack_padded_sequence(pad_sequence(sequences), [sequence.shape[0] for sequence in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The sequences of a packed batch, in their original order.

    >>> import numpy as np
    >>> unpack_sequence(pack_sequence([np.array([1, 2, 3]), np.array([4])]))
    [array([1, 2, 3]), array([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
