"""Embeddings: rows of a table, by their numbers; bags of them; and one-hot vectors.

Taking rows and adding rows into a table are each other's rule, so derivatives of any order follow. Adding is what costs: the
gradient of a batch of words is a product with a sparse matrix of ones, which SciPy (if it is installed) does several times as
quickly as `np.add.at`. Bags are built from the same two: a sum over bags adds rows into the table of bags.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["embedding", "embedding_bag", "normalised_padding", "one_hot"]


@functools.cache
def _sparse() -> Any:
    """scipy.sparse, or None where SciPy is not installed."""
    try:
        import scipy.sparse
    except ImportError:
        return None
    return scipy.sparse


FEW = 10_000  # elements, up to which making a sparse matrix takes longer than it saves


def _added_rows(values: Any, index: Any, rows: int) -> Any:
    places, width = index.reshape(-1), values.shape[-1]
    values = np.ascontiguousarray(values).reshape((places.size, width))
    sparse = _sparse() if values.size > FEW and values.dtype.char in "fdFD" else None
    if sparse is not None:  # column i of the matrix has a one in the row that values[i] belongs to
        ones = np.ones(places.size, values.dtype)
        return sparse.csc_array((ones, places, np.arange(places.size + 1)), shape=(rows, places.size)) @ values
    table = np.zeros((rows, width), values.dtype)
    # np.add.at is quick for one flat index into one dimension.
    np.add.at(table.reshape(-1), (places[:, None] * width + np.arange(width)).reshape(-1), values.reshape(-1))
    return table


def _weighted(g: Any, factors: Any) -> Any:
    return g if factors is None else g * factors[..., None]


@ag.op
def _take_rows(weight: Any, index: Any, factors: Any = None) -> Any:
    """weight[index]; the gradient of place i is multiplied by factors[i] on its way to its row."""
    return weight[index]


@ag.op
def _add_rows(values: Any, index: Any, rows: int) -> Any:
    """A table of zeros with values[i] added to its row index[i]: the adjoint of taking rows."""
    return _added_rows(values, index, rows)


ag.defvjp(
    _take_rows,
    name="embedding",
    batches=True,
    weight=lambda g, index, factors, like: _add_rows(_weighted(g, factors), index, like.shape[0]),
    samples=lambda a: [
        ag.call(a(3, 2), np.array([0, 2, 2, 0, 1])),
        ag.call(a(2, 3), np.array([[1], [1]])),
        ag.call(a(2, 3), np.array(1)),
        ag.call(a(2, 3), np.zeros((0, 2), dtype=int)),
    ],
)
ag.defvjp(
    _add_rows,
    name="add_rows",
    linear=True,
    values=lambda g, index: _take_rows(g, index),
    inert=("rows",),
    samples=lambda a: [
        *[ag.call(a(5, 2), np.array([0, 2, 2, 0, 1]), 4), ag.call(a(2, 1, 3), np.array([[1], [1]]), 2), ag.call(a(0, 3), np.zeros(0, int), 2)]
    ],
)


def normalised_padding(padding_idx: int | None, rows: int, name: str) -> int | None:
    """`padding_idx` counted from the front; ValueError if there is no such row."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ValueError(f"{name}: padding_idx={padding_idx} for a table of {rows} rows; it must be one of them")
    return int(padding_idx) % rows


def _array(x: Any) -> Any:
    """What a tensor of integers holds; lists and numbers as arrays."""
    return x.detach().numpy() if isinstance(x, ag.Tensor) else x if hasattr(x, "dtype") else np.asarray(x)


def _checked(input: Any, weight: Any, name: str) -> Any:
    """`input` as an array of row numbers, all of which exist."""
    if weight.ndim != 2:
        raise ValueError(f"{name}: weight of shape {weight.shape}, expected (number of rows, width)")
    index = _array(input)
    if index.dtype.kind not in "iu":
        if index.size:
            raise TypeError(f"{name}: input of dtype {index.dtype} and shape {index.shape}; give the numbers of rows, as integers")
        index = index.astype(int)
    # Negative numbers wrap around to huge ones, so that one maximum tells whether all is in order.
    if index.size and ag.for_any(index.astype(np.uint64).max() >= weight.shape[0]):
        wrong = index[(index < 0) | (index >= weight.shape[0])][0] if isinstance(index, np.ndarray) else "one that does not exist"
        raise IndexError(
            f"{name}: input of shape {index.shape} asks for row {wrong}, but weight of shape {weight.shape} has rows 0..{weight.shape[0] - 1}"
        )
    return index


