"""A value and its gradient that somebody wrote by hand, in plain NumPy, without this library: a pair (forward, backward).

Hand-written backward passes come in several forms, and the names of their parameters tell which:

    backward(g, x, w)         the incoming gradient, then the inputs
    backward(g, out, x, w)    with the result too; or any selection of these, by name
    backward(x, w, g)         the inputs first
    forward -> (out, cache),  backward(g, cache)
    backward(g)               of an object whose forward kept what is needed
    backward(out, x, w)(g)    a function that makes the function

So the incoming gradient may come first or last, what was saved first or last: the names decide (g, grad, dout, dy, upstream...; out, y,
result...; cache, ctx, saved...; the forward function's own parameters), and where they tell nothing, the number of parameters.
`backward(g, z)` of a function of one argument can be read in two ways, z as the result or as the argument: the one whose gradient is
right is taken, by name if neither is, and a note of the report says which. What fits no form is refused, and the message says how to
write it.

It returns one gradient, a sequence of one per input (None for integers), or a dict by input names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.layers import sequence_like
from autograd_core.gradcheck.numeric.differences import central_derivatives
from autograd_core.gradcheck.numeric.directions import Directions
from autograd_core.gradcheck.numeric.spots import RuleFailed, Skip, Spot
from autograd_core.gradcheck.subjects.arguments import Place, differentiable_places, parameter_names
from autograd_core.gradcheck.subjects.subjects import Pull, Subject, float_results, name_of

__all__ = ["Pair", "pair"]

# What people call the parameters of a backward pass.
_GRADIENTS = """g gs gy gout grad grads gradient upstream cotangent ct adjoint delta dy dz dL dA dout dloss dvalues v gbar ybar y_bar
output_gradient output_grad out_grad gradient_output g_out dL_dy dLdy error"""
_RESULTS = "out y ans output outputs result value res z"
_CACHES = "cache ctx saved saved_values residuals context memory state aux tape"
GRADIENTS, RESULTS, CACHES = (frozenset(names.split()) for names in (_GRADIENTS, _RESULTS, _CACHES))


class Pair(Subject):
    """The call forward(*args, **kwargs) with a gradient by hand.

    form   for each positional parameter of backward: "g", "out", "cache", "*" (all inputs) or an input's position or keyword
    """

    own_rule = True
    note = ""  # on how an ambiguous form was read

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        form: list[Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        places: Sequence[Place],
    ) -> None:
        super().__init__(name_of(forward), args, kwargs, places)
        self.forward = forward
        self.backward = backward
        self.form = form
        self.cached = "cache" in form
        self.keywords = _accepted_keywords(backward, form)

    def signature_source(self) -> Any:
        return self.forward

    def takes_option(self, name: str) -> bool:
        return name in self.keywords

    def run(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """The result and the cache (None if the pair has none)."""
        result = self.forward(*args, **kwargs)
        return (result[0], result[1] if len(result) == 2 else result[1:]) if self.cached else (result, None)

    def value(self, arrays: Sequence[Any]) -> list[Any]:
        args, kwargs = self.filled(arrays)
        return [np.asarray(r) for r in float_results(self.run(args, kwargs)[0])]

    def start(self, arrays: Sequence[Any]) -> tuple[list[Any], Pull]:
        args, kwargs = self.filled(arrays)
        out, cache = self.run(args, kwargs)
        return [np.asarray(r) for r in float_results(out)], lambda gs: self.pull(args, kwargs, out, cache, gs)

    def pull(self, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any, cache: Any, gs: Sequence[Any]) -> list[Any]:
        """The gradients, after a forward pass that gave `out` and `cache`."""
        g = _shaped_like(out, list(gs))
        given: list[Any] = []
        for part in self.form:
            if part == "g":
                given.append(g)
            elif part == "out":
                given.append(out)
            elif part == "cache":
                given.append(cache)
            elif part == "*":
                given += args
            elif isinstance(part, int):
                given.append(args[part])
            else:
                given.append(kwargs[part])
        found = self.backward(*given, **{name: value for name, value in kwargs.items() if name in self.keywords})
        if callable(found) and not hasattr(found, "shape"):
            found = found(g)
        return self._by_place(found)

    def _by_place(self, found: Any) -> list[Any]:
        """The returned gradients in the order of the places."""
        count = len(self.args)
        if isinstance(found, dict):
            by_name = {name.removeprefix("d_").removeprefix("grad_"): value for name, value in found.items()}
            by_name |= {name[1:]: value for name, value in found.items() if name.startswith("d") and name[1:] in self.names}
            by_name |= found
            return [_as_array(by_name.get(place.name)) for place in self.places]
        if isinstance(found, list | tuple):
            given = list(found)
        elif len({place.path[0] for place in self.places}) > 1 and not hasattr(found, "shape"):
            raise RuleFailed("shape", f"the gradient is a {type(found).__name__}; return one array per argument")
        else:
            given = [found]
        firsts = list(dict.fromkeys(place.path[0] for place in self.places))
        if len(given) == len(firsts):
            by_argument: dict[Any, Any] = dict(zip(firsts, given, strict=True))
        elif len(given) == count:
            by_argument = dict(enumerate(given))
        elif len(firsts) == 1 and len(self.places) == len(given):
            by_argument = {firsts[0]: given}
        else:
            raise RuleFailed("shape", f"{len(given)} gradients for {count} arguments")
        return [_as_array(_inside(by_argument.get(place.path[0]), place.path[1:])) for place in self.places]


def _inside(value: Any, path: Sequence[Any]) -> Any:
    for step in path:
        value = None if value is None else value[step]
    return value


def _as_array(value: Any) -> Any:
    return None if value is None else np.asarray(value)


def _shaped_like(out: Any, gs: list[Any]) -> Any:
    """The incoming gradients in the structure of the results; None for results that are not floating-point."""
    if isinstance(out, tuple | list):
        parts = [_shaped_like(o, gs) for o in out]
        return sequence_like(out, parts)
    if isinstance(out, dict):
        return {name: _shaped_like(o, gs) for name, o in out.items()}
    return gs.pop(0) if float_results(out) else None


def _accepted_keywords(backward: Callable[..., Any], form: Sequence[Any]) -> frozenset[str]:
    try:
        parameters = list(inspect.signature(backward).parameters.values())
    except (TypeError, ValueError):
        return frozenset()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_position = len(positional) if "*" in form else len(form)
    return frozenset(p.name for p in [*positional[by_position:], *(p for p in parameters if p.kind is p.KEYWORD_ONLY)])


def pair(forward: Callable[..., Any], backward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Pair:
    """The subject for a hand-written pair.

    raises : TypeError if no argument can be differentiated, or no form of `backward` works
    """
    names, variadic = parameter_names(forward)
    places = differentiable_places(args, kwargs, names, variadic)
    if not places:
        raise TypeError(f"gradcheck: {name_of(forward)} was given no floating-point array to differentiate; pass arrays such as np.array([1.0, 2.0])")
    form = _form(forward, backward, names, args, kwargs)
    by_name = Pair(forward, backward, form, args, kwargs, places)
    other = _other_reading(form, args)
    if other is None:
        return by_name
    by_number = Pair(forward, backward, other, args, kwargs, places)
    chosen = by_number if not _agrees(by_name) and _agrees(by_number) else by_name
    names = [p.name for p in inspect.signature(backward).parameters.values()]
    what = "the result" if chosen is by_name else "the argument"
    chosen.note = f"{name_of(backward)}({', '.join(names)}) can be read in two ways: {', '.join(names[1:])} was taken for {what}"
    return chosen


def _other_reading(form: list[Any], args: Sequence[Any]) -> list[Any] | None:
    """`backward(g, z)` of one argument x: z may be the result, by its name, or the argument, by its place."""
    return ["g", "*"] if form == ["g", "out"] and len(args) == 1 else None


def _agrees(subject: Pair) -> bool:
    """Whether the gradient is right along one direction, as far as a difference tells."""
    random = np.random.default_rng(0)
    try:
        spot = Spot(subject, "", random)
    except (Skip, RuleFailed):
        return False
    row = Directions(spot.inputs, spot.scale, ()).random(random)
    found = central_derivatives(spot.function, spot.x, row[None], spot.g, spot.y, spot.eps)
    return bool(abs(float(spot.claimed @ row) - float(found.estimate[0])) <= float(found.bound[0]) + 1e-4 * float(found.size[0]))


def _form(forward: Callable[..., Any], backward: Callable[..., Any], inputs: list[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """What each positional parameter of `backward` stands for: by the parameters' names, else by their number."""
    count = len(args)
    try:
        parameters = [p for p in inspect.signature(backward).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    except (TypeError, ValueError):
        return ["g", "*"]
    rest = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if rest:
        return {0: ["*"], 1: ["g", "*"], 2: ["g", "out", "*"]}.get(len(names), ["g", *names[1:], "*"])
    required = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    by_name = _form_by_name(names, required, inputs[:count], kwargs)
    if by_name is not None:
        return by_name
    several = _several_results(forward, args, kwargs)
    match len(required) - count:
        case 1 if not (count == 1 and several and required[1] not in inputs):
            last = required[-1] in GRADIENTS and required[0] not in GRADIENTS
            return ["*", "g"] if last else ["g", "*"]
        case 2:
            return ["g", "out", "*"]
        case _ if len(required) == 1:
            return ["g"]
        case _ if len(required) == 2 and several:
            return ["g", "cache"]
        case 0 if not set(required) & GRADIENTS:
            return ["*"]  # makes a function of g
    wanted = ", ".join(inputs[:count])
    raise TypeError(
        f"gradcheck: {name_of(backward)}({', '.join(names)}) is no form of a backward pass that is known; write it as backward(g, {wanted}) "
        f"or backward(g, out, {wanted})"
    )


def _form_by_name(names: list[str], required: list[str], inputs: list[str], kwargs: Mapping[str, Any]) -> list[Any] | None:
    """The form if every required parameter has a telling name, and exactly one is the incoming gradient."""
    form: list[Any] = []
    seen_gradient = False
    for i, name in enumerate(names):
        if name in inputs and not (i == 0 and name in GRADIENTS and len(required) > len(inputs)):
            form.append(inputs.index(name))
        elif name in kwargs:
            form.append(name)
        elif (name in GRADIENTS or name.startswith("grad_")) and not seen_gradient:
            seen_gradient = True
            form.append("g")
        elif name in RESULTS:
            form.append("out")
        elif name in CACHES:
            form.append("cache")
        elif name in required:
            return None
        else:
            break
    makes_function = not seen_gradient and {"out", 0} & set(form) and len(form) >= len(inputs)
    return form if seen_gradient or makes_function else None


def _several_results(forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    result = forward(*[a.copy() if isinstance(a, np.ndarray) else a for a in args], **kwargs)
    return isinstance(result, tuple) and len(result) >= 2
