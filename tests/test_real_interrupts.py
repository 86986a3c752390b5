"""Ctrl-C at random moments of ten loops: each ends its loop, and leaves all that the loop works on right.

INTERRUPTS=100 pytest -s tests/test_real_interrupts.py sends so many to each loop, and prints what came of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

EACH = int(os.environ.get("INTERRUPTS", "2"))
PROGRAM = Path(__file__).parent / "real_interrupts.py"


def test_no_interrupt_is_lost_and_none_leaves_anything_wrong() -> None:
    # In a process of its own, which a signal that comes too late may end.
    done = subprocess.run([sys.executable, str(PROGRAM), "--each", str(EACH)], capture_output=True, text=True, timeout=100 + 10 * EACH)
    assert done.returncode == 0, done.stderr
    assert "ignored" not in done.stderr
    found = json.loads(done.stdout)
    print(json.dumps(found, indent=1))
    assert len(found) >= 10
    for name, counts in found.items():
        assert counts == {"sent": EACH, "lost": 0, "wrong": 0}, f"{name}: {counts}"


def test_a_loop_that_swallows_interrupts_would_be_found() -> None:
    code = """
import real_interrupts as r, json, signal, time
class Swallows(r.Loop):
    def step(self):
        try:
            time.sleep(0.001)
        except KeyboardInterrupt:
            pass
    def is_right(self):
        return False
r.LOOPS["swallows"], r.PATIENCE = Swallows, 0.1
signal.signal(signal.SIGINT, signal.default_int_handler)
print(json.dumps(r.run(["swallows"], 2, 0)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROGRAM.parent, timeout=100)
    assert json.loads(done.stdout) == {"swallows": {"sent": 2, "lost": 2, "wrong": 2}}, done.stderr
