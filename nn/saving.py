"""Weights in files: the safetensors format, which holds named arrays and nothing that could run.

A file appears whole or not at all: it is written beside its place and renamed, so that a crash leaves the old one.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nn import safetensors_format
from nn.state import plain_array

__all__ = ["load", "replacing", "save"]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to; at the end of the block that file takes the place of `path`.

    It stands in the same folder and has the same suffix. If the block raises (or is interrupted), it is removed, and `path`
    is as it was. What a process that was killed has left is removed by the next one that writes the same file.
    """
    path = Path(path)
    _sweep(path)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        # On disk before the rename is: a power cut must not leave the name on an empty file.
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove temporary files for `path` of processes that are no more."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}-(\d+)-[0-9a-f]{{8}}{re.escape(path.suffix)}")
    for name in os.listdir(path.parent) if path.parent.is_dir() else ():
        match = pattern.fullmatch(name)
        if match and not _is_running(int(match[1])):
            path.with_name(name).unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # there is no question that does no harm
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def save(state: Any, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays to a .safetensors file, which other frameworks can read.

    state     a module, whose parameters and persistent buffers are written under their dotted names; or a dict name -> tensor or array, such
              as a `state_dict`. What else a run needs, optimizers above all, goes into a file with `nn.save_checkpoint`
    metadata  short texts to keep with them
    raises    TypeError naming an entry that is no array, or whose dtype the format does not have
    """
    if isinstance(state, str | os.PathLike):
        raise TypeError(f"save: what is saved comes first, then the path: nn.save(model, {os.fspath(state)!r})")
    if hasattr(state, "state_dict"):
        state = state.state_dict()
    if not isinstance(state, Mapping):
        raise TypeError(f"save: give a module or a dict of arrays, such as model.state_dict(), not {type(state).__name__}")
    arrays = {}
    for name, value in state.items():
        if not isinstance(name, str) or isinstance(value, Mapping | list | tuple | str) or value is None:
            raise TypeError(f"save: {name!r} is no array but a {type(value).__name__}; states of optimizers and the like are for nn.save_checkpoint")
        array = np.asarray(plain_array(value), order="C")
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > 8:
            raise TypeError(f"save: {name} has dtype {array.dtype}, which safetensors files cannot hold")
        arrays[name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    with replacing(path) as temporary:
        safetensors_format.write(temporary, arrays, metadata or {})


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of a .safetensors file by name: what `load_state_dict` takes. bfloat16 and float8 become float32, which holds all their values.

    raises  FileNotFoundError, or nn.DamagedFileError if the file is no such file or is damaged
    """
    return read(path)[0]


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays and the metadata of a .safetensors file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"load: there is no file {os.fspath(path)!r}")
    return safetensors_format.read(path)
