"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, content: str | bytes) -> None:
    """Write `content` beside `path` and rename it there: an interrupted or failing write leaves what was there before.

    raises : OSError (FileNotFoundError, PermissionError, ...) as the system gives it, naming the path
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        handle, aside = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise type(error)(error.errno, f"cannot write here: {error.strerror}", str(path)) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(aside, 0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
