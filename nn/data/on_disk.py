"""Arrays in files, read as they are needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from nn import safetensors_format

__all__ = ["open_arrays"]


def open_arrays(path: str | os.PathLike[str]) -> Any:
    """What is in a file, without reading it: an array of a .npy file, or a dict of arrays by name of a .safetensors file.

    raises  FileNotFoundError; ValueError for a file of another kind; nn.DamagedFileError for a damaged one
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"open_arrays: there is no file {os.fspath(path)!r}")
    if path.suffix == ".npy":
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise safetensors_format.DamagedFileError(path, f"it is no .npy file of numbers: {error}") from None
    if path.suffix == ".safetensors":
        return safetensors_format.mapped(path)
    raise ValueError(
        f"open_arrays: {path.name} is neither a .npy nor a .safetensors file; .npz files cannot be read in parts: save each array by itself"
    )
