"""Data: mini-batches, splits, standardisation, sets to try things on, augmentation, texts, and arrays that stay on disk.

Everything here is indexed by a number, a slice or an array of places along its first axis, and nothing is read before it is: a
data set that is larger than the memory is trained on like any other.

    x, y = nn.data.bundled("digits", images=True)
    (x, y), (x_test, y_test) = nn.data.split(x, y, fractions=(0.8, 0.2), stratify=y, seed=0)
    scale = nn.data.Standardization(x, axis=(0, 2, 3))
    nn.fit(model, (scale(x), y), ...)
"""

from nn.data.augmentation import Augment, add_noise, brightness, cutout, flip, rotate, shift
from nn.data.bundled import bundled
from nn.data.lazy import Mapped, Subset
from nn.data.mini_batches import Batches, batches
from nn.data.on_disk import open_arrays
from nn.data.splits import split
from nn.data.standardization import Standardization
from nn.data.text import Characters, bytes_of, characters_of, sequences

__all__ = [
    "Augment",
    "Batches",
    "Characters",
    "Mapped",
    "Standardization",
    "Subset",
    "add_noise",
    "batches",
    "brightness",
    "bundled",
    "bytes_of",
    "characters_of",
    "cutout",
    "flip",
    "open_arrays",
    "rotate",
    "sequences",
    "shift",
    "split",
]
