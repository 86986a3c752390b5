"""Pictures of recorded programs: `ag.draw(y)`.

recorder.py, source_lines.py, summary.py   watching a program run
gather.py, document.py, rule_text.py   what there is to show, as plain data
grouping.py, folding.py, scene.py      modules, repeats and parts, and what of them is in view
figure.py, layout.py, measure.py       texts and places
heat.py, health.py, difference.py      what a picture can tell besides the program
svg.py, html.py with page/, text.py, dot.py, data.py, files.py   the writers
"""

from autograd_core.drawing.difference import Difference, diff
from autograd_core.drawing.drawing import Drawing, draw
from autograd_core.drawing.recorder import Recording, record

__all__ = ["Difference", "Drawing", "Recording", "diff", "draw", "record"]
