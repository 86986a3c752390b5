"""Whose line it is: the user's place in the code, seen from inside the engine."""

from __future__ import annotations

import contextlib
import os
import sys
from types import FrameType

import numpy as np

from autograd_core.tape.sweep import Sweep

__all__ = ["frame_behind_engine", "inside_sweep", "place_text", "user_place"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Frames of the engine, of NumPy and of the packages that come with the engine are not the user's.
_NOT_THE_USERS = tuple(
    os.path.join(folder, "")
    for folder in (_PACKAGE, os.path.dirname(np.__file__), *(os.path.join(os.path.dirname(_PACKAGE), name) for name in ("nn", "optim")))
)
_OURS = tuple(folder for folder in _NOT_THE_USERS if not folder.startswith(os.path.dirname(np.__file__)))
_CONTEXTLIB = contextlib.__file__
_SWEEP = Sweep.run.__code__


def user_place() -> tuple[str, int] | None:
    """File and line of the innermost frame that belongs to neither the engine nor NumPy nor the packages beside the engine."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_NOT_THE_USERS) and not name.startswith("<frozen") and name != _CONTEXTLIB:
            return name, frame.f_lineno
        frame = frame.f_back
    return None


def frame_behind_engine() -> FrameType | None:
    """The user's innermost frame, if it is the engine (or a package beside it) that computes for him; None if he does so himself."""
    frame: FrameType | None = sys._getframe(2)
    ours = False
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        ours = ours or frame.f_code.co_filename.startswith(_OURS)
        frame = frame.f_back
    return frame if ours else None


def inside_sweep() -> bool:
    """Whether the engine's backward pass is what computes."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        if frame.f_code is _SWEEP:
            return True
        frame = frame.f_back
    return False


def place_text(place: tuple[str, int]) -> str:
    """`train.py:12` or `cell:3` (of a notebook), relative to the folder that Python runs in: no path of the machine gets into a picture."""
    name, line = place
    if name.startswith("<"):
        return f"{name}:{line}"
    if "ipykernel_" in name:
        return f"cell:{line}"  # notebooks give each cell a file of a random name
    here = os.path.join(os.getcwd(), "")
    return f"{name[len(here) :] if name.startswith(here) else os.path.basename(name)}:{line}"