def _renormalise(weight: Any, index: Any, max_norm: float, norm_type: float, name: str) -> None:
    """Scale the rows of `weight` at `index` that are longer than `max_norm` down to it, in place, unrecorded."""
    if isinstance(weight, ag.Tensor) and weight.requires_grad and not weight.is_leaf:
        raise ValueError(f"{name}: max_norm changes weight in place, so weight must be a parameter or a plain array, not a computed tensor")
    table = weight.data if isinstance(weight, ag.Tensor) else weight
    rows = np.unique(index)
    lengths = np.linalg.norm(table[rows], ord=norm_type, axis=1)
    long = lengths > max_norm
    table[rows[long]] *= (max_norm / (lengths[long] + 1e-7)).astype(table.dtype)[:, None]  # 1e-7 as in torch


def _factors(index: Any, weight: Any, padding: int | None, by_frequency: bool) -> Any:
    """What the gradient of each place is multiplied by; None for 1."""
    if padding is None and not by_frequency:
        return None
    factors = np.ones(index.shape, weight.dtype)
    if by_frequency and index.size:
        factors = (1 / np.bincount(index.reshape(-1), minlength=weight.shape[0])[index]).astype(weight.dtype)
    return factors if padding is None else factors * (index != padding)


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """The rows of `weight` with the numbers `input`: weight[input].

    input        integers, of any shape
    weight       (number of rows, width)
    padding_idx  a row that gets no gradient
    max_norm     rows that are asked for and longer than this are scaled down to it first, in `weight` itself;
                 norm_type  which norm that is
    scale_grad_by_freq  divide the gradient of a row by how often it is asked for
    sparse       accepted, and makes no difference: the gradient is an array like all others
    returns      (*input.shape, width)
    raises       IndexError naming the row that does not exist (negative numbers too), TypeError for numbers that are no integers

    >>> import numpy as np
    >>> embedding(np.array([1, 1, 0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3., 4.],
           [3., 4.],
           [1., 2.]])
    """
    weight = weight if hasattr(weight, "ndim") else np.asarray(weight)
    index = _checked(input, weight, "embedding")
    padding = normalised_padding(padding_idx, weight.shape[0], "embedding")
    if max_norm is not None:
        _renormalise(weight, index, max_norm, norm_type, "embedding")
    factors = _factors(index, weight, padding, scale_grad_by_freq)
    return _take_rows(weight, index) if factors is None else _take_rows(weight, index, factors)


