"""Write the page of which functions of NumPy are differentiated.

python -m tools.coverage            # writes notebooks/numpy-coverage.md
python -m tools.coverage --check    # writes nothing; status 1 if the page is not up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from autograd_core.drawing.files import write_whole
from tools.coverage.page import PAGE, comparable, is_stale, page


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the page; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.coverage", description="Write the table of NumPy's functions and their derivatives.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with status 1 if the page is not up to date")
    options = parser.parse_args(arguments)
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if options.check:
        if not comparable(before):
            print(f"{PAGE.name} was made with another version of NumPy: not compared")
            return 0
        stale = is_stale(before)
        print(f"{PAGE.name} is {'not ' if stale else ''}up to date")
        return int(stale)
    write_whole(PAGE, page(before))
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
