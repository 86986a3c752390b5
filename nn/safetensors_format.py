"""The safetensors format: a length, a header in JSON, and the arrays one after the other. Nothing in it can run.

    8 bytes          length of the header, little-endian
    header           {name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, "__metadata__": {text: text}}
    the rest         the arrays, in C order, little-endian, without gaps

Everything is checked before it is believed: a file may be cut off, damaged or made to do harm. Files of ours have a checksum of the
arrays among the metadata, since a damaged number looks like any other. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = ["DamagedFileError", "mapped", "read", "write"]

DTYPES = {
    "BOOL": "bool",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "C64": "<c8",
}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
LONGEST_HEADER = 100_000_000  # bytes, as in other readers
CHECKSUM = "crc32"
CHUNK = 1 << 24  # bytes


class DamagedFileError(ValueError):
    """A file that cannot be read: it is damaged, of another kind, or holds something that has no place here.

    path     of the file
    problem  what is wrong
    where    in which part of it
    """

    def __init__(self, path: str | os.PathLike[str], problem: str, where: str = "") -> None:
        super().__init__(path, problem, where)
        self.path = os.fspath(path)
        self.problem = problem
        self.where = where

    def __str__(self) -> str:
        return f"{self.path!r} cannot be read: {f'{self.where}: ' if self.where else ''}{self.problem}"


# --- numbers that NumPy does not have, each of which is one of float32 too ------------------------------------------------------------


def _from_bfloat16(bits: Any) -> Any:
    return (bits.astype(np.uint32) << 16).view(np.float32)  # the upper half of a float32


def _from_float8_e5m2(bits: Any) -> Any:
    return (bits.astype(np.uint16) << 8).view(np.float16).astype(np.float32)  # the upper half of a float16


def _from_float8_e4m3(bits: Any) -> Any:
    exponent, fraction = (bits >> 3) & 15, bits & 7
    size = np.where(exponent == 0, np.ldexp(fraction / 8, -6), np.ldexp(1 + fraction / 8, exponent.astype(int) - 7))
    size = np.where(bits & 127 == 127, np.nan, size)
    return np.where(bits >> 7, -size, size).astype(np.float32)


WIDENED = {"BF16": ("<u2", _from_bfloat16), "F8_E5M2": ("u1", _from_float8_e5m2), "F8_E4M3": ("u1", _from_float8_e4m3)}


# --- writing --------------------------------------------------------------------------------------------------------------------------


def write(path: Path, arrays: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write arrays, whose dtypes are in `NAMES`, to a file."""
    end = 0
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    header |= {name: {} for name in arrays}  # in the order given
    # The largest items first, so that each array begins at a multiple of its items' size.
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    checksum = 0
    for name in order:
        array = arrays[name]
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
        checksum = zlib.crc32(_bytes_of(array), checksum)
    header["__metadata__"][CHECKSUM] = f"{checksum:08x}"
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(_bytes_of(arrays[name]))


def _bytes_of(array: Any) -> Any:
    return array.reshape(-1).view(np.uint8)


# --- reading --------------------------------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays and the metadata of a file; DamagedFileError if it has none."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header, metadata, start = _header_of(path, file, size)
        entries = dict(_checked_entries(path, header, size - start))
        arrays: dict[str, Any] = dict.fromkeys(entries)
        checksum = 0
        for name in sorted(entries, key=lambda name: entries[name][2]):
            kind, shape, _ = entries[name]
            dtype, widen = WIDENED.get(kind) or (DTYPES[kind], None)
            array = np.empty(shape, dtype)
            if array.size and file.readinto(_bytes_of(array)) != array.nbytes:
                raise DamagedFileError(path, "the file ends too early; was it being written?", f"array {name!r}")
            checksum = zlib.crc32(_bytes_of(array), checksum)
            arrays[name] = array if widen is None else widen(array)
    expected = metadata.pop(CHECKSUM, None)
    if expected is not None and expected != f"{checksum:08x}":
        raise DamagedFileError(path, "the numbers are not those that were written (their checksum is another one)", "arrays")
    return arrays, metadata


def mapped(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of a file, read as they are needed; the checksum, which would read them all, is not compared."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header, _, start = _header_of(path, file, size)
        entries = dict(_checked_entries(path, header, size - start))
    if widened := [name for name, (kind, _, _) in entries.items() if kind in WIDENED]:
        raise DamagedFileError(
            path, f"NumPy has no {entries[widened[0]][0]}, so it cannot be read in parts; nn.load reads it", f"array {widened[0]!r}"
        )
    return {name: _mapped_array(path, DTYPES[kind], shape, start + begin) for name, (kind, shape, begin) in entries.items()}


def _mapped_array(path: Any, dtype: str, shape: tuple[int, ...], begin: int) -> Any:
    # An empty array has no bytes that could be mapped.
    return np.memmap(path, dtype, "r", begin, shape) if math.prod(shape) else np.empty(shape, dtype)


def _header_of(path: Any, file: BinaryIO, size: int) -> tuple[dict[str, Any], dict[str, str], int]:
    """The header's entries, the metadata, and where the arrays begin."""
    if size < 8:
        raise DamagedFileError(path, f"it has {size} bytes, and a safetensors file has at least 8", "header")
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, LONGEST_HEADER):
        raise DamagedFileError(path, f"the header should have {length} bytes, the file has {size}; it is cut off, or no safetensors file", "header")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, f"not JSON ({str(error)[:80]}); it is damaged, or no safetensors file", "header") from None
    if not isinstance(header, dict):
        raise DamagedFileError(path, "a dict was expected", "header")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise DamagedFileError(path, "a dict of texts was expected", "metadata")
    return header, metadata, 8 + length


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _checked_entries(path: Any, header: Mapping[str, Any], room: int) -> Iterator[tuple[str, tuple[str, tuple[int, ...], int]]]:
    """(name, (dtype, shape, begin)) of the arrays, which fill the room without gaps."""
    spans = []
    for name, entry in header.items():
        where = f"array {name!r}"
        if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
            raise DamagedFileError(path, "its dtype, shape and place are not all given", where)
        kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not (_are_counts(shape) and _are_counts(offsets) and len(offsets) == 2):
            raise DamagedFileError(path, f"shape {str(shape)[:60]} at {str(offsets)[:60]} makes no sense", where)
        if not isinstance(kind, str) or (kind not in DTYPES and kind not in WIDENED):
            known = ", ".join([*DTYPES, *WIDENED])
            raise DamagedFileError(path, f"its dtype {str(kind)[:40]!r} is none of {known}; convert it where it was made", where)
        itemsize = np.dtype(DTYPES.get(kind) or WIDENED[kind][0]).itemsize
        begin, end = offsets
        if end - begin != math.prod(shape) * itemsize or len(shape) > 64 or max(shape, default=0) >= 1 << 62:
            raise DamagedFileError(path, f"shape {str(shape)[:60]} of {kind} does not fill the {end - begin} bytes at {begin}", where)
        spans.append((begin, end, name))
        yield name, (kind, tuple(shape), begin)
    at = 0
    for begin, end, name in sorted(spans):
        if begin != at:
            raise DamagedFileError(path, f"it begins at byte {begin}, but the one before ends at {at}", f"array {name!r}")
        at = end
    if at != room:
        problem = "it is cut off; was it being written?" if at > room else "it is damaged"
        raise DamagedFileError(path, f"the arrays need {at} bytes, but there are {room}: {problem}", "arrays")


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value)
