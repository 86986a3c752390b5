"""Whether operations are recorded: the one switch that every operation looks at.

The switch is a context variable, so each thread and each async task has its own, and leaving a `with` block
restores what was before, whatever was raised inside. Besides "recording" and "not recording" it can hold an
`Instrument`, which sees each node as it is recorded. That is how debugging modes cost nothing when off: the hot path
asks one question, "is the mode plain recording?", and asks it anyway.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token, copy_context
from typing import Any, Self

import numpy as np

__all__ = [
    "NOT_RECORDING",
    "RECORDING",
    "Follower",
    "Instrument",
    "current_mode",
    "enable_grad",
    "follower",
    "instrumented",
    "is_grad_enabled",
    "no_grad",
    "observer",
    "raw_mode",
    "recording_in_full",
    "scope",
    "set_for_good",
    "silence_numpy_for_good",
]


class Instrument:
    """Sees every node that is recorded while it is the mode. Subclasses override what they need.

    guards_memory  : fingerprint every saved array in full, with the user's line that saved it
    silences_numpy : compute operations without NumPy's warnings of overflow, division by zero, ...
    """

    guards_memory = False
    silences_numpy = False

    def line(self) -> str | None:
        """Where in the user's code the operation is being recorded."""
        return None

    def computing(self, op: Any, parents: list[Any]) -> None:
        """Called before the forward computation of `op`, whose tracked arguments have the nodes `parents`."""

    def recorded(self, node: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], value: Any) -> None:
        """Called after `node` was recorded, with the raw arguments and the raw value of its operation."""

    def failed(self, op: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], error: BaseException) -> None:
        """Called when the forward computation of `op` raised."""

    def sweeping(self, node: Any, gradient: Any) -> None:
        """Called in the backward pass before `node`'s rules run, with the gradient of its result."""

    def swept(self, node: Any, parent: Any, gradient: Any, contribution: Any) -> None:
        """Called in the backward pass after `node`'s rule turned `gradient` into `contribution` for `parent`.

        Where a rule adds in place to what the parent has (indexing), `contribution` is the sum.
        """

    def scope(self, of: Any, arguments: tuple[Any, ...] = ()) -> AbstractContextManager[Any]:
        """Around a named part of the program: a module's call with its arguments, or an `ag.scope` with its name."""
        return nullcontext()


RECORDING = Instrument()
NOT_RECORDING = Instrument()

# What is set while a switch is on is a `_Switched`; where none is, RECORDING itself, which the hot path asks for with `is`.
_mode: ContextVar[Any] = ContextVar("autograd_core_mode", default=RECORDING)
raw_mode = _mode.get


class _Switched:
    """The mode inside a `with` block, good for as long as the block runs.

    An interrupt may arrive at any line, also at the first one of `__exit__`, which then restores nothing. But a block that is over
    has let go of its switch, so a dead switch tells that this mode has ended. One that was left properly is pinned: a context that
    was copied inside the block (an async task, say) keeps the mode that it was started in.
    """

    __slots__ = ("is_pinned", "mode", "outer", "switch")

    def __init__(self, mode: Instrument, outer: Any, switch: Any) -> None:
        self.mode = mode
        self.outer = outer
        self.switch = weakref.ref(switch)
        self.is_pinned = False

    def is_alive(self) -> bool:
        return self.is_pinned or self.switch() is not None


def current_mode() -> Instrument:
    """RECORDING, NOT_RECORDING or the instrument that is on."""
    found: Any = raw_mode()
    if type(found) is not _Switched:
        return found
    if not found.is_alive():
        while type(found) is _Switched and not found.is_alive():
            found = found.outer
        _mode.set(found)  # else what interrupted blocks left would pile up
    return found.mode if type(found) is _Switched else found


def set_for_good(mode: Instrument) -> None:
    """Set the mode in this context, with nothing to restore it: for a context that was copied to run one function in (`Context.run`)."""
    _mode.set(mode if _follower.get() is None else _in_full(mode))


class Follower:
    """Who follows a function that is recorded to be replayed (compiling/): is told what the arrays in it do not tell by themselves."""

    def note_copy(self, copy: Any, array: Any) -> None:
        """Called for each copy of a user's array that a node saves."""

    def rule(self, pull: Callable[[Any, Any], Any], g: Any, links: tuple[Any, ...]) -> Any:
        """`pull(g, links)` of an operation written in Python, whose rules may look at the class of what they are given; or NotImplemented."""


_follower: ContextVar[Follower | None] = ContextVar("autograd_core_follower", default=None)
follower = _follower.get


def _in_full(mode: Instrument) -> Any:
    """`mode`, which the short ways of frequent calls do not know again: each call goes the long way, on which it can be followed."""
    return _Switched(mode, RECORDING, _forever)


