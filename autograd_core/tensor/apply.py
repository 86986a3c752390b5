"""`apply`: a call of any operation. Forms of calls that were met before go a plain way, all others the one that knows everything.

A form is the types of the arguments and the names of the keywords. When a call of a new form has been recorded by `applied`, which checks
it, a function is made that does what is left to do for the next ones: on plain arrays, without instruments, with results of one
part, and with nothing that has to be guarded. It gives back NotImplemented where a call is not like that after all.

(The operators have a still shorter way for what they mostly meet, operators.py.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import float64, ndarray

from autograd_core.tape.mode import RECORDING, raw_mode
from autograd_core.tape.node import FLOAT64_SCALAR, Node, like_of, look_at, make_node, next_number, watch_collector
from autograd_core.tape.op import Op
from autograd_core.tape.plan import FROM_ARGS, FROM_DEFAULT, FROM_KWARGS, FROM_RESULT, FROM_SHAPES, plan_first
from autograd_core.tensor.handles import SCALARS, Handle, handle, results
from autograd_core.tensor.ownership import COPIED, note_views, share_memory_of, shows
from autograd_core.tensor.recording import applied, record

__all__ = ["BARE", "apply", "apply_to_view"]

new_object = object.__new__

# What a call is made of besides tensors and arrays, nearly always; and arrays that say by their class that nothing is behind them.
_CONSTANTS = frozenset({type(None), str, slice, type(Ellipsis), np.dtype, type, *SCALARS})
_INT = frozenset({int})
BARE = frozenset({np.ndarray, np.float64, np.float32})

Call = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def apply(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute `op` on tensors and arrays, and record it if an argument is tracked.

    raises : TypeError if an argument is tracked and a rule for it is missing, or a keyword is used that no rule knows
    """
    if raw_mode() is not RECORDING:
        return applied(op, args, kwargs)
    form = (*map(type, args), *kwargs, *map(type, kwargs.values())) if kwargs else tuple(map(type, args))
    call = op.calls.get(form)
    if call is not None:
        result = call(args, kwargs)
        return applied(op, args, kwargs) if result is NotImplemented else result
    result = applied(op, args, kwargs)
    if getattr(result, "node", None) is not None and len(op.calls) < MOST_FORMS:
        op.calls[form] = _plain_call(op, args, kwargs) or _not_plain
    return result


MOST_FORMS = 64  # of one op are kept: classes of a user's may be many


def apply_to_view(op: Op, tensor: Any, arguments: tuple[Any, ...], data: Any) -> Any:
    """`apply` for an operation on `tensor`, which is tracked, whose result `data` is known: a third of its time."""
    plan = op.first or plan_first(op)
    values = (*arguments, data)  # OUT is -1: the result comes last
    result = handle(data, make_node(plan, (tensor.node,), [values[save] for save in plan.saves], data))
    if type(data) is not float64 and shows(data, tensor):  # a NumPy scalar takes long to say that it has no base
        share_memory_of(tensor, result, op.function, arguments[1:])
    return result


# --- what is made for a form --------------------------------------------------------------------------------------------------