# --- bags -------------------------------------------------------------------------------------------------------------------------


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Sums, means or maxima of bags of rows of `weight`.

    input        integers: (bags, length), or (total,) with the bags one after the other
    offsets      (bags,): where each bag of a 1-d input begins, the first one at 0
    mode         "sum", "mean" or "max"; an empty bag gives zeros. On a tie the first of the largest gets the gradient
    per_sample_weights   of `input`'s shape: what each row is multiplied by, with mode "sum"
    include_last_offset  offsets has one more entry, where the last bag ends
    padding_idx  a row that is left out of all bags, and gets no gradient
    max_norm, norm_type, scale_grad_by_freq, sparse  as in `embedding`. (torch 2.13 divides by the frequency of another row;
                 its documentation says what is done here.)
    returns      (bags, width)
    raises       ValueError for offsets, weights or a mode that do not fit; IndexError and TypeError as in `embedding`

    >>> import numpy as np
    >>> embedding_bag(np.array([0, 1, 1]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 2]), mode="sum")
    array([[4., 6.],
           [3., 4.]])
    """
    weight = weight if hasattr(weight, "ndim") else np.asarray(weight)
    index = _checked(input, weight, "embedding_bag")
    padding = normalised_padding(padding_idx, weight.shape[0], "embedding_bag")
    _check_bag_options(mode, index, per_sample_weights, scale_grad_by_freq)
    bag, bags = _bags(index, offsets, include_last_offset)
    if max_norm is not None:
        _renormalise(weight, index, max_norm, norm_type, "embedding_bag")
    factors = _factors(index, weight, None, scale_grad_by_freq)
    used = bag >= 0 if padding is None else (bag >= 0) & (index.reshape(-1) != padding)
    if not used.all():
        bag = bag[used]
        index, factors = index.reshape(-1)[used], None if factors is None else factors.reshape(-1)[used]
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.reshape((-1,))[used]
    index = index.reshape(-1)
    if mode == "max":
        return _maxima(weight, index, bag, bags)
    rows = _take_rows(weight, index) if factors is None else _take_rows(weight, index, factors.reshape(-1))
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape((-1, 1))
    sums = _add_rows(rows, bag, bags)
    if mode == "sum":
        return sums
    return sums * (1 / np.maximum(np.bincount(bag, minlength=bags), 1)).astype(weight.dtype)[:, None]


def _check_bag_options(mode: str, index: Any, weights: Any, by_frequency: bool) -> None:
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f'embedding_bag: mode must be "sum", "mean" or "max", not {mode!r}')
    if mode == "max" and by_frequency:
        raise ValueError('embedding_bag: scale_grad_by_freq does not go with mode="max"')
    if weights is not None and mode != "sum":
        raise ValueError(f'embedding_bag: per_sample_weights go with mode="sum" only, not {mode!r}')
    if weights is not None and weights.shape != index.shape:
        raise ValueError(f"embedding_bag: per_sample_weights of shape {weights.shape} for an input of shape {index.shape}; the shapes must agree")


def _bags(index: Any, offsets: Any, include_last: bool) -> tuple[Any, int]:
    """For each place of the flat input the number of its bag (-1 for none), and how many bags there are."""
    if index.ndim == 2:
        if offsets is not None:
            raise ValueError(f"embedding_bag: offsets go with a 1-d input; the rows of an input of shape {index.shape} are the bags")
        return np.repeat(np.arange(index.shape[0]), index.shape[1]), index.shape[0]
    if index.ndim != 1 or offsets is None:
        raise ValueError(f"embedding_bag: input of shape {index.shape}; give (bags, length), or (total,) with offsets")
    offsets = _array(offsets)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu":
        raise ValueError(f"embedding_bag: offsets of shape {offsets.shape}, {offsets.dtype}; expected a 1-d array of integers")
    if include_last and not len(offsets):
        raise ValueError("embedding_bag: include_last_offset=True, but offsets is empty; its last entry says where the last bag ends")
    ends = offsets if include_last else np.append(offsets, index.size)
    if len(offsets) and (offsets[0] != 0 or ends[-1] > index.size or (np.diff(ends) < 0).any()):
        raise ValueError(
            f"embedding_bag: offsets must begin with 0, ascend, and end by {index.size}, the length of the input; got {offsets.tolist()}"
        )
    lengths = np.diff(ends)
    left_over = np.full(index.size - int(lengths.sum()), -1)
    return np.concatenate((np.repeat(np.arange(len(lengths)), lengths), left_over)), len(lengths)


def _maxima(weight: Any, index: Any, bag: Any, bags: int) -> Any:
    """The largest element of each column in each bag: which one it is, is settled on plain arrays, and then they are taken."""
    table = weight.detach().numpy() if isinstance(weight, ag.Tensor) else weight
    filled, starts = np.unique(bag, return_index=True)
    if not len(filled):
        return _add_rows(_take_rows(weight, index), bag, bags)
    rows = table[index]
    largest = np.maximum.reduceat(rows, starts, axis=0)
    places = np.where(rows == np.repeat(largest, np.diff(np.append(starts, len(bag))), axis=0), np.arange(len(bag))[:, None], len(bag) - 1)
    first = np.minimum.reduceat(places, starts, axis=0)
    return _add_rows(weight[index[first], np.arange(table.shape[1])], filled, bags)


# --- one-hot ----------------------------------------------------------------------------------------------------------------------


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Vectors that are 1 at the place of a class and 0 elsewhere, as integers (int64).

    tensor       integers >= 0, of any shape
    num_classes  length of the vectors; -1 for the largest class plus one
    returns      (*tensor.shape, num_classes)
    raises       ValueError for a class that does not fit, TypeError for classes that are no integers

    >>> import numpy as np
    >>> one_hot(np.array([0, 2]))
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    classes = _array(tensor)
    if classes.dtype.kind not in "iu":
        raise TypeError(f"one_hot: classes of dtype {classes.dtype} and shape {classes.shape}; give integers")
    if not classes.size and num_classes < 1:
        raise ValueError(f"one_hot: give num_classes; it cannot be told from classes of shape {classes.shape}")
    if classes.size and classes.min() < 0:
        raise ValueError(f"one_hot: class {classes.min()} is negative")
    num_classes = int(classes.max()) + 1 if num_classes == -1 else num_classes
    if num_classes < 1 or (classes.size and classes.max() >= num_classes):
        raise ValueError(f"one_hot: num_classes={num_classes}, but the largest class is {classes.max()}")
    return (classes[..., None] == np.arange(num_classes)).astype(np.int64)
