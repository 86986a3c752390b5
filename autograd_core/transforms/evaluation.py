"""One evaluation of a function with variables in the places of its inputs: what all transforms begin with.

An input that is itself a tracked tensor (because an outer transform differentiates through this one) is linked to its
variable by a recorded identity, so the outer derivative finds its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np

import autograd_core.tensor.forward  # noqa: F401  duals compute by it
from autograd_core.arrays.duals import Dual, carrying_tangents
from autograd_core.arrays.foreign import array_at_heart
from autograd_core.arrays.layers import ArrayLayer, new_level
from autograd_core.arrays.trees import flatten, paths
from autograd_core.tape.mode import NOT_RECORDING, RECORDING, current_mode, enable_grad
from autograd_core.tape.node import next_number
from autograd_core.tensor.backward import gradients_of
from autograd_core.tensor.calls import nodes_before
from autograd_core.tensor.handles import untracked
from autograd_core.tensor.leaving import Leaver, leavers, lost
from autograd_core.tensor.tensor import Tensor, tensor

__all__ = [
    "Call",
    "DualCall",
    "Linearised",
    "fitting_tangent",
    "is_nested",
    "keeps_tensors",
    "mapping",
    "positions_of",
    "separate",
    "zeros_of",
]

# How many transforms are evaluating their function: inside one, results stay tensors, and are recorded for it to differentiate.
_depth: ContextVar[int] = ContextVar("autograd_core_transform_depth", default=0)
# How many maps are, and evaluations that only carry derivatives forward: inside one, results stay tensors too, but it sweeps nothing.
_maps: ContextVar[int] = ContextVar("autograd_core_map_depth", default=0)
# Whether an evaluation that only carries derivatives forward is the outermost: nothing inside has to be recorded for it.
_only_forward: ContextVar[bool] = ContextVar("autograd_core_only_forward", default=False)


@contextmanager
def _one_more(depth: ContextVar[int]) -> Iterator[None]:
    token = depth.set(depth.get() + 1)
    try:
        yield
    finally:
        depth.reset(token)


def mapping() -> AbstractContextManager[None]:
    """Around a map's evaluation of its function."""
    return _one_more(_maps)


def is_nested() -> bool:
    """Whether another transform is evaluating its function, to differentiate it."""
    return _depth.get() > 0


def keeps_tensors() -> bool:
    """Whether another transform or a map is evaluating its function: results are tensors then."""
    return _depth.get() > 0 or _maps.get() > 0


def _variable(value: Any, name: Callable[[], str], what: str) -> Tensor:
    """A new variable with the value of an input."""
    if isinstance(value, Tensor):
        if value.dtype.kind not in "fc":
            raise TypeError(f"{what}: {name()} is of dtype {value.dtype}, which has no derivative; convert it to float")
        return +value if value.requires_grad else tensor(untracked(value._array), requires_grad=True)
    value = array_at_heart(value, what)
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    if dtype.kind not in "fc":
        raise TypeError(f"{what}: {name()} is of dtype {dtype}, which has no derivative; pass a float (2.0 instead of 2) or array.astype(float)")
    return tensor(value, requires_grad=True)