def _not_plain(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return NotImplemented


def _plain_call(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """The function for calls of the form of this one; None if they are not plain."""
    if op.variadic is not None or "where" in kwargs or not all(type(v) in _CONSTANTS or type(v) is tuple for v in kwargs.values()):
        return None
    tensors: list[int] = []
    arrays: list[int] = []
    shapes: list[int] = []
    elements = False
    for i, value in enumerate(args):
        kind = type(value)
        if isinstance(value, Handle):
            tensors.append(i)
        elif kind is ndarray:
            arrays.append(i)
        elif kind is tuple or kind is list:
            if _is_shape(value):
                shapes.append(i)
            elif i == 0:
                elements = True
            else:
                return None
        elif kind not in _CONSTANTS:
            return None
    names = [name for name, value in kwargs.items() if type(value) is tuple]
    arity: tuple[Any, ...] = (len(args), *kwargs)
    if elements:
        return None if tensors or arrays else _call_of_elements(op, arity, shapes, names)
    if len(tensors) == 1 and not arrays:
        return _call_of_one(op, arity, tensors[0], shapes, names)
    return _call_of_several(op, arity, tensors, arrays, shapes, names)


def _known(op: Op, tracked: tuple[Any, ...], arity: tuple[Any, ...]) -> Any:
    """The plan for `tracked` arguments, what to save from where, and which arguments that is; None if `applied` has met no such call yet."""
    plan = op.plans.get(tracked)
    recipe = None if plan is None else plan.recipes.get(arity)
    if plan is None or recipe is None or arity not in op.accepted:
        return None
    return plan, recipe, sum(1 << key for source, key in recipe if source == FROM_ARGS)


def _saved(recipe: Any, values: Any, kwargs: dict[str, Any], value: Any, copied: int, elements: Callable[[], Any] | None = None) -> list[Any]:
    """What a plan saves of a plain call: the bits of `copied` are the arguments to copy, `elements` gives the shapes of a sequence's."""
    saved = []
    for source, key in recipe:
        if source == FROM_ARGS:
            saved.append(values[key].copy() if copied >> key & 1 else values[key])
        elif source == FROM_RESULT:
            saved.append(value)
        elif source == FROM_DEFAULT:
            saved.append(key)
        elif source == FROM_KWARGS:
            saved.append(kwargs[key])
        elif source == FROM_SHAPES and elements is not None:
            saved.append(elements())
        else:
            raise AssertionError(f"a plain call saves from source {source}")  # variadic operations have no plain way
    return saved


def _call_of_one(op: Op, arity: tuple[Any, ...], place: int, shapes: list[int], names: list[str]) -> Call | None:
    """The call of a function of one tensor, at `place`; all else are constants, with tuples at `shapes` and of these names."""
    known = _known(op, (place,), arity)
    if known is None:
        return None
    plan, recipe, saved_args = known
    compute = op.quick or op.function
    is_saved = saved_args >> place & 1
    real_only, compact, has_tuples = op.real_only, plan.compact, bool(shapes or names)
    fixed = [key for source, key in recipe] if all(source == FROM_DEFAULT for source, _ in recipe) else None

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = args[place]
        parent = x.node
        array = x._array
        if parent is None or type(array) not in BARE or (real_only and parent.like.dtype.kind == "c"):
            return NotImplemented
        if is_saved and x.handed_out and array.nbytes > COPIED:
            return NotImplemented
        values = list(args)
        values[place] = array
        if has_tuples and not _take_shapes(values, shapes, kwargs, names):
            return NotImplemented
        value = compute(*values, **kwargs)
        like = parent.like
        kind = type(value)
        if kind is float64:
            like = FLOAT64_SCALAR
        elif kind not in BARE or value.dtype.kind not in "fc":
            return _recorded_otherwise(op, plan, (parent,), values, args, kwargs, value, -1 if x.handed_out else 0, arity)
        else:
            like = like_of(value)
        if fixed is not None:
            saved = fixed
        else:
            saved = _saved(recipe, values, kwargs, value, 1 << place if x.handed_out else 0)
        node = Node()
        node.plan = plan
        if compact:
            node.first = parent
            if saved:
                node.saved_first = saved[0]
                if len(saved) == 2:
                    node.saved_second = saved[1]
        else:
            node.rest = (parent, *saved)
        node.like = like
        number = node.number = next_number()
        node.gradient = None
        if number > look_at[0]:
            watch_collector(number)
        result = new_object(results.kind)
        result._array = value
        result.node = node
        result.grad = None
        result.handed_out = False
        if kind is ndarray and (value.base is not None or value is array):
            note_views(op.function, args, kwargs, result)
        return result

    return call


def _call_of_several(op: Op, arity: tuple[Any, ...], tensors: list[int], arrays: list[int], shapes: list[int], names: list[str]) -> Call:
    """The call of a function of tensors and arrays at these places."""
    compute = op.quick or op.function
    in_arrays = sum(1 << i for i in arrays)
    real_only = op.real_only
    patterns: dict[int, Any] = {}  # by the bits of the tracked arguments

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        values = list(args)
        parents: list[Node] = []
        pattern = 0
        reachable = in_arrays
        for i in tensors:
            x = args[i]
            array = x._array
            if type(array) not in BARE:
                return NotImplemented
            values[i] = array
            if x.node is not None:
                parents.append(x.node)
                pattern |= 1 << i
            if x.handed_out:
                reachable |= 1 << i
        for i in arrays:
            if args[i].dtype.hasobject:
                return NotImplemented
        known = patterns.get(pattern)
        if known is None:
            known = _known(op, tuple(i for i in tensors if pattern >> i & 1), arity)
            if known is None:
                return NotImplemented
            patterns[pattern] = known
        plan, recipe, saved_args = known
        if real_only and any(node.like.dtype.kind == "c" for node in parents):
            return NotImplemented
        at_risk = reachable & saved_args  # what is saved and can be reached by the user: copied, if it is small
        if at_risk:
            for source, key in recipe:
                if source == FROM_ARGS and at_risk >> key & 1 and values[key].nbytes > COPIED:
                    return NotImplemented
        if (shapes or names) and not _take_shapes(values, shapes, kwargs, names):
            return NotImplemented
        value = compute(*values, **kwargs)
        if type(value) not in BARE or value.dtype.kind not in "fc":
            return _recorded_otherwise(op, plan, parents, values, args, kwargs, value, reachable, arity)
        result = handle(value, make_node(plan, parents, _saved(recipe, values, kwargs, value, at_risk), value))
        if value.base is not None or value is values[tensors[0]]:
            note_views(op.function, args, kwargs, result)
        return result

    return call


def _call_of_elements(op: Op, arity: tuple[Any, ...], shapes: list[int], names: list[str]) -> Call:
    """The call of a function of a sequence of tensors, such as np.concatenate."""
    compute = op.quick or op.function
    patterns: dict[Any, Any] = {}  # by the number of elements if all are tracked, else by the tracked ones

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = args[0]
        elements: list[Any] = []
        parents: list[Node] = []
        for x in given:
            if not isinstance(x, Handle) or type(x._array) not in BARE:
                return NotImplemented
            elements.append(x._array)
            if x.node is not None:
                parents.append(x.node)
        pattern: Any = len(parents)
        if pattern != len(elements):
            pattern = tuple([(0, i) for i, x in enumerate(given) if x.node is not None])
        known = patterns.get(pattern)
        if known is None:
            known = _known(op, pattern if type(pattern) is tuple else tuple([(0, i) for i in range(pattern)]), arity) if parents else None
            if known is None:
                return NotImplemented
            if len(patterns) < MOST_FORMS:
                patterns[pattern] = known
        plan, recipe, saved_args = known
        values = list(args)
        values[0] = elements
        if saved_args & 1 or ((shapes or names) and not _take_shapes(values, shapes, kwargs, names)):
            return NotImplemented
        if op.real_only and any(node.like.dtype.kind == "c" for node in parents):
            return NotImplemented
        value = compute(*values, **kwargs)
        if type(value) not in BARE or value.dtype.kind not in "fc":
            return _recorded_otherwise(op, plan, parents, values, args, kwargs, value, 0, arity)

        def likes() -> Any:
            return tuple([node.like for node in parents] if type(pattern) is int else map(like_of, elements))

        return handle(value, make_node(plan, parents, _saved(recipe, values, kwargs, value, 0, likes), value))

    return call


def _recorded_otherwise(
    op: Op, plan: Any, parents: Any, values: Any, args: Any, kwargs: dict[str, Any], value: Any, reachable: int, arity: tuple[Any, ...]
) -> Any:
    """The tensor, or tensors, for a result that is no array of numbers with a derivative."""
    result = record(plan, parents, values, kwargs, value, reachable, RECORDING, arity)
    if isinstance(value, tuple | list) or getattr(value, "base", None) is not None or any(value is v for v in values):
        note_views(op.function, args, kwargs, result)
    return result


def _take_shapes(values: list[Any], shapes: list[int], kwargs: dict[str, Any], names: list[str]) -> bool:
    """Copy the sequences of whole numbers at `shapes`; False if one of them, or of the keywords `names`, is no such thing."""
    for i in shapes:
        if not _is_shape(values[i]):
            return False
        values[i] = type(values[i])(values[i])
    return all(_is_shape(kwargs[name]) for name in names)


def _is_shape(value: Any) -> bool:
    """Whether `value` is a tuple or list of whole numbers: axes or a shape."""
    return _INT.issuperset(map(type, value))
