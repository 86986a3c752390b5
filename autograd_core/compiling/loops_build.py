"""Compiles loops.c, where there is a compiler. Nothing else needs one: without the binary, `ag.compile` replays in Python.

    python autograd_core/compiling/loops_build.py

builds it beside the source, for a checkout that is used in place; hatch_build.py does it for wheels. This file imports nothing of ours, nor NumPy,
as neither is there while a wheel is built.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).parent / "loops.c"
# It is no extension module, one file serves every version of Python; so it must not be called like the module loops.py.
BINARY = {"win32": "libloops.dll", "darwin": "libloops.dylib"}.get(sys.platform, "libloops.so")
OLDEST_MACOS = "11.0"


class CannotBuildError(Exception):
    """There is no compiler, or it failed; the message says which."""


def digest() -> int:
    """What binary and source recognise one another by."""
    text = SOURCE.read_bytes().replace(b"\r\n", b"\n")
    return int(hashlib.sha256(text).hexdigest()[:8], 16)


def compilers() -> list[list[str]]:
    """The commands to try: the environment's CC alone if it says one, else what Python was built with, else the usual names."""
    if os.environ.get("CC"):
        return [shlex.split(os.environ["CC"])]
    built_with = shlex.split(sysconfig.get_config_var("CC") or "")[:1]
    named = [["cl"], ["clang"], ["gcc"]] if sys.platform == "win32" else [built_with, ["cc"], ["gcc"], ["clang"]]
    return [command for command in named if command and shutil.which(command[0])]


def command_line(compiler: list[str], binary: Path) -> list[str]:
    """How this compiler is told to make a shared library of plain C."""
    define = f"SOURCE_DIGEST={digest():#x}"
    if Path(compiler[0]).stem.lower() in ("cl", "clang-cl"):
        return [
            *compiler,
            "/nologo",
            "/std:c11",
            "/O2",
            "/fp:precise",
            "/LD",
            f"/D{define}",
            str(SOURCE),
            f"/Fe{binary}",
            f"/Fo{binary.with_suffix('.obj')}",
        ]
    machine = ["-arch", platform.machine(), f"-mmacosx-version-min={OLDEST_MACOS}"] if sys.platform == "darwin" else []
    pictures = [] if sys.platform == "win32" else ["-fPIC"]
    options = ["-std=c11", "-O2", "-ffp-contract=off", "-shared", "-fvisibility=hidden", *pictures, *machine]
    return [*compiler, *options, f"-D{define}", str(SOURCE), "-o", str(binary), *([] if sys.platform == "win32" else ["-lm"])]


def build(folder: Path) -> Path:
    """The library, made in a folder. Raises CannotBuildError."""
    binary = folder / BINARY
    tried = []
    for compiler in compilers():
        making = binary.with_name(f"{os.getpid()}-{BINARY}")  # a library that is in use is replaced, not overwritten
        command = command_line(compiler, making)
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            tried.append(f"{shlex.join(command)}: {error}")
            continue
        if done.returncode == 0 and making.exists():
            os.replace(making, binary)
            return binary
        tried.append(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stderr or done.stdout}".rstrip())
    raise CannotBuildError(
        "\n".join(tried) or f"no C compiler was found: {'CC, cl, clang, gcc' if sys.platform == 'win32' else 'CC, cc, gcc, clang'}"
    )


def platform_tag() -> str:
    """The last part of the wheel's name: where the library runs."""
    if sys.platform == "darwin":
        return f"macosx_{OLDEST_MACOS.replace('.', '_')}_{platform.machine()}"
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


if __name__ == "__main__":
    try:
        print(build(SOURCE.parent))
    except CannotBuildError as error:
        sys.exit(f"loops.c was not compiled: {error}")
