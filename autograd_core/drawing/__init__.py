"""Pictures of recorded programs: `ag.draw(y)`.

document.py  what there is to show, as plain data        scene.py   what of it is in view
figure.py, layout.py, measure.py  texts and places       svg.py, text.py, dot.py, json.py, html.py  the writers
"""

from autograd_core.drawing.drawing import Drawing, draw
from autograd_core.drawing.record import Recording, record

__all__ = ["Drawing", "Recording", "draw", "record"]
