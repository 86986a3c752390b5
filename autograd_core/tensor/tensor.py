"""`Tensor`: an array with a memory.

It is a handle: `data` is the array, `node` its place on the tape (None if nothing is recorded), `grad` the gradient that a
backward pass left. NumPy's functions and operators work on it and are recorded. Tensors are values: `t += 1` binds a new
tensor to `t`, and `t[i] = v` gives `t` a new value; neither changes what an earlier operation saw.
"""

from __future__ import annotations

import operator
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_core.arrays.duals import without_tangents
from autograd_core.arrays.foreign import array_at_heart, is_plain
from autograd_core.arrays.layers import ArrayLayer
from autograd_core.tape.mode import NOT_RECORDING, current_mode
from autograd_core.tape.node import Leaf, Watchers, make_leaf, watch
from autograd_core.tape.table import TABLE
from autograd_core.tensor.apply import apply
from autograd_core.tensor.backward import backward
from autograd_core.tensor.callers import is_storing_an_item
from autograd_core.tensor.handles import raw, untracked
from autograd_core.tensor.hooks import Hook
from autograd_core.tensor.items import get_item, in_place_operator, set_item
from autograd_core.tensor.methods import ArrayMethods
from autograd_core.tensor.operators import binary_operator, quick_call, quick_calls, reflected_operator, unary_method
from autograd_core.tensor.ownership import hand_out
from autograd_core.tensor.protocols import array_function, array_ufunc
from autograd_core.tensor.spellings import Spellings, instead_of_scipys

__all__ = ["Tensor", "tensor"]

_AS_ITEM = "assigning it to an item of an array (a[i] = t)"


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        return compare(self._array, other._array if isinstance(other, Tensor) else other if is_plain(other) else array_at_heart(other, "comparison"))

    method.__name__ = compare.__name__
    method.__doc__ = "Elementwise comparison: a plain boolean array, to be used as a mask."
    return method


