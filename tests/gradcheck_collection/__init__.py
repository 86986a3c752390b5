"""Operations that are differentiated wrongly, and correct ones that are hard to check: what the gradient checker is tested on.

Each is a pair (forward, backward) in plain NumPy with the inputs that somebody would naturally try, so that other libraries'
checkers can be given the same ones (tools/bench/gradcheck.py).
"""

import os

from gradcheck_collection.entry import Entry
from gradcheck_collection.fresh_right import FRESH_RIGHT
from gradcheck_collection.fresh_wrong import FRESH_WRONG
from gradcheck_collection.models import MODELS_RIGHT, MODELS_WRONG
from gradcheck_collection.right import RIGHT
from gradcheck_collection.second_right import SECOND_RIGHT
from gradcheck_collection.second_wrong import SECOND_WRONG
from gradcheck_collection.teaching import TEACHING_RIGHT, TEACHING_WRONG
from gradcheck_collection.wrong import WRONG
from gradcheck_collection.wrong_places import WRONG_PLACES

ALL_WRONG: list[Entry] = [*WRONG, *WRONG_PLACES, *TEACHING_WRONG, *MODELS_WRONG, *FRESH_WRONG, *SECOND_WRONG]
ALL_RIGHT: list[Entry] = [*RIGHT, *TEACHING_RIGHT, *MODELS_RIGHT, *FRESH_RIGHT, *SECOND_RIGHT]

WHOLE = os.environ.get("GRADCHECK_COLLECTION", "") == "whole"


def sampled(entries: list[Entry]) -> list[Entry]:
    """Every fifth entry; all of them where GRADCHECK_COLLECTION=whole is set."""
    return entries if WHOLE else entries[::5]


__all__ = ["ALL_RIGHT", "ALL_WRONG", "WHOLE", "Entry", "sampled"]
