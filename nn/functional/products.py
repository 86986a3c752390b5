"""Products with weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.sums import column_sums, matrix_product
from nn.functional.windows import arrays_only

__all__ = ["bilinear", "linear"]


def _rows(x: Any) -> Any:
    """All leading axes as one."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def _times(x: Any, matrix: Any) -> Any:
    """The product x @ matrix. NumPy makes a small product for each matrix of a stack; of its rows together it is one large product."""
    if x.ndim < 3:
        return matrix_product(x, matrix)
    shape = (*x.shape[:-1], matrix.shape[-1])
    if type(x) is type(matrix) is np.ndarray:
        out = np.empty(shape, np.result_type(x, matrix))
        np.matmul(_rows(x), matrix, out=_rows(out))
        return out  # no view, of which the tape would have to know what memory it shows
    return (_rows(x) @ matrix).reshape(shape)


def _sums(g: Any) -> Any:
    """The sums over all axes but the last."""
    return g if g.ndim < 2 else column_sums(_rows(g))


def _samples(a: Any, *bias: Any) -> list[Any]:
    return [
        *[ag.call(a(4, 3), a(2, 3), *bias), ag.call(a(3), a(2, 3), *bias), ag.call(a(3, 2, 3), a(2, 3), *bias)],
        *[ag.call(a(0, 3), a(2, 3), *bias), ag.call(a(2, 0, 3), a(2, 3), *bias), ag.call(a(2, 1, 0), a(2, 0), *bias)],
    ]


# One node instead of three (transpose, product, sum), and each gradient is one product.
@ag.op(
    batches=True,
    name="linear",
    x=lambda g, weight: _times(g, weight.conjugate()),
    weight=lambda g, x: matrix_product(_rows(g).T, _rows(x).conjugate()),
    bias=lambda g, like: _sums(g) if like.shape == g.shape[-1:] else g,  # else the sweep sums over the axes that it was broadcast to
    samples=lambda a: _samples(a, a(2)),
)
def _affine(x: Any, weight: Any, bias: Any) -> Any:
    out = _times(x, weight.T)
    if out.dtype == bias.dtype and isinstance(out, np.ndarray):
        try:
            out += bias  # the product is fresh: adding in place saves an array
        except ValueError:
            raise ValueError(f"linear: bias of shape {bias.shape} for a weight of shape {weight.shape}; it must have out_features elements") from None
        return out
    return out + bias


@ag.op(
    batches=True,
    name="linear",
    linear=True,
    x=lambda g, weight: _times(g, weight.conjugate()),
    weight=lambda g, x: matrix_product(_rows(g).T, _rows(x).conjugate()),
    samples=_samples,
)
def _product(x: Any, weight: Any) -> Any:
    return _times(x, weight.T)


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """The affine map: input @ weight.T + bias.

    input   (..., in_features)
    weight  (out_features, in_features), torch's layout; or (in_features,), for results without the last axis
    bias    (out_features,) or None
    returns (..., out_features)
    raises  ValueError if in_features differ, or the bias does not fit

    >>> import numpy as np
    >>> linear(np.array([1.0, 2.0]), np.array([[1.0, 1.0]]), np.array([0.5]))
    array([3.5])
    """
    try:
        if not input.shape or input.shape[-1] != weight.shape[-1]:
            raise ValueError(f"linear: input of shape {input.shape} for a weight of shape {weight.shape}; the last axes must agree (in_features)")
        if weight.ndim != 2:
            if weight.ndim != 1:
                raise ValueError(f"linear: weight must be (out_features, in_features) or (in_features,), but has shape {weight.shape}")
            return linear(input, weight.reshape((1, -1)), bias)[..., 0]
        return _product(input, weight) if bias is None else _affine(input, weight, bias)
    except AttributeError:  # asked for only now: a try costs nothing
        arrays_only("linear", input=input, weight=weight, bias=bias)
        raise


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """The bilinear map: y[k] = x1 @ weight[k] @ x2 + bias[k].

    input1   (..., in1_features)
    input2   (..., in2_features), with the same leading axes
    weight   (out_features, in1_features, in2_features)
    bias     (out_features,) or None
    returns  (..., out_features)
    raises   ValueError naming the shapes that disagree

    >>> import numpy as np
    >>> bilinear(np.array([1.0, 2.0]), np.array([3.0]), np.array([[[1.0], [10.0]]]))
    array([63.])
    """
    arrays_only("bilinear", input1=input1, input2=input2, weight=weight, bias=bias)
    if weight.ndim != 3 or not input1.ndim or input1.shape[:-1] != input2.shape[:-1] or (input1.shape[-1], input2.shape[-1]) != weight.shape[1:]:
        raise ValueError(
            f"bilinear: inputs of shapes {input1.shape} and {input2.shape} for a weight of shape {weight.shape}; "
            "they must be (..., in1), (..., in2) and (out, in1, in2)"
        )
    out, in1, in2 = weight.shape
    # One product for all outputs, (..., in1) with (out * in2, in1), then one vector product for each place.
    partial = linear(input1, weight.swapaxes(1, 2).reshape((out * in2, in1))).reshape((*input1.shape[:-1], out, in2))
    y = (partial @ input2[..., None])[..., 0]
    return y if bias is None else y + bias
