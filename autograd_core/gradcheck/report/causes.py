"""The causes that a diagnosis can name: what is said of each, and how it is mended."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CAUSES", "Cause"]


class Cause(NamedTuple):
    """What a finding says of a likely cause, and the mend."""

    title: str
    mend: str


CAUSES: dict[str, Cause] = {
    # of the numbers
    "sign": Cause("the sign is reversed", "multiply the rule by -1"),
    "constant factor": Cause("wrong by a constant factor", "multiply the rule by the inverse of that factor"),
    "1/n": Cause(
        "wrong by a factor of n or 1/n (a mean for a sum, or a sum for a mean)", "divide (or multiply) by the number of elements, as the value does"
    ),
    "transpose": Cause("a transpose is missing or too many", "transpose that factor: for y = a @ b the rules are g @ b.T and a.T @ g"),
    "permutation": Cause(
        "the right numbers in a wrong order (a permutation)", "undo the permutation of the elements with its inverse, not with itself"
    ),
    "wrong axis": Cause("computed along the wrong axis", "use the axis that the value uses, in the rule too"),
    "swapped inputs": Cause("the gradients of two inputs are swapped", "return the gradients in the order of the arguments"),
    "missing sum over a broadcast axis": Cause(
        "the sum over a broadcast axis is missing",
        "sum the gradient over the axes along which the argument was broadcast (keepdims where its axis has size 1)",
    ),
    "accidental broadcast": Cause(
        "arguments of shapes (n,) and (n, 1) were broadcast to (n, n), which is hardly meant", "reshape one of them: y[:, None], or predictions[:, 0]"
    ),
    "ignores incoming gradient": Cause("the incoming gradient is ignored", "multiply by g: a rule returns g times the derivative"),
    "incoming gradient reduced": Cause(
        "the incoming gradient is summed, averaged or cut to one element", "use each element of g where its result is used"
    ),
    "not linear": Cause(
        "the gradient is not linear in the incoming gradient", "g may enter a rule only as a factor: no abs, sign, square or clip of it"
    ),
    "eps": Cause(
        "an eps in the wrong place: the derivative has a small number added that the value does not have",
        "use the same eps in the value and in the rule",
    ),
    "float32 rounding": Cause(
        "float32 rounding: the rule computes in single precision", "keep the dtype of the argument: no astype(float32), no float32 constants"
    ),
    "factor": Cause("a factor is missing or too many (chain rule)", "differentiate the inner function too, and multiply"),
    "term": Cause(
        "a term is missing", "each path from the argument to the result adds a term (the mean, the norm, the sum in the denominator depend on it too)"
    ),
    "mask": Cause(
        "the mask is forgotten: the gradient passes where the value is flat (relu, clip, where, dropout)", "multiply by the mask, e.g. g * (x > 0)"
    ),
    "blocked": Cause("the gradient is zero where the value does depend on the argument", "let the gradient pass there"),
    "missing gradient": Cause("there is no gradient: None or zeros, though the value depends on the argument", "return a gradient for this argument"),
    "unused output": Cause("the gradient of one of the results is left out", "add the contribution of every result"),
    "captured": Cause("a value enters as a constant that depends on the argument", "compute it from the arguments inside of the function or rule"),
    "statistic": Cause(
        "a statistic of the argument is taken for a constant: a term is missing",
        "differentiate the mean, norm or maximum too: each depends on every element of its group",
    ),
    "straight through": Cause(
        "the gradient passes straight through where the value is flat (a step function, piecewise constant)",
        "return zeros; or, if a straight-through estimator is meant, do not expect it to be the derivative",
    ),
    "conjugate": Cause("a complex conjugate is missing or too many", "a rule of a holomorphic function is g * conj(f'(z))"),
    "factor per line": Cause(
        "a factor of its own for each row, column, channel or position is wrong", "use the weights that the value uses, along the same axis"
    ),
    "left out": Cause("some contributions are left out", "every result that an element enters adds a term to its gradient"),
    "off by one": Cause("off by one: a term stands beside its place", "check the slices: d[1:] += g goes with x[1:], d[:-1] with x[:-1]"),
    "substitute": Cause("something else stands where an argument is needed", "use the argument as the value does"),
    "explained": Cause("the formula is another one than the derivative's", "derive the rule again: both formulas are given above"),
    "degrees of freedom": Cause("n stands for n - 1, or n - 1 for n (ddof, Bessel's correction)", "use the same ddof in the value and in the rule"),
    "nearly right": Cause(
        "nearly right: a constant (a coefficient, an eps) is rounded, slightly another one, or stands in another place",
        "use the same constants in the value and in the rule",
    ),
    "overflow": Cause(
        "the gradient overflows (inf / inf, inf * 0) where the value does not", "use a form that does not overflow, such as g / (1 + exp(-x))"
    ),
    "layers": Cause(
        "the error of another layer is passed on",
        "carry each layer's own incoming gradient back: dh = dy @ W.T, then times the derivative of the activation",
    ),
    "other loss": Cause("the gradient belongs to another loss than the value", "take the gradient of the loss that is computed"),
    "formula": Cause("the formula is wrong", "derive the rule again, and compare it with the numeric derivatives above"),
    # of the place
    "negative": Cause("wrong only for negative elements", "check the sign of the argument: abs, powers and square roots need it"),
    "positive": Cause("wrong only for positive elements", "check the sign of the argument"),
    "large": Cause("wrong only for large elements", "use a form that neither overflows nor switches to an approximation there"),
    "small": Cause("wrong only for small elements", "look for an eps or a rounding that matters there"),
    "range": Cause("wrong only in a part of the domain", "the value has another branch there: give the rule the same branches"),
    "boundary": Cause(
        "wrong only for boundary elements (first or last along an axis)",
        "treat the ends of the axis as the value does: padding, one-sided differences",
    ),
    "inner": Cause("wrong only for inner elements, right at the boundary", "compare the rule's inner part with the value's"),
    "diagonal": Cause("wrong only for diagonal elements", "treat the diagonal as the value does"),
    "off-diagonal": Cause("wrong only off the diagonal", "treat the two triangles as the value does"),
    "one element": Cause("wrong only for single elements", "look at what is special about their place"),
    "zero": Cause(
        "wrong only where an element is zero", "avoid dividing by the argument: a product of the other elements, or a where with a safe denominator"
    ),
    "nan": Cause(
        "the gradient is nan or infinite where the derivative is finite", "avoid 0/0 and inf * 0 inside of the rule, e.g. with a safe denominator"
    ),
    "ties": Cause(
        "a wrong tie rule: the shares of tied elements do not sum to what they have together",
        "give tied elements shares that sum to 1, or all to one of them",
    ),
    "kink": Cause("no subgradient: outside of the slopes on both sides of the kink", "return a slope between the two one-sided ones"),
    "unequal dimensions": Cause(
        "right only for square arrays: a transpose, or an axis taken for another", "try it on arrays of unequal dimensions; their shapes must match"
    ),
    "size": Cause("right only for one size: the length of an axis is written into the rule", "take the length from the argument's shape"),
    "keyword": Cause("a keyword or parameter is ignored by the rule", "use the parameter in the rule too"),
    "repeated indices": Cause(
        "repeated indices overwrite each other instead of adding up", "use np.add.at, or np.bincount, in place of gradient[indices] = g"
    ),
    "negative index": Cause("negative indices are lost", "count negative indices from the end, as the value does: index % n, or np.add.at"),
    "order of indices": Cause("right only for indices in a certain order (sorted)", "do not count on sorted indices: np.add.at, or g[indices]"),
    "mask value": Cause(
        "wrong for other masks: the mask is not used, or a row of nothing divides by zero", "use the mask in the rule too, and guard empty rows"
    ),
    "batch axis": Cause("wrong with one more axis in front", "count axes from the end, or refuse arrays of more axes"),
    "same array": Cause("wrong when one array is passed for two arguments", "do not compare or cache arguments by identity"),
    "empty": Cause("wrong for empty arrays", "do not take the first element, or a maximum, of what may be empty"),
    "shape of argument": Cause("wrong for arrays of another number of axes", "do not rely on a fixed number of axes"),
    # of the contract
    "shape": Cause("the gradient has the wrong shape", "a gradient has exactly the shape of its argument"),
    "dtype": Cause("the gradient has the wrong dtype", "a gradient has the dtype of its argument"),
    "raises": Cause("the backward pass raises", "the rule must work wherever the value does"),
    "changes input": Cause("an argument is changed in place", "work on a copy: a = a * 2, not a *= 2"),
    "changes incoming gradient": Cause("the incoming gradient is changed in place", "work on a copy: other rules use the same array"),
    "changes result": Cause("the result is changed in place", "work on a copy"),
    "random": Cause(
        "random, or depends on hidden state: it gives different results for the same arguments", "pass the random numbers (or a seed) as an argument"
    ),
    "second backward": Cause("a second backward call gives another result", "do not consume or add to what the forward pass saved"),
    "stale state": Cause(
        "stale state: what the forward pass keeps is shared by all calls", "keep what the backward pass needs per call, not in a global or a buffer"
    ),
    "needs writeable": Cause("a read-only array is not accepted", "do not write into arrays that are passed in"),
    "memory layout": Cause(
        "depends on the memory layout (order or strides) of an array", "do not rely on C order: no ravel('K'), no views of raw memory"
    ),
    "shares memory": Cause("gradients share memory", "return a copy, or change nothing in place"),
    "result shares memory": Cause("the result shares memory with an argument", "return a copy, or change nothing in place"),
    "float32": Cause("wrong in float32", "use constants that float32 can hold"),
    # of the second order
    "second order": Cause(
        "the first derivative is right, the second is wrong: a part of the rule is not differentiated",
        "write the rule with functions that have rules",
    ),
    "tape": Cause("the gradient is another one when it is recorded", "write the rule with functions that have rules"),
}
