"""NumPy's inner loops, without NumPy around them: where they lie, and the few lines of C (loops.c) that run them one after the other.

A ufunc holds, for each signature of dtypes, a C function `loop(pointers, dims, steps, data)`: the fields `functions`, `data` and `types` of
`PyUFuncObject` in NumPy's public header. `np.add(a, b, out)` takes 400 ns to find one and 5 ns to run it. Called directly, with the
strides that the ufunc would have given it, it computes the same bits.

Nothing here is loaded before a function is compiled. Whatever is not as it has to be (no binary, another kind of Python, a ufunc that says
other things than its memory) is a `NoLoopsError` whose message is the sentence that people see.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autograd_core.compiling import loops_build

__all__ = ["OUT_OF_RANGE", "Loop", "NoLoopsError", "address_of", "loop_of", "mover", "own_loop", "runner"]

OUT_OF_RANGE = 1 << 16  # in what a run returns, as in loops.c
# Numbers without Python objects or units inside. Loops for these never need the interpreter's lock: NumPy releases it for them, too...
PLAIN_DTYPES = "?bBhHiIlLqQefdgFDG"
# ... but the integers of these take it back, to raise an error for a negative exponent.
RAISING: dict[np.ufunc, str] = {np.power: "bBhHiIlLqQ"}


class NoLoopsError(Exception):
    """The loops cannot be used here; the message says why."""


class Loop(NamedTuple):
    """A C function with the signature of ufuncs' inner loops, and what it is given as its last argument; addresses."""

    function: int
    data: int


class _Ufunc(ctypes.Structure):
    """The beginning of `PyUFuncObject`, as NumPy's header has it from 1.x to 2.4."""

    _fields_ = (
        ("head", ctypes.c_char * object.__basicsize__),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_char)),
    )


@functools.cache
def library() -> ctypes.CDLL:
    """The binary of loops.c. Raises NoLoopsError."""
    if platform.python_implementation() != "CPython":
        raise NoLoopsError(f"{platform.python_implementation()} keeps NumPy's ufuncs elsewhere than CPython")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise NoLoopsError("this is a free-threaded build of Python")
    if object.__basicsize__ != 2 * ctypes.sizeof(ctypes.c_void_p):
        raise NoLoopsError("this build of Python has objects of another shape")
    path = Path(__file__).with_name(loops_build.BINARY)
    if not path.exists():
        raise NoLoopsError(f"the loops were not compiled when autograd-core was installed ({path.name} is missing)")
    try:
        loaded = ctypes.CDLL(str(path))  # releases the interpreter's lock while it runs
        found = ctypes.c_uint.in_dll(loaded, "autograd_core_loops_digest").value
    except (OSError, ValueError) as error:
        raise NoLoopsError(f"the compiled loops could not be loaded: {error}") from error
    if found != loops_build.digest():
        raise NoLoopsError(f"{path.name} was compiled from another version of loops.c")
    return loaded


@functools.cache
def runner() -> Any:
    """`run(begin, end)` of loops.c, of two addresses. Returns the floating-point exceptions raised, and OUT_OF_RANGE."""
    run = library().autograd_core_run
    run.argtypes, run.restype = (ctypes.c_void_p, ctypes.c_void_p), ctypes.c_int
    return run


@functools.cache
def mover() -> Any:
    """`move(program, places, count, bytes)` of loops.c: adds to the words at these places."""
    move = library().autograd_core_move
    move.argtypes, move.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t), None
    return move


@functools.cache
def own_loop(name: str) -> int | None:
    """The address of one of the loops in loops.c."""
    function = getattr(library(), name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def address_of(array: np.ndarray[Any, Any]) -> int:
    """Where the first element lies."""
    address: int = array.__array_interface__["data"][0]
    return address


@functools.cache
def _memory_of(ufunc: np.ufunc) -> _Ufunc:
    memory = _Ufunc.from_address(id(ufunc))
    said = (ufunc.nin, ufunc.nout, ufunc.nargs, ufunc.ntypes, ufunc.__name__)
    found = (memory.nin, memory.nout, memory.nargs, memory.ntypes)
    if type(ufunc).__basicsize__ < ctypes.sizeof(_Ufunc) or found != said[:4] or memory.name.decode() != said[4]:
        raise NoLoopsError(f"NumPy {np.__version__} keeps its ufuncs' loops elsewhere: {said} was found to be {found}")
    return memory


@functools.cache
def loop_of(ufunc: np.ufunc, dtypes: tuple[np.dtype[Any], ...]) -> Loop | None:
    """The ufunc's own loop for these dtypes, inputs first, if it has one for exactly them that needs no Python."""
    if not all(dtype.isnative and dtype.char in PLAIN_DTYPES for dtype in dtypes):
        return None
    if any(dtype.char in RAISING.get(ufunc, "") for dtype in dtypes):
        return None
    signature = "".join(dtype.char for dtype in dtypes)
    memory = _memory_of(ufunc)
    for index, text in enumerate(ufunc.types):
        if text.replace("->", "") == signature:
            numbers = tuple(memory.types[index * ufunc.nargs + i][0] for i in range(ufunc.nargs))
            if numbers != tuple(dtype.num for dtype in dtypes):
                raise NoLoopsError(f"NumPy {np.__version__} keeps its ufuncs' loops elsewhere: {ufunc.__name__} {text} has types {numbers}")
            function, data = memory.functions[index], memory.data[index] if memory.data else None
            return Loop(function, data or 0) if function else None
    return None


def resolved(ufunc: np.ufunc, kinds: Sequence[Any]) -> tuple[np.dtype[Any], ...] | None:
    """The dtypes that a call computes in: `kinds` are dtypes, or the types int, float, complex for Python numbers; None for outputs."""
    try:
        return ufunc.resolve_dtypes(tuple(kinds))
    except TypeError:
        return None
