"""Whether operations are recorded: the one switch that every operation looks at.

The switch is a context variable, so each thread and each async task has its own, and leaving a `with` block
restores what was before, whatever was raised inside. Besides "recording" and "not recording" it can hold an
`Instrument`, which sees each node as it is recorded. That is how debugging modes cost nothing when off: the hot path
asks one question, "is the mode plain recording?", and asks it anyway.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from typing import Any, Self

__all__ = [
    "NOT_RECORDING",
    "RECORDING",
    "Instrument",
    "current_mode",
    "enable_grad",
    "instrumented",
    "is_grad_enabled",
    "no_grad",
    "observer",
    "scope",
]


class Instrument:
    """Sees every node that is recorded while it is the mode. Subclasses override what they need.

    guards_memory : fingerprint every saved array in full, with the user's line that saved it
    """

    guards_memory = False

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

_mode: ContextVar[Instrument] = ContextVar("autograd_core_mode", default=RECORDING)
current_mode = _mode.get


def _restore(tokens: list[Token[Instrument]]) -> None:
    """Take back the last of `tokens` that was taken here: one switch may be entered by several threads or tasks at a time."""
    for token in reversed(tokens):
        try:
            _mode.reset(token)
        except ValueError:  # of another context
            continue
        tokens.remove(token)
        return


class _ModeSwitch:
    """A context manager and decorator that sets the mode inside and restores it after."""

    _tokens: list[Token[Instrument]]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """`@no_grad` works without parentheses as well as with them."""
        switch = super().__new__(cls)
        switch._tokens = []
        return switch if function is None else switch(function)

    def _inside(self) -> Instrument:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._tokens.append(_mode.set(self._inside()))
        return self

    def __exit__(self, *exception: object) -> None:
        _restore(self._tokens)

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
        self._tokens: list[Token[Instrument]] = []

    def __enter__(self) -> Instrument:
        self._tokens.append(_mode.set(self.instrument))
        return self.instrument

    def __exit__(self, *exception: object) -> None:
        _restore(self._tokens)


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