class Tensor(ArrayMethods, Spellings, of_results=True):
    """An array that remembers how it was computed. Make one with `ag.tensor`; see its docstring.

    data           the array
    requires_grad  whether operations on it are recorded
    grad           the gradient of the last backward passes, a Tensor of the same shape and dtype, or None
    is_leaf        whether it was made by the user rather than computed

    >>> import autograd_core as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y
    tensor(5., op=sum)
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ()
    __pandas_priority__ = 5000  # above a DataFrame's, so that `frame * t` is asked here

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        self._array = _as_data(data, dtype)
        self.grad = None
        self.handed_out = False
        self.node = None
        if requires_grad:
            self.requires_grad = True

    # --- what it is -------------------------------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The array itself, not a copy. Changing it in place while a graph that saved it waits for its backward pass is an
        error that the pass reports; assigning a new array (`t.data = a`) is always safe."""
        array = self._array
        if self.handed_out is True and type(array) is np.ndarray:  # as for most who ask: optimizers, at every step
            return array
        del array  # a name of ours would count
        return without_tangents(hand_out(self))

    @data.setter
    def data(self, value: Any) -> None:
        value = _as_data(value.data if isinstance(value, Tensor) else value, None, copy=False)
        if self.node is not None and (value.shape != self.node.shape or value.dtype != self.node.dtype):
            raise ValueError(
                f"data: a tracked tensor of shape {self.node.shape}, {self.node.dtype} cannot hold an array of shape {value.shape}, "
                f"{value.dtype}; make a new tensor with ag.tensor"
            )
        # A 0-d array is taken by value: as a NumPy scalar nobody can change it, and it is quick.
        self._array = value[()] if value.ndim == 0 and isinstance(value, np.ndarray) else value
        self.handed_out = self._array is value

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded. Assignable on leaves."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not self.is_leaf:
            if not value:
                raise RuntimeError("requires_grad can be turned off on leaves only; use t.detach() for a tensor without history")
            return
        if not value:
            self.node = None
        elif self.node is None:
            if self._array.dtype.kind not in "fc":
                raise TypeError(
                    f"requires_grad: only floating-point and complex tensors have gradients, this one is {self._array.dtype}; "
                    "make it with ag.tensor(..., dtype=float)"
                )
            self.node = make_leaf(self, self._array)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return this tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made by the user (or without recording) rather than computed."""
        return self.node is None or isinstance(self.node, Leaf)

    def __repr__(self) -> str:
        data = self._array
        try:
            text = np.array2string(np.asarray(data), separator=", ", prefix="tensor(")
        except TypeError:  # an array library without conversion
            text = repr(data)
        parts = [text]
        if not data.size and data.shape != (0,):
            parts.append(f"shape={data.shape}")  # which no brackets show
        if data.dtype not in (np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_)):
            parts.append(f"dtype={data.dtype}")
        if self.node is not None:
            parts.append("requires_grad=True" if self.is_leaf else f"op={self.node.op.name}")
        return f"{'tensor' if type(self) is Tensor else type(self).__name__}({', '.join(parts)})"

    def __len__(self) -> int:
        if not self._array.shape:
            raise TypeError("len() of a 0-d tensor")
        return int(self._array.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(without_tangents(self._array))

    def __float__(self) -> float:
        if self.node is not None and is_storing_an_item(sys._getframe(1)):
            self._refuse_detaching(_AS_ITEM)
        self._note_leaving()
        return float(without_tangents(self._array))

    def __int__(self) -> int:
        if self.node is not None and is_storing_an_item(sys._getframe(1)):
            self._refuse_detaching(_AS_ITEM)
        return int(without_tangents(self._array))

    def __complex__(self) -> complex:
        if self.node is not None and is_storing_an_item(sys._getframe(1)):
            self._refuse_detaching(_AS_ITEM)
        self._note_leaving()
        return complex(without_tangents(self._array))

    def _note_leaving(self) -> None:
        if (self.node is not None or isinstance(self._array, ArrayLayer)) and current_mode() is not NOT_RECORDING:
            from autograd_core.tensor.leaving import note_leaving

            note_leaving(self)

    def __index__(self) -> int:
        return operator.index(without_tangents(self._array))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __format__(self, spec: str) -> str:
        return format(self._array[()] if self._array.ndim == 0 else self, spec) if spec else str(self)

    __hash__ = object.__hash__

    # --- leaving the tape -------------------------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same array without history: gradients stop here."""
        if isinstance(self._array, np.generic):
            return untracked(self._array)
        result = untracked(without_tangents(hand_out(self)))
        result.handed_out = True  # two handles on one array: neither may assume that it is alone
        return result

    def numpy(self) -> Any:
        """The array of an untracked tensor; a tracked one must be detached first, so that no gradient is lost unnoticed."""
        self._refuse_detaching("numpy()")
        return self.data

    def item(self, *args: Any) -> Any:
        """The value of one element (the only one, or the one at `args`) as a Python number."""
        data = self._array
        return (without_tangents(data) if isinstance(data, ArrayLayer) else data).item(*args)

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return without_tangents(self._array).tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._refuse_detaching("converting it to an array (np.asarray, np.array, a[i] = t, or a NumPy function that does not dispatch)")
        return np.array(self.data, dtype=dtype, copy=copy)

    def _refuse_detaching(self, what: str) -> None:
        if self.node is not None and current_mode() is not NOT_RECORDING:
            raise TypeError(
                f"{what} would silently lose the gradient of a tracked tensor of shape {self.shape}; {instead_of_scipys(sys._getframe(2))}"
                "use t.detach().numpy() (or t.data) if no gradient is wanted, np.stack([...]) to build an array of tensors, "
                "np.broadcast_to(t, shape) instead of np.full, or ag.tensor(zeros) and t[i] = v to fill one"
            )

    def __copy__(self) -> Tensor:
        """Another handle on the same value and history. Of a leaf: a leaf of its own, around the same array."""
        result = object.__new__(type(self))
        result._array = self.data
        result.handed_out = True
        result.grad = self.grad
        result.node = make_leaf(result, result._array) if isinstance(self.node, Leaf) else self.node
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """Of a leaf: an independent leaf with a copied array and gradient. Of a computed tensor: a recorded copy, so that
        gradients still reach what it was computed from."""
        if not self.is_leaf:
            result = self.copy()
        else:
            result = object.__new__(type(self))
            result._array = self._array.copy()
            result.handed_out = False
            result.grad = None if self.grad is None else self.grad.__deepcopy__(memo)
            result.node = None if self.node is None else make_leaf(result, result._array)
        memo[id(self)] = result
        return result

    def __reduce__(self) -> Any:
        """A pickle holds the value and whether it requires grad, not the history: a computed tensor comes back as a leaf."""
        grad = None if self.grad is None else self.grad._array
        return _unpickled, (type(self), np.asarray(self._array), self.requires_grad, grad)

    # --- gradients --------------------------------------------------------------------------------------------------------

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add to each leaf's `grad` the derivative of this tensor, contracted with `gradient`: grad += gradient^T d(self)/d(leaf).

        gradient      array or Tensor of this tensor's shape; not needed if it has one element
        retain_graph  keep saved values for another backward pass (default: as create_graph)
        create_graph  record the pass itself, so that the gradients can be differentiated
        raises        RuntimeError if nothing was recorded or the graph was freed, ValueError and TypeError for a wrong gradient

        >>> import autograd_core as ag
        >>> x = ag.tensor(3.0, requires_grad=True)
        >>> (x ** 2).backward()
        >>> x.grad
        tensor(6.)
        """
        backward(self, gradient, retain_graph=retain_graph, create_graph=create_graph)

    def _watchers(self, what: str) -> Watchers:
        if self.node is None:
            raise RuntimeError(f"{what} needs a tensor that requires grad; this one has no history")
        return watch(self.node)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Hook:
        """Call `hook(gradient)` when this tensor's gradient is known; what it returns (if anything) takes the gradient's place.

        >>> import autograd_core as ag
        >>> x = ag.tensor(3.0, requires_grad=True)
        >>> handle = x.register_hook(lambda g: 10 * g)
        >>> (2 * x).backward(); x.grad
        tensor(20.)
        >>> handle.remove()
        """
        return Hook(self._watchers("register_hook").hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> Hook:
        """Call `hook(self)` each time a backward pass has added to the `grad` of this leaf; as in an update right there.

        raises : RuntimeError for a computed tensor, whose `grad` no pass adds to

        >>> import autograd_core as ag
        >>> x = ag.tensor(3.0, requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda t: print("gradient:", t.grad))
        >>> (2 * x).backward()
        gradient: tensor(2.)
        """
        if self.node is not None and not self.is_leaf:
            raise RuntimeError("register_post_accumulate_grad_hook is for leaves; a computed tensor's gradient is seen by register_hook")
        return Hook(self._watchers("register_post_accumulate_grad_hook").after, hook)

    def retain_grad(self) -> None:
        """Let a backward pass leave the gradient of this computed tensor in its `grad` too (leaves do so anyway)."""
        watchers = self._watchers("retain_grad")
        if not self.is_leaf:
            watchers.retained_by = weakref.ref(self)

    # --- NumPy's protocols ------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            quick = quick_calls.get(ufunc) or quick_call(ufunc)
            if quick is not None:
                return quick(*inputs)
        return array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        op = TABLE.get(function)
        return array_function(function, args, kwargs) if op is None or not op.rules else apply(op, args, kwargs)

    # --- operators --------------------------------------------------------------------------------------------------------

    __neg__ = unary_method(np.negative, operator.neg)
    __pos__ = unary_method(np.positive, operator.pos)
    __abs__ = unary_method(np.absolute, operator.abs)

    __add__ = binary_operator(np.add, operator.add)
    __sub__ = binary_operator(np.subtract, operator.sub)
    __mul__ = binary_operator(np.multiply, operator.mul)
    __truediv__ = binary_operator(np.divide, operator.truediv)
    __floordiv__ = binary_operator(np.floor_divide, operator.floordiv)
    __mod__ = binary_operator(np.remainder, operator.mod)
    __pow__ = binary_operator(np.power, operator.pow)
    __matmul__ = binary_operator(np.matmul, operator.matmul)

    __radd__ = reflected_operator(np.add)
    __rsub__ = reflected_operator(np.subtract)
    __rmul__ = reflected_operator(np.multiply)
    __rtruediv__ = reflected_operator(np.divide)
    __rfloordiv__ = reflected_operator(np.floor_divide)
    __rmod__ = reflected_operator(np.remainder)
    __rpow__ = reflected_operator(np.power)
    __rmatmul__ = reflected_operator(np.matmul)

    __iadd__ = in_place_operator(operator.add, "+")
    __isub__ = in_place_operator(operator.sub, "-")
    __imul__ = in_place_operator(operator.mul, "*")
    __itruediv__ = in_place_operator(operator.truediv, "/")
    __ifloordiv__ = in_place_operator(operator.floordiv, "//")
    __imod__ = in_place_operator(operator.mod, "%")
    __ipow__ = in_place_operator(operator.pow, "**")
    __imatmul__ = in_place_operator(operator.matmul, "@")

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    __eq__ = _comparison(operator.eq)
    __ne__ = _comparison(operator.ne)
    __lt__ = _comparison(operator.lt)
    __le__ = _comparison(operator.le)
    __gt__ = _comparison(operator.gt)
    __ge__ = _comparison(operator.ge)

    def _bitwise(self, other: Any, function: Callable[[Any, Any], Any]) -> Tensor:
        return untracked(function(self._array, raw(other)))  # integers and booleans only, as NumPy has it: no derivative

    def __and__(self, other: Any) -> Tensor:
        return self._bitwise(other, operator.and_)

    def __or__(self, other: Any) -> Tensor:
        return self._bitwise(other, operator.or_)

    def __xor__(self, other: Any) -> Tensor:
        return self._bitwise(other, operator.xor)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        return untracked(~self._array)

    # --- indexing ---------------------------------------------------------------------------------------------------------

    __getitem__ = get_item
    __setitem__ = set_item


def _unpickled(cls: type[Tensor], data: Any, requires_grad: bool, grad: Any) -> Tensor:
    result = object.__new__(cls)
    result._array = data
    result.handed_out = False
    result.grad = None if grad is None else untracked(grad)
    result.node = make_leaf(result, data) if requires_grad else None
    return result


def _as_data(data: Any, dtype: Any = None, copy: bool = True) -> Any:
    """What a tensor holds for `data`: an array of its own, or a NumPy scalar instead of a 0-d array."""
    if isinstance(data, Tensor):
        if data.node is not None and current_mode() is not NOT_RECORDING:
            raise TypeError("ag.tensor of a tracked tensor would lose its gradient; use t.copy() to keep it, ag.tensor(t.detach()) to drop it")
        data = data._array
    data = array_at_heart(data, "tensor")
    if not hasattr(data, "__array_function__"):  # numbers, lists, NumPy scalars
        if isinstance(data, list | tuple) and any(isinstance(v, Tensor) and v.node is not None for v in data):
            raise TypeError("ag.tensor of a list with tracked tensors would lose their gradients; use np.stack or np.concatenate")
        data = np.array(data, dtype=dtype)
    elif isinstance(data, np.ndarray):
        data = np.array(data, dtype=dtype, copy=copy or None)
    else:  # another library's array
        data = data.astype(dtype) if dtype is not None and dtype != data.dtype else data
    if data.dtype.kind not in "biufc":
        raise TypeError(f"a tensor holds numbers (bool, int, float or complex), not {data.dtype}; convert it with dtype=")
    return data[()] if copy and isinstance(data, np.ndarray) and data.ndim == 0 else data


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`.

    data           an array of any kind, a number, or a nested list; never changed
    dtype          default: as NumPy takes it from `data`
    requires_grad  record what is computed from it, so that `backward()` can leave its gradient in `grad`
    raises         TypeError if `requires_grad` and the dtype is an integer or boolean one

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor([[1.0, 2.0]], requires_grad=True)
    >>> np.exp(x).sum().backward()
    >>> x.grad
    tensor([[2.71828183, 7.3890561 ]])
    """
    return Tensor(data, dtype, requires_grad)
