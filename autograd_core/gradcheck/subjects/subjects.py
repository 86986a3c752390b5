"""What is checked, seen in one way: a function of a list of arrays, with a value and a vector-Jacobian product.

`Traced` is anything that this library can differentiate: an operation of the table, a function of tensors, a module with its
parameters. Its gradient is again such a function, `GradientOf`, so the second order is checked as the first order of the
gradient, and so on. `Pair` (pairs.py) is a value and a gradient that somebody wrote by hand, without this library.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from autograd_core.gradcheck.subjects.arguments import Place, differentiable_places, parameter_names, replaced
from autograd_core.tape.loading import load_more
from autograd_core.tape.mode import no_grad
from autograd_core.tape.op import Op
from autograd_core.tape.table import COMPOSITIONS, TABLE
from autograd_core.tensor.apply import apply
from autograd_core.tensor.backward import gradient
from autograd_core.tensor.handles import untracked
from autograd_core.tensor.tensor import Tensor

__all__ = ["GradientOf", "ModuleCall", "Subject", "Traced", "float_results", "leaf", "traced"]


def leaf(array: Any) -> Tensor:
    """A tracked tensor around this very array, whatever its strides: not a copy."""
    tensor: Tensor = untracked(array if array.ndim else array[()])
    tensor.handed_out = True
    tensor.requires_grad = True
    return tensor


def float_results(value: Any) -> list[Any]:
    """The floating-point and complex arrays or tensors in a result, in order, whatever it is packed in."""
    if isinstance(value, tuple | list):
        return [result for item in value for result in float_results(item)]
    if isinstance(value, dict):
        return [result for item in value.values() for result in float_results(item)]
    if isinstance(value, float | complex) and not isinstance(value, np.generic):
        value = np.asarray(value)
    return [value] if hasattr(value, "dtype") and value.dtype.kind in "fc" else []


Pull = Callable[[Sequence[Any]], list[Any]]


def as_arrays(gradients: Sequence[Any]) -> list[Any]:
    """Raw arrays from tensors, None from None."""
    return [None if g is None else np.asarray(g._array) for g in gradients]


class Subject:
    """A call of something that has a derivative.

    name       of the function
    own_rule   its derivative was written by hand for it, not composed from others
    symmetric  which of its differentiable arguments are read as symmetric (Hermitian) matrices
    args, kwargs   of the call
    places     its differentiable arguments; `names` and `arrays` are theirs
    """

    own_rule = False
    symmetric: frozenset[int] = frozenset()

    def __init__(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], places: Sequence[Place]) -> None:
        self.name = name
        self.args = tuple(args)
        self.kwargs = dict(kwargs)
        self.places = list(places)
        self.names = [place.name for place in places]

    @property
    def arrays(self) -> list[Any]:
        return [place.array for place in self.places]

    def at(self, arrays: Sequence[Any]) -> Self:
        """The same call with other values of the differentiable arguments."""
        args, kwargs = self.filled(arrays)
        return self.with_call(args, kwargs, [place._replace(array=a) for place, a in zip(self.places, arrays, strict=True)])

    def with_call(self, args: Sequence[Any], kwargs: Mapping[str, Any], places: Sequence[Place] | None = None) -> Self:
        """The same function with other arguments."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        Subject.__init__(other, self.name, args, kwargs, self.places if places is None else places)
        return other

    def only(self, places: Sequence[Place]) -> Self:
        """The same call with only some of the arguments differentiated; the others stay as they are."""
        return self.with_call(self.args, self.kwargs, [place for place in self.places if any(place is p for p in places)])

    def filled(self, values: Sequence[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The arguments of the call with `values` at the places."""
        return replaced(self.args, self.kwargs, self.places, values)

    def value(self, arrays: Sequence[Any]) -> list[Any]:
        """The floating-point results, as raw arrays."""
        raise NotImplementedError

    def start(self, arrays: Sequence[Any]) -> tuple[list[Any], Pull]:
        """A forward pass: its results as `value` gives them, and its backward pass, which may be run several times.

        The backward pass turns incoming gradients into gradients, as raw arrays; None where no result depends on an argument.
        """
        raise NotImplementedError

    def vjp(self, arrays: Sequence[Any], gs: Sequence[Any]) -> list[Any]:
        """The gradients for the incoming gradients `gs`: a forward and a backward pass."""
        return self.start(arrays)[1](gs)

    def derivative(self, gs: Sequence[Any]) -> Subject | None:
        """The gradient as a subject of its own, or None if it cannot be differentiated."""
        return None

    def signature_source(self) -> Any:
        """The function whose signature tells the names of the arguments."""
        raise NotImplementedError

    def takes_option(self, name: str) -> bool:
        """Whether the gradient can follow the keyword `name`."""
        return True


class Traced(Subject):
    """A call that this library records: of an operation (`op`), or of a function of tensors."""

    def __init__(self, function: Any, op: Op | None, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], places: Sequence[Place]) -> None:
        super().__init__(name, args, kwargs, places)
        self.operation = op
        self.own_rule = op is not None
        if op is not None and op.hermitian:
            wanted = "hermitian" not in op.parameters or bool(op.argument(op.position("hermitian"), self.args, self.kwargs))
            self.symmetric = frozenset(i for i, name in enumerate(self.names) if wanted and name in op.hermitian)
        self.compute = function

    def value(self, arrays: Sequence[Any]) -> list[Any]:
        if self.operation is not None:
            args, kwargs = self.filled(arrays)
            return [np.asarray(r) for r in float_results(self.operation.function(*args, **kwargs))]
        with no_grad():
            return [np.asarray(getattr(r, "_array", r)) for r in self.call([untracked(a if a.ndim else a[()]) for a in arrays])]

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        """The floating-point results as tensors."""
        args, kwargs = self.filled(tensors)
        if self.operation is not None:
            return float_results(apply(self.operation, tuple(args), dict(kwargs)))
        return float_results(self.compute(*args, **kwargs))

    def start(self, arrays: Sequence[Any]) -> tuple[list[Any], Pull]:
        leaves = [leaf(a) for a in arrays]
        outputs = self.call(leaves)

        def pull(gs: Sequence[Any]) -> list[Any]:
            return as_arrays(self.gradients(leaves, gs, outputs=outputs, retain_graph=True))

        return [np.asarray(getattr(y, "_array", y)) for y in outputs], pull

    def vjp(self, arrays: Sequence[Any], gs: Sequence[Any], *, create_graph: bool = False) -> list[Any]:
        return as_arrays(self.gradients([leaf(a) for a in arrays], gs, create_graph=create_graph))

    def gradients(self, leaves: Sequence[Any], gs: Sequence[Any], *, outputs: Any = None, **how: Any) -> Sequence[Any]:
        """The gradients for `gs`, as tensors; of `outputs` if the forward pass has been made.

        how : create_graph, retain_graph, as `ag.gradient` takes them
        """
        outputs = self.call(leaves) if outputs is None else outputs
        pairs = [(y, g) for y, g in zip(outputs, gs, strict=True) if isinstance(y, Tensor) and y.node is not None]
        if not pairs:
            return [None] * len(leaves)
        found: Sequence[Any] = gradient([y for y, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True, **how)
        return found

    def derivative(self, gs: Sequence[Any]) -> Subject | None:
        return GradientOf(self, gs)

    def signature_source(self) -> Any:
        return self.compute if self.operation is None else self.operation.function


class GradientOf(Traced):
    """The gradient of a subject, as a function of its arguments and of the incoming gradients."""

    def __init__(self, subject: Traced, gs: Sequence[Any]) -> None:
        names = ["g"] if len(gs) == 1 else [f"g[{i}]" for i in range(len(gs))]
        names = [f"incoming gradient {name}" if name in subject.names else name for name in names]
        values = [*subject.arrays, *gs]
        places = [Place(name, (i,), array) for i, (name, array) in enumerate(zip([*subject.names, *names], values, strict=True))]
        super().__init__(None, None, subject.name, values, {}, places)
        self.own_rule = subject.own_rule
        self.symmetric = subject.symmetric
        self.subject = subject
        self.count = len(subject.names)

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        found = self.subject.gradients(tensors[: self.count], tensors[self.count :], create_graph=True)
        return [untracked(np.zeros(x.shape, x.dtype)) if d is None else d for d, x in zip(found, tensors, strict=False)]

    def value(self, arrays: Sequence[Any]) -> list[Any]:
        found = self.subject.vjp(arrays[: self.count], arrays[self.count :])
        return [np.zeros(x.shape, x.dtype) if d is None else d for d, x in zip(found, arrays, strict=False)]


class ModuleCall(Traced):
    """A module, such as `nn.Linear`, as a function of its inputs and its parameters. Any object will do that can be called
    and has `named_parameters()`, dotted names and tensors, which are attributes of the object and of those inside it."""

    def __init__(self, module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], places: Sequence[Place]) -> None:
        parameters = dict(module.named_parameters())
        # Where each of them stands: one that two modules share, as language models share embeddings, is one under all its names.
        slots: dict[int, list[tuple[dict[str, Any], str]]] = {id(parameter): [] for parameter in parameters.values()}
        for path in _all_names(module):
            slot = _slot(module, path)
            slots[id(slot[0][slot[1]])].append(slot)
        self.slots = [slots[id(parameter)] for parameter in parameters.values()]
        places = [*places, *(Place(path, ("parameters", path), parameter.data) for path, parameter in parameters.items())]
        super().__init__(module, None, type(module).__name__, args, kwargs, places)

    def filled(self, values: Sequence[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        count = sum(place.path[0] != "parameters" for place in self.places)
        return replaced(self.args, self.kwargs, self.places[:count], values[:count])

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        args, kwargs = self.filled(tensors)
        own = [slots[0][0][slots[0][1]] for slots in self.slots]
        try:
            try:
                self._fill(tensors[len(tensors) - len(self.slots) :])
                return float_results(self.compute(*args, **kwargs))
            finally:
                self._fill(own)
        finally:
            self._fill(own)  # again: an interrupt may have come in the middle of the first time

    def _fill(self, tensors: Sequence[Any]) -> None:
        for slots, tensor in zip(self.slots, tensors, strict=True):
            for attributes, name in slots:
                attributes[name] = tensor


def _all_names(module: Any) -> list[str]:
    """The dotted names of a module's parameters, all of them of those that are shared, if it can tell."""
    if "remove_duplicate" in inspect.signature(module.named_parameters).parameters:
        return [path for path, _ in module.named_parameters(remove_duplicate=False)]
    return [path for path, _ in module.named_parameters()]


def _slot(module: Any, path: str) -> tuple[dict[str, Any], str]:
    """The attributes, and the name among them, that a dotted name stands for."""
    *owners, name = path.split(".")
    if hasattr(module, "get_submodule"):
        attributes = module.get_submodule(".".join(owners)).__dict__
        # A list or dict of parameters keeps them in a dict of their own, so that they may have any name.
        apart = (value for value in attributes.values() if isinstance(value, dict) and isinstance(value.get(name), Tensor))
        return (attributes if isinstance(attributes.get(name), Tensor) else next(apart)), name
    for step in owners:
        module = module[int(step)] if step.isdigit() and not hasattr(module, step) else getattr(module, step)
    return module.__dict__, name


def operation_of(function: Any) -> Op | None:
    """The row of the table for `function`, if it has rules."""
    if isinstance(function, Op):
        return function
    op = getattr(function, "op", None)
    if not isinstance(op, Op):
        try:
            op = TABLE.get(function)
        except TypeError:  # unhashable
            return None
    return op if op is not None and op.rules else None


def name_of(function: Any) -> str:
    """What messages call `function`."""
    return str(getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or type(function).__name__).split("<locals>.")[-1]


def traced(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Traced:
    """The subject for `function(*args, **kwargs)`.

    raises : TypeError if no argument is a floating-point or complex array that can be differentiated
    """
    load_more()
    op = operation_of(function)
    if op is not None:
        places = differentiable_places(args, kwargs, op.parameters, op.variadic, op.rules)
        subject = Traced(function, op, op.name or name_of(function), args, kwargs, places)
    elif callable(getattr(function, "named_parameters", None)):
        subject = ModuleCall(function, args, kwargs, differentiable_places(args, kwargs, *parameter_names(function.forward)))
    else:
        name = name_of(function)
        if not isinstance(function, type) and _hashable(function) and function in COMPOSITIONS:
            # Directly, because NumPy dispatches only on some arguments of some functions.
            function = COMPOSITIONS[function].compute
        subject = Traced(function, None, name, args, kwargs, differentiable_places(args, kwargs, *parameter_names(function)))
    if not subject.places:
        raise TypeError(f"gradcheck: {subject.name} was given no floating-point array to differentiate; pass arrays such as np.array([1.0, 2.0])")
    return subject


def _hashable(value: Callable[..., Any]) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