class Call:
    """One evaluation of `function` with variables in the places of the arguments to differentiate.

    variables  a tensor for each leaf of those arguments
    output     what the function returned;  tensors: its leaves, as tensors
    nested     results have to stay tensors: an input is one, or another transform or map is under way
    recorded   gradients have to be recorded: another transform is under way, or something tracked went in
    """

    def __init__(self, what: str, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnums: Sequence[int]) -> None:
        self.what = what
        inputs = [args[i] for i in argnums]
        leaves, self.rebuild_inputs = flatten(inputs)

        def name_of(k: int) -> str:
            return [name for i, x in zip(argnums, inputs, strict=True) for name in paths(x, f"argument {i}")][k]

        self.name_of = name_of
        self.nested = keeps_tensors() or any(isinstance(leaf, Tensor) for leaf in leaves)
        start = next_number()
        with self._evaluating(), enable_grad():
            self.variables = self._variables(leaves, name_of)
            replaced = list(args)
            for i, x in zip(argnums, self.rebuild_inputs(self.variables), strict=True):
                replaced[i] = x
            with leavers() as self.left:
                self.output = function(*replaced, **kwargs)
        parts, self.rebuild_output = flatten(self.output)
        self.tensors = [part if isinstance(part, Tensor) else tensor(part) for part in parts]
        self.recorded = is_nested()
        if not self.recorded and not _only_forward.get():
            tracked = any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves)
            self.recorded = tracked or (self.nested and bool(nodes_before(start, self.tensors, {v.node for v in self.variables})))

    def _evaluating(self) -> AbstractContextManager[None]:
        """Around the evaluation of the function."""
        return _one_more(_depth)

    def _variables(self, leaves: Sequence[Any], name_of: Callable[[int], str]) -> list[Tensor]:
        return [_variable(leaf, partial(name_of, k), self.what) for k, leaf in enumerate(leaves)]

    def scalar(self) -> Tensor:
        """The output, which has to be one real number."""
        if len(self.tensors) != 1 or self.tensors[0].size != 1 or self.tensors[0].dtype.kind not in "fiu":
            shown = ", ".join(f"{t.dtype} of shape {t.shape}" for t in self.tensors) or "nothing"
            raise TypeError(f"{self.what}: the function must return one real number, it returned {shown}; reduce it, or use jacobian or vjp")
        return self.tensors[0]

    def pull(self, cotangents: Sequence[Any], *, create_graph: bool, retain_graph: bool, allow_unused: bool = True) -> list[Any]:
        """The gradients of <outputs, cotangents> for each variable; zeros where nothing depends on it, or an error."""
        used = [(t, c) for t, c in zip(self.tensors, cotangents, strict=True) if t.requires_grad]
        found: Sequence[Any] = [None] * len(self.variables)
        if used:
            outputs, given = [t for t, _ in used], [c for _, c in used]
            found = gradients_of(outputs, self.variables, given, create_graph=create_graph, retain_graph=retain_graph, allow_unused=True)
        if not allow_unused and any(g is None for g in found):
            unused = self.name_of(next(k for k, g in enumerate(found) if g is None))
            raise RuntimeError(f"{self.what}: the value does not depend on {unused}; with allow_unused=True its gradient is zeros")
        for k, (g, variable) in enumerate(zip(found, self.variables, strict=True)):
            if g is None and self.left and (leaver := lost(self.left, variable.node)) is not None:
                raise self._lost(self.name_of(k), leaver)
        return [zeros_of(v) if g is None else g for g, v in zip(found, self.variables, strict=True)]

    def _lost(self, name: str, leaver: Leaver) -> TypeError:
        return TypeError(
            f"{self.what}: the result does not depend on {name}, but a number that does left the graph at {leaver.place} (float(), math.*, or a "
            "function that asks for Python numbers): the gradient would be 0 without a word. Use NumPy's functions and functions that "
            "dispatch to tensors (ag.root, np.trapezoid, ...), or say that it is meant: ag.stop_gradient(t), t.detach() or t.item()"
        )

    def result(self, value: Any) -> Any:
        """A tensor as the caller wants it: itself in a nested call, else its array."""
        if not self.nested:
            return value._array if isinstance(value, Tensor) else value
        if _only_forward.get() and isinstance(value, Tensor) and not value.requires_grad and value.dtype.kind in "fc":
            value.requires_grad = True  # an operation that is not recorded then makes a constant of it, as elsewhere
        return value

    def value(self) -> Any:
        return self.rebuild_output([self.result(t) for t in self.tensors])

    def own_value(self) -> Any:
        """The value in arrays that the graph, which is still to be used, does not hold."""
        results = [self.result(t) for t in self.tensors]
        return self.rebuild_output([part.copy() if isinstance(part, np.ndarray) else part for part in results])


def separate(arrays: Iterable[Any], others: Iterable[Any] = ()) -> list[Any]:
    """`arrays`, copied where they share memory with one another, or with `others`."""
    taken = {id(other) for other in others}
    results = []
    for array in arrays:
        if isinstance(array, np.ndarray) and (array.base is not None or id(array) in taken):
            array = array.copy()
        taken.add(id(array))
        results.append(array)
    return results


def zeros_of(variable: Tensor) -> Tensor:
    """The gradient of what does not depend on `variable`."""
    return tensor(np.zeros_like(variable._array))


def positions_of(argnums: int | Sequence[int], args: Sequence[Any], what: str) -> list[int]:
    """`argnums` as a list of positions among `args`; TypeError if there are not that many, ValueError if one comes twice."""
    wanted = list(argnums) if isinstance(argnums, Iterable) else [argnums]
    for i in wanted:
        if not isinstance(i, int | np.integer) or isinstance(i, bool) or not -len(args) <= i < len(args):
            raise TypeError(f"{what}: argnums={argnums!r}, but the function was called with {len(args)} positional arguments")
    positions = [int(i) % len(args) for i in wanted]
    if len(set(positions)) < len(positions):
        raise ValueError(f"{what}: argnums={argnums!r} names an argument twice")
    return positions


