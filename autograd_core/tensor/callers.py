"""What the calling code is at: the one place that reads bytecode.

NumPy asks `t.__float__()` for `a[0] = t`, where a is an array, as Python does for `float(t)`. The first would lose the gradient of
a tracked tensor unnoticed, the second is a number that was asked for. What tells them apart is the instruction that the caller is
at: storing an item, or a call.
"""

from __future__ import annotations

import opcode
from types import FrameType

__all__ = ["is_storing_an_item"]

_STORE_ITEM = opcode.opmap["STORE_SUBSCR"]


def is_storing_an_item(caller: FrameType) -> bool:
    """Whether the code in the frame `caller` is at `a[i] = v`."""
    return caller.f_code.co_code[caller.f_lasti] == _STORE_ITEM
