"""Pictures of recorded programs: `ag.draw(y)`.

document/                              what there is to show, as plain data
    recorder.py, summary.py                watching a program run
    gather.py, document.py, rule_text.py   its operations
    grouping.py, folding.py                its modules, repeats and parts
scene.py                               what of them is in view
figure.py, layout.py, measure.py       texts and places
heat.py, health.py, difference.py      what a picture can tell besides the program
svg.py, html.py with page/, text.py, dot.py, data.py, files.py   the writers
drawing.py, recording.py               `ag.draw`, and `ag.record` with what it gives: both lead to a Drawing
testing.py                             `ag.testing`: graphs in a user's tests

Read `document/document.py` first: the plain data that every writer draws. This room must not know how gradients are computed; it
changes no tape and keeps none alive.
"""

from autograd_core.drawing.difference import Difference, diff
from autograd_core.drawing.drawing import Drawing, draw
from autograd_core.drawing.recording import Recording, record

__all__ = ["Difference", "Drawing", "Recording", "diff", "draw", "record"]