class recording_in_full:
    """Inside, each operation is recorded the long way, and the follower is told of it."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower

    def __enter__(self) -> None:
        self._tokens = _follower.set(self.follower), _mode.set(_in_full(current_mode()))

    def __exit__(self, *exception: object) -> None:
        before, mode = self._tokens
        _mode.reset(mode)
        _follower.reset(before)


def _forever() -> None:
    """A switch that no block has."""


@functools.cache
def _numpy_quiet() -> tuple[ContextVar[Any], Any] | None:
    """The context variable in which NumPy keeps its error state, and its value where nothing is reported."""
    context = copy_context()
    context.run(np.seterr, all="ignore")
    return next(((variable, value) for variable, value in context.items() if variable.name == "numpy.ufunc.extobj"), None)


def silence_numpy_for_good() -> None:
    """np.seterr(all="ignore") in this context, likewise with nothing to restore it; in a tenth of its time."""
    quiet = _numpy_quiet()
    if quiet is None:
        np.seterr(all="ignore")
    else:
        quiet[0].set(quiet[1])


class _Entered:
    """What a switch has to take back: it may be entered by several threads or tasks at a time, and again inside itself."""

    __slots__ = ("_entered",)

    def __init__(self) -> None:
        self._entered: list[tuple[Token[Any], Any]] = []

    def enter(self, switch: Any, mode: Instrument) -> None:
        """Set `mode` for as long as the block of `switch` runs."""
        # RECORDING as it is: the hot path shall know it again, and what a lost `__exit__` leaves of it ends with the next block outside.
        switched = mode if mode is RECORDING and _follower.get() is None else _Switched(mode, raw_mode(), switch)
        self._entered.append((_mode.set(switched), switched))

    def leave(self) -> None:
        """Take back what was entered last in this context."""
        for entry in reversed(self._entered):
            token, switched = entry
            try:
                _mode.reset(token)
            except ValueError:  # of another context
                continue
            if switched is not RECORDING:
                switched.is_pinned = True
            self._entered.remove(entry)
            return


class _ModeSwitch:
    """A context manager and decorator that sets the mode inside and restores it after."""

    _entered: _Entered

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """`@no_grad` works without parentheses as well as with them."""
        switch = super().__new__(cls)
        switch._entered = _Entered()
        return switch if function is None else switch(function)

    def _inside(self) -> Instrument:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._entered.enter(self, self._inside())
        return self

    def __exit__(self, *exception: object) -> None:
        self._entered.leave()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        again = type(self)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def switched_coroutine(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return await function(*args, **kwargs)

            return switched_coroutine
        if inspect.isgeneratorfunction(function):
            return _switched_generator(function, again)
        if inspect.isasyncgenfunction(function):
            return _switched_async_generator(function, again)

        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return switched


def _switched_generator(function: Callable[..., Any], switch: Callable[[], Any]) -> Callable[..., Any]:
    """Run each step of a generator under the switch; a plain `with` would leak the mode to the caller at `yield`."""

    @functools.wraps(function)
    def switched(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        step: Callable[..., Any] = generator.send
        sent: tuple[Any, ...] = (None,)
        while True:
            try:
                with switch():
                    value = step(*sent)
            except StopIteration as stop:
                return stop.value
            try:
                received = yield value
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is handed on to the generator, whatever it is
                step, sent = generator.throw, (error,)
            else:
                step, sent = generator.send, (received,)

    return switched


def _switched_async_generator(function: Callable[..., Any], switch: Callable[[], Any]) -> Callable[..., Any]:
    """The same for an asynchronous generator."""

    @functools.wraps(function)
    async def switched(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        step: Callable[..., Any] = generator.asend
        sent: tuple[Any, ...] = (None,)
        while True:
            try:
                with switch():
                    value = await step(*sent)
            except StopAsyncIteration:
                return
            try:
                received = yield value
            except GeneratorExit:
                await generator.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - it is handed on to the generator, whatever it is
                step, sent = generator.athrow, (error,)
            else:
                step, sent = generator.asend, (received,)

    return switched


class no_grad(_ModeSwitch):
    """Nothing is recorded inside: results are untracked. A context manager and a decorator.

    >>> import autograd_core as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def _inside(self) -> Instrument:
        return NOT_RECORDING


class enable_grad(_ModeSwitch):
    """Operations are recorded inside, also within `no_grad`. A context manager and a decorator.

    An instrument (anomaly detection, profiling) that is on stays on.

    >>> import autograd_core as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.no_grad(), ag.enable_grad():
    ...     (x * 2).requires_grad
    True
    """

    def _inside(self) -> Instrument:
        mode = current_mode()
        return RECORDING if mode is NOT_RECORDING else mode


class instrumented:
    """`with instrumented(instrument):` the instrument sees every node recorded inside."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._entered = _Entered()

    def __enter__(self) -> Instrument:
        self._entered.enter(self, self.instrument)
        return self.instrument

    def __exit__(self, *exception: object) -> None:
        self._entered.leave()


def observer() -> Instrument | None:
    """The instrument that is on (`ag.record`, anomaly detection, ...), or None: what a module asks when it is called.

    If there is one, the call belongs between `with observer.scope(module, args):`, so that pictures can name the module.

    >>> import autograd_core as ag
    >>> ag.observer() is None
    True
    """
    mode = current_mode()
    return None if mode is RECORDING or mode is NOT_RECORDING else mode


def scope(name: str) -> AbstractContextManager[Any]:
    """Name a part of the program: pictures and profiles show what is recorded inside as one box. Free when nobody looks.

    >>> import autograd_core as ag
    >>> with ag.scope("attention"):
    ...     pass
    """
    mode = current_mode()
    return nullcontext() if mode is RECORDING or mode is NOT_RECORDING else mode.scope(name)


def is_grad_enabled() -> bool:
    """True where operations on tracked tensors are recorded, False inside `no_grad`.

    >>> import autograd_core as ag
    >>> ag.is_grad_enabled()
    True
    """
    return current_mode() is not NOT_RECORDING
