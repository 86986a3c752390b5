"""`ag.compile`: a function that is recorded at its first two calls, and replayed from the third on.

For each signature (what the arguments are like) there are a few variants, each a program for one way through the function. A call
runs the variant that was run last; if that departs (a decision is another one), it tries the others, and if none fits the call is
recorded. What cannot be replayed is called as it is, and says so once: `f.why()`.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.compiling.as_python import Departed
from autograd_core.compiling.effects import Effect
from autograd_core.compiling.program import Program, layout_of
from autograd_core.compiling.recording import Difference, Recording, difference, escaped, leaves_of, mark_held, rebuilt, recorded
from autograd_core.compiling.replay import Given, Snapshot, Variant
from autograd_core.compiling.surroundings import Surroundings
from autograd_core.compiling.tracing import Departure
from autograd_core.compiling.watching import is_being_recorded
from autograd_core.tape.mode import NOT_RECORDING, RECORDING, current_mode, enable_grad
from autograd_core.tape.node import Leaf
from autograd_core.tensor.backward import partial_gradients
from autograd_core.tensor.calls import variable
from autograd_core.tensor.handles import Handle, raw

__all__ = ["CompileWarning", "Compiled", "compile"]

# What may run programs besides Python (as_python.py), the first that can: (the parts of a variant) -> a back-end, or None.
BACKENDS: list[Callable[..., Any]] = []
MOST_VARIANTS = 8
MOST_RECORDINGS = 24
_recording_lock = threading.Lock()  # one function at a time is recorded


class CompileWarning(UserWarning):
    """Says that a function which was compiled is called as it is, and why."""


class _Unknown(Exception):
    """An argument that no signature can be made of."""


class _Transparent(Exception):
    """An argument for which the function has to be called itself, as in a transform: nothing that anybody has to be told."""


class _Signature:
    """The programs for one kind of arguments."""

    def __init__(self) -> None:
        self.variants: list[Variant] = []
        self.pending: list[tuple[Recording, Surroundings]] = []
        self.recordings = 0
        self.mismatches = 0
        self.refusal: str | None = None
        self.lock = threading.RLock()


class Compiled:
    """A function under `ag.compile`; see there.

    programs  the programs that have been made, each printable
    """

    def __init__(self, function: Callable[..., Any], check: bool = False) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.check = check
        self._signatures: dict[Any, _Signature] = {}
        self._story: list[str] = []
        self._has_warned = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "function":
            raise AttributeError(name)
        return getattr(self.function, name)  # a module's parameters(), train(), ...

    def __repr__(self) -> str:
        return f"<compiled {getattr(self.function, '__name__', self.function)!s}>"

    @property
    def programs(self) -> list[Program]:
        """The programs that have been made."""
        return [variant.program for signature in self._signatures.values() for variant in signature.variants]

    def why(self) -> str:
        """What was recorded and replayed, and why what was not."""
        lines = list(self._story)
        for signature in self._signatures.values():
            lines += [f"a program of {len(v.program.instructions)} calls: run {v.runs} times" for v in signature.variants]
        return "\n".join(lines) or "not called yet"

    # --- a call ----------------------------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = current_mode()
        if (mode is not RECORDING and mode is not NOT_RECORDING) or is_being_recorded():
            return self.function(*args, **kwargs)
        leaves = list(leaves_of((args, kwargs))) if kwargs or any(isinstance(a, tuple | list | dict) for a in args) else list(args)
        try:
            key = (len(args), *kwargs, mode is RECORDING, *map(_key_of, leaves), *_repeated(leaves), *_nests((args, kwargs)))
            signature = self._signatures.get(key)
        except _Transparent:
            return self.function(*args, **kwargs)
        except (_Unknown, TypeError) as error:
            self._tell(f"called as it is: {error}")
            return self.function(*args, **kwargs)
        if signature is None:
            signature = self._signatures.setdefault(key, _Signature())
        if signature.refusal is not None or not _errors_are_silent():
            return self.function(*args, **kwargs)
        with signature.lock:
            for variant in signature.variants:
                if variant.surroundings.changed() is not None:
                    continue
                tensors = variant.bind(leaves)
                if tensors is None:
                    continue
                if self.check:
                    return self._checked(variant, leaves, tensors, args, kwargs)
                try:
                    result = variant.run(leaves, tensors, self._again(args, kwargs, leaves, variant))
                except Given as given:
                    if not isinstance(given.__cause__, Departed):
                        return self.function(*args, **kwargs)
                    self._note(f"left a program: {given.__cause__}")
                    continue
                if variant is not signature.variants[0]:
                    signature.variants.remove(variant)
                    signature.variants.insert(0, variant)
                return result
            return self._record(signature, args, kwargs, leaves)

    def _note(self, text: str) -> None:
        if len(self._story) < 100:
            self._story.append(text)

    def _tell(self, text: str) -> None:
        """Say once that a function is called as it is."""
        if text not in self._story:
            self._note(text)
        if not self._has_warned:
            self._has_warned = True
            name = getattr(self.function, "__name__", type(self.function).__name__)
            warnings.warn(f"ag.compile: {name} is not replayed but {text}", CompileWarning, stacklevel=6)

    # --- recording --------------------------------------------------------------------------------------------------------------------

    def _record(self, signature: _Signature, args: Any, kwargs: Any, leaves: list[Any]) -> Any:
        if not _recording_lock.acquire(blocking=False):
            return self.function(*args, **kwargs)  # another one is being recorded: at the next call
        try:
            return self._recorded(signature, args, kwargs, leaves)
        finally:
            _recording_lock.release()

    def _recorded(self, signature: _Signature, args: Any, kwargs: Any, leaves: list[Any]) -> Any:
        if len(signature.variants) >= MOST_VARIANTS:
            signature.variants.pop()
        if signature.recordings >= MOST_RECORDINGS + sum(v.runs for v in signature.variants) // 10:
            self._refuse(signature, f"called as it is: its decisions or surroundings differ from call to call ({self._last_departure()})")
            return self.function(*args, **kwargs)
        signature.recordings += 1
        surroundings = Surroundings(self.function)
        snapshot = Snapshot(leaves, [known for known, _ in signature.pending])
        names = [f"argument {i}" for i in range(len(leaves))]
        probe: list[Any] = []
        try:
            result, tracked, recording = recorded(self.function, args, kwargs, names, probe)
        except Departure as departure:
            if probe and probe[0].has_stepped_out:
                raise RuntimeError(
                    f"ag.compile: it cannot be recorded ({departure}), and what it has done so far cannot be undone; call it without ag.compile"
                ) from None
            self._refuse(signature, f"called as it is: {departure}")
            return self.function(*args, **kwargs)
        except Exception as error:
            if probe and probe[0].has_stepped_out:
                raise
            self._note(f"called as it is: while it was recorded, it raised {type(error).__name__}: {error}")
            signature.recordings += 1
            return self.function(*args, **kwargs)
        mark_held(recording.program)
        changed = surroundings.changed()
        kept = escaped(probe[1], probe[0], [leaf for leaf in leaves_of(result) if isinstance(leaf, Handle)], recording)
        probe.clear()
        if tracked:
            variant = Variant(recording, surroundings, self.function, shorten=False)
            variant.give_history(tracked, leaves, self._again(args, kwargs, leaves, variant))
        recording.alive.clear()
        if recording.refusal is not None:
            self._refuse(signature, f"called as it is: {recording.refusal}")
        elif kept is not None:
            self._refuse(signature, f"called as it is: it keeps {kept}")
        elif changed is not None:
            self._refuse(signature, f"called as it is: it changes {changed}, which it refers to; make that an argument and a result")
        else:
            self._compare(signature, recording, surroundings, snapshot, leaves)
        return result

    def _last_departure(self) -> str:
        return next((line for line in reversed(self._story) if line.startswith(("left", "recorded"))), "")

    def _refuse(self, signature: _Signature, text: str) -> None:
        signature.refusal = text
        signature.variants.clear()
        signature.pending.clear()
        self._tell(text)

    def _compare(self, signature: _Signature, recording: Recording, surroundings: Surroundings, snapshot: Snapshot, leaves: list[Any]) -> None:
        """Make a variant, if a recording is like an earlier one."""
        for other in signature.variants:
            if other.bound and other.surroundings.changed() is None and difference(other.recording, recording) is None:
                other.bind_to(recording)  # an argument may be another tensor than always so far
                return
        differences = []
        for known, around in reversed(signature.pending):
            if around.changed() is not None:
                differences.append(Difference("path", "what it refers to has changed"))
                continue
            found = difference(known, recording)
            if found is None:
                arrays = snapshot.arrays(recording)
                if arrays is None:
                    break  # it met a tensor that was not known before: it is to be recorded once more
                variant = Variant(recording, surroundings, self.function)
                failure = variant.rehearse(arrays, leaves)
                if failure is None:
                    self._choose_backend(variant, arrays, leaves)
                    variant.bind_to(known)
                    signature.variants.insert(0, variant)
                    signature.pending.remove((known, around))
                    variant.settle()
                    self._note(f"recorded twice: {len(recording.program.instructions)} calls")
                else:
                    self._refuse(signature, f"called as it is: replayed on what it was recorded with, {failure}")
                return
            differences.append(found)
        hidden = next((d for d in differences if d.kind == "value"), None)
        if hidden is not None and differences[0].kind == "value":
            self._refuse(signature, f"called as it is: between two calls there was a difference that no argument tells of: {hidden.text}")
            return
        if differences:
            signature.mismatches += differences[0].kind == "structure"
            self._note(f"recorded otherwise: {differences[0].text}")
            if signature.mismatches > 3:
                self._refuse(signature, f"called as it is: it does not make the same calls each time: {differences[0].text}")
                return
        recording.values.clear()
        signature.pending.append((recording, surroundings))
        if len(signature.pending) > MOST_VARIANTS:
            signature.pending.pop(0)

    def _choose_backend(self, variant: Variant, arrays: list[Any], leaves: list[Any]) -> None:
        """Let another back-end run a variant, if there is one that can and that gives the same in the rehearsal."""
        for make in BACKENDS:
            other = make(*variant.parts)
            if other is None:
                continue
            variant.backend = other
            failure = variant.rehearse(arrays, leaves)
            if failure is None:
                return
            variant.backend = variant.recorder
            self._note(f"run by NumPy's functions: by {other.name}, {failure}")

    # --- gradients of gradients ---------------------------------------------------------------------------------------------------------

    def _again(self, args: Any, kwargs: Any, leaves: list[Any], variant: Variant) -> Callable[..., Any]:
        """What calls the function once more, on the tape: for a pass that is recorded itself, or decides otherwise."""

        def again(gs: list[Any], inputs: list[Any], departed: Departed | None) -> list[Any]:
            return gradients_again(self.function, args, kwargs, variant.recording, gs, inputs, departed)

        return again

    # --- both -----------------------------------------------------------------------------------------------------------------------------

    def _checked(self, variant: Variant, leaves: list[Any], tensors: list[Any], args: Any, kwargs: Any) -> Any:
        """The result of the function itself, after a run of its program on copies has given the same."""
        if variant.recording.stepped_out:
            self._note("not checked: it calls functions that are untraced")
            return self.function(*args, **kwargs)
        trial = variant.trial(leaves, tensors)
        result = self.function(*args, **kwargs)
        wrong = trial.compared(result, leaves, tensors)
        if wrong is not None:
            raise RuntimeError(f"ag.compile(check=True): a run of the program differs from the function: {wrong}")
        return result


def gradients_again(
    function: Any, args: Any, kwargs: Any, recording: Recording, gs: list[Any], inputs: list[Any], departed: Departed | None
) -> list[Any]:
    """The gradients by the function itself, called once more with the tensors `inputs` in place of the arguments with gradients."""
    why = f"a decision in its backward pass ({departed})" if departed else "gradients of gradients"
    if recording.assigned or recording.grads or recording.stepped_out or any(isinstance(i.function, Effect) for i in recording.program.instructions):
        raise RuntimeError(
            f"ag.compile: for {why} the function has to be called once more, and this one draws random numbers or writes to tensors; "
            "call it without ag.compile, or compile the function that contains the backward pass too"
        )
    recorded = any(isinstance(g, Handle) for g in gs)
    if not recorded:
        inputs = [variable(x) for x in inputs]
    places: dict[int, Any] = {}
    nodes = []
    for place, given in zip(recording.wanted, inputs, strict=True):
        outside = recording.outside[place]
        is_argument = outside.name.startswith("argument ")
        if is_argument:
            places[int(outside.name.split()[1])] = given
        elif not np.array_equal(outside.handle._array, raw(given), equal_nan=True):
            raise RuntimeError(
                f"ag.compile: for {why} the function has to be called once more, and {outside.name}, which it refers to, was changed since; "
                "change it after backward()"
            )
        nodes.append(given.node if is_argument else outside.handle.node)
    counter = iter(range(10**9))
    new_args, new_kwargs = rebuilt((args, kwargs), lambda leaf: places.get(next(counter), leaf))
    with enable_grad():
        result = function(*new_args, **new_kwargs)
        outputs = {id(leaf): leaf for leaf in leaves_of(result) if isinstance(leaf, Handle) and leaf.node is not None}
        used = [(t, g) for t, g in zip(outputs.values(), gs, strict=True) if g is not None]
        found: list[Any] = partial_gradients([t for t, _ in used], nodes, [g for _, g in used], create_graph=recorded)
    return found


def _errors_are_silent() -> bool:
    """Whether NumPy is not asked to raise, or to call a function, at floating-point errors, which programs do not."""
    return not {"raise", "call", "log", "print"} & set(np.geterr().values())


# --- signatures -----------------------------------------------------------------------------------------------------------------------------

_STATIC = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, slice, type(Ellipsis), type)


def _key_of(leaf: Any) -> Any:
    """What of an argument a program depends on."""
    if isinstance(leaf, Handle):
        array = leaf._array
        if type(array) is not ndarray and not isinstance(array, np.generic):
            raise _Transparent
        node = leaf.node
        if node is not None and node.watchers is not None and isinstance(node, Leaf):
            raise _Transparent
        return type(leaf), layout_of(array), 0 if node is None else 1 if isinstance(node, Leaf) else 2
    kind = type(leaf)
    if kind is ndarray:
        if leaf.dtype.hasobject:
            raise _Unknown("an array of Python objects")
        return layout_of(leaf)
    if isinstance(leaf, float | complex):
        return kind, repr(leaf)
    if isinstance(leaf, np.generic):
        return kind, leaf.tobytes()
    if isinstance(leaf, slice):
        return slice, leaf.start, leaf.stop, leaf.step
    if isinstance(leaf, _STATIC):
        return kind, leaf
    if isinstance(leaf, ndarray) or hasattr(kind, "__array__"):
        raise _Unknown(f"an argument is a {kind.__name__}, which is no array of NumPy's and no tensor")
    return kind, _Identity(leaf)


class _Identity:
    """An object as a key: itself."""

    __slots__ = ("of",)

    def __init__(self, of: Any) -> None:
        self.of = of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.of is self.of

    def __hash__(self) -> int:
        return id(self.of)


def _repeated(leaves: Sequence[Any]) -> tuple[int, ...]:
    """Which arguments are one array or tensor: for each, the place where it comes first, if any comes again."""
    first: dict[int, int] = {}
    places = tuple(first.setdefault(id(leaf), i) for i, leaf in enumerate(leaves) if isinstance(leaf, Handle | ndarray))
    return places if len(first) < len(places) else ()


def _nests(values: Any) -> tuple[Any, ...]:
    """How the arguments are nested, if they are."""
    args, kwargs = values
    if not any(isinstance(a, tuple | list | dict) for a in (*args, *kwargs.values())):
        return ()
    return (_shape_of(args), _shape_of(kwargs))


def _shape_of(values: Any) -> Any:
    if isinstance(values, tuple | list):
        return type(values), tuple(map(_shape_of, values))
    if type(values) is dict:
        return tuple((key, _shape_of(value)) for key, value in values.items())
    return None


def compile(function: Callable[..., Any] | None = None, *, check: bool = False) -> Any:  # noqa: A001
    """`function`, replayed: its first two calls with arguments of one kind are recorded, from the third on its NumPy calls are run from a list.

    What it gives is the same to the bit, and so are gradients: of tensors that it is given, and of those that it refers to. Branches
    and numbers that leave are guarded; what cannot be replayed is called as it is, and says so once (a `CompileWarning`, and `why()`).

    function  of tensors, arrays, and nests of them; a module, or a whole training step (forward, backward, an optimizer's step)
    check     run both at each call, and compare
    returns   the function, with `programs` and `why()`; without `function`: a decorator

    >>> import numpy as np, autograd_core as ag
    >>> @ag.compile
    ... def loss(w, x):
    ...     return (np.tanh(x @ w) ** 2).sum()
    >>> w, x = ag.tensor(np.ones(3), requires_grad=True), np.ones((2, 3))
    >>> for _ in range(4):
    ...     y = loss(w, x)
    >>> y.backward(); y.shape, w.grad.shape, len(loss.programs)
    ((), (3,), 1)
    """
    if function is None:
        return lambda f: Compiled(f, check)
    return Compiled(function, check)


compile.backend = "python"  # type: ignore[attr-defined]  # what runs programs, to be looked at