class DualCall(Call):
    """One evaluation that carries the derivative along `tangents` with it: arrays, one for each leaf of the differentiated arguments.

    swept : a backward pass is to follow
    """

    def __init__(
        self,
        what: str,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Sequence[int],
        tangents: Sequence[Any],
        swept: bool = False,
    ) -> None:
        self.swept = swept
        self.level = new_level()
        self.tangents = tangents
        with carrying_tangents():
            super().__init__(what, function, args, kwargs, argnums)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        token = _only_forward.set(not self.swept)
        try:
            with _one_more(_depth if self.swept else _maps):
                yield
        finally:
            _only_forward.reset(token)

    @staticmethod
    def applies(args: Any, tangents: Any) -> bool:
        """Whether there is nothing to record: no other transform under way, no tensor among the arguments, no instrument on."""
        plain = current_mode() in (RECORDING, NOT_RECORDING) and not keeps_tensors()
        return plain and not any(isinstance(leaf, Tensor | ArrayLayer) for leaf in flatten([list(args), list(tangents)])[0])

    def _variables(self, leaves: Sequence[Any], name_of: Callable[[int], str]) -> list[Tensor]:
        variables = super()._variables(leaves, name_of)
        if len(self.tangents) != len(variables):
            raise ValueError(f"{self.what}: {len(self.tangents)} tangents for {len(variables)} arguments")
        for v, t in zip(variables, self.tangents, strict=True):
            v._array = Dual(v._array, fitting_tangent(t, v, self.what), self.level)
        return variables

    def result(self, value: Any) -> Any:
        """A value as an array, without its derivative."""
        data = value._array if isinstance(value, Tensor) else value
        return data.primal if isinstance(data, Dual) else data

    def derivative(self, value: Any) -> Any:
        """The derivative of a value along the tangents."""
        data = value._array if isinstance(value, Tensor) else value
        if not isinstance(data, Dual) and (leaver := next((leaver for leaver in self.left if leaver.carried), None)) is not None:
            raise self._lost("the arguments", leaver)
        tangent = data.tangent if isinstance(data, Dual) else np.zeros_like(data)
        return tangent[()] if isinstance(tangent, np.ndarray) and tangent.ndim == 0 else tangent


class Linearised:
    """The derivative of one evaluation as a linear map of tangents, by a vjp of the vjp.

    The vjp is linear in its cotangent u; its own vjp for u is therefore the derivative applied to a tangent, whatever u is.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.probes = [tensor(np.zeros_like(t._array), requires_grad=t.dtype.kind in "fc") for t in call.tensors]
        with enable_grad():
            self.pulled = call.pull(self.probes, create_graph=True, retain_graph=True)

    def __call__(self, tangents: Sequence[Any], *, create_graph: bool) -> list[Any]:
        pairs = [(g, t) for g, t in zip(self.pulled, tangents, strict=True) if g.requires_grad]
        if not pairs:
            return [zeros_of(p) for p in self.probes]
        outputs, given = [g for g, _ in pairs], [t for _, t in pairs]
        inputs = [p for p in self.probes if p.requires_grad]  # integers, as of np.argmax, are constants
        found = iter(gradients_of(outputs, inputs, given, create_graph=create_graph, retain_graph=True, allow_unused=True))
        pushed = [next(found) if p.requires_grad else None for p in self.probes]
        return [zeros_of(p) if g is None else g for g, p in zip(pushed, self.probes, strict=True)]


def fitting_tangent(tangent: Any, variable: Tensor, what: str) -> Any:
    """A tangent in its variable's dtype, checked against its shape."""
    if not isinstance(tangent, Tensor | ArrayLayer):
        tangent = np.asarray(tangent)
    if tangent.dtype.kind == "c" != variable.dtype.kind:
        raise TypeError(f"{what}: a complex tangent for an argument of dtype {variable.dtype}")
    if tangent.dtype != variable.dtype and not (isinstance(tangent, Tensor) and tangent.dtype.kind in "fc"):
        tangent = tangent.astype(variable.dtype)
    if tangent.shape != variable.shape:
        raise ValueError(f"{what}: a tangent of shape {tangent.shape} for an argument of shape {variable.shape}")
    return tangent
