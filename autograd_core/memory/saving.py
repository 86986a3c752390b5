"""Ready-made hooks for what the tape saves: on disk, or in half precision."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from autograd_core.memory.saved_tensors import saved_tensors_hooks

__all__ = ["save_as", "save_on_disk"]


class save_on_disk(saved_tensors_hooks):
    """`with ag.save_on_disk():` arrays that are saved for the backward pass inside are written to files, and read when it needs them.

    folder  where; by default a temporary folder of its own
    least   bytes; smaller arrays stay in memory, where they take less room than a file's name

    A file is deleted when the node that needs it is freed: after the backward pass, or with the tensors. Leaves stay in memory.

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor(np.ones((100, 1000)), requires_grad=True)
    >>> with ag.save_on_disk():
    ...     y = np.tanh(np.exp(x)).sum()
    >>> ag.memory(y).bytes
    0
    >>> y.backward()
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, least: int = 65536) -> None:
        super().__init__(self._write, _read, leaves=False)
        self.folder = folder
        self.least = least
        self._temporary: weakref.ref[_Folder] | None = None

    def _recreate_cm(self) -> save_on_disk:
        return save_on_disk(self.folder, self.least)

    def _write(self, array: Any) -> Any:
        return array if array.nbytes < self.least else _File(array, self._where())

    def _where(self) -> Any:
        """The folder; a temporary one is deleted with the last file in it."""
        if self.folder is not None:
            return self.folder
        folder = self._temporary and self._temporary()
        if folder is None:
            folder = _Folder()
            self._temporary = weakref.ref(folder)
        return folder


class _Folder:
    """A temporary folder, which is deleted with this object."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="autograd-core-")
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


class _File:
    """An array in a file, which is deleted with this object."""

    def __init__(self, array: Any, folder: Any) -> None:
        self._folder = folder  # keeps a temporary one
        handle, path = tempfile.mkstemp(".npy", "saved-", folder.path if isinstance(folder, _Folder) else folder)
        self.path = Path(path)
        weakref.finalize(self, self.path.unlink, missing_ok=True)
        with os.fdopen(handle, "wb") as file:
            np.save(file, array, allow_pickle=False)


def _read(kept: Any) -> Any:
    return np.load(kept.path, allow_pickle=False) if isinstance(kept, _File) else kept


class save_as(saved_tensors_hooks):
    """`with ag.save_as(np.float16):` floats that are saved for the backward pass inside are kept in a smaller dtype.

    The forward values are exact; gradients are as good as the dtype: to about 1e-3 for float16, 1e-7 for float32. Complex arrays
    are kept in complex64. Arrays that would overflow, integers, masks and leaves stay as they are.

    dtype   a floating-point one
    raises  TypeError if it is not

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor(np.linspace(-1.0, 1.0, 1000), requires_grad=True)
    >>> with ag.save_as(np.float16):
    ...     y = np.tanh(x).sum()
    >>> ag.memory(y).bytes  # instead of 8000
    2000
    >>> y.backward()
    >>> float(np.max(np.abs(x.grad.data - (1 - np.tanh(x.data) ** 2)))) < 1e-3
    True
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype.kind != "f":
            raise TypeError(f"save_as: the dtype has to be a floating-point one, such as np.float16, not {self.dtype}")
        super().__init__(self._narrowed, _widened, leaves=False)

    def _recreate_cm(self) -> save_as:
        return save_as(self.dtype)

    def _narrowed(self, array: Any) -> Any:
        wanted = np.result_type(self.dtype, np.complex64) if array.dtype.kind == "c" else self.dtype
        if array.dtype.kind not in "fc" or wanted.itemsize >= array.dtype.itemsize:
            return array
        with np.errstate(all="ignore"):
            narrow = array.astype(wanted)
        if not np.array_equal(np.isfinite(narrow), np.isfinite(array)):
            return array  # an overflow
        return array.dtype, narrow


def _widened(kept: Any) -> Any:
    return kept[1].astype(kept[0]) if isinstance(kept, tuple) else kept
