"""Weights in files: the safetensors format, which holds named arrays and nothing that could run.

A file appears whole or not at all: it is written beside its place and renamed, so that a crash leaves the old one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nn.state import plain_array

__all__ = ["load", "replacing", "save"]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to; at the end of the block that file takes the place of `path`.

    It stands in the same folder and has the same suffix. If the block raises (or is interrupted), it is removed, and `path`
    is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        # On disk before the rename is: a power cut must not leave the name on an empty file.
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'saving and loading weights needs the package safetensors: pip install "autograd-core[demo]"', name="safetensors"
        ) from None
    return safetensors


def save(state: Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays, such as a `state_dict`, to a .safetensors file, which other frameworks can read.

    state     name -> tensor or array
    metadata  short texts to keep with them
    raises    TypeError naming an entry whose dtype the format does not have
    """
    format_ = _safetensors()
    arrays = {}
    for name, value in state.items():
        array = np.asarray(plain_array(value), order="C")
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > 8:
            raise TypeError(f"save: {name} has dtype {array.dtype}, which safetensors files cannot hold")
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    content = format_.numpy.save(arrays, dict(metadata) if metadata else None)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of a .safetensors file by name: what `load_state_dict` takes.

    raises  FileNotFoundError, or ValueError if the file is no such file or is damaged
    """
    return read(path)[0]


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays and the metadata of a .safetensors file."""
    format_ = _safetensors()
    if not Path(path).is_file():
        raise FileNotFoundError(f"load: there is no file {os.fspath(path)!r}")
    try:
        with format_.safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            return {name: file.get_tensor(name) for name in file.keys()}, dict(metadata)  # noqa: SIM118  not a dict
    except format_.SafetensorError as error:
        raise ValueError(f"load: {os.fspath(path)!r} is no safetensors file, or is damaged: {error}") from None
