"""Images with their classes, out of scikit-learn's digits or a file of the user's: IDX, as MNIST has it, or NPZ."""

from __future__ import annotations

import gzip
import math
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Images", "digits", "from_file", "read_idx"]


class Images(NamedTuple):
    """Images (N, channels, height, width) in float32 with mean 0 and variance 1 over the training set, and integer classes."""

    train_images: Any
    train_classes: Any
    test_images: Any
    test_classes: Any
    classes: int


def digits(seed: int) -> Images:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 places; a fifth of them to test on."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    return _split(images.reshape((-1, 1, 8, 8)), classes, seed)


def from_file(path: Path, labels: Path | None, seed: int) -> Images:
    """Images in an IDX file (classes in another one, `labels`, or of the same name with "labels-idx1" for "images-idx3") or an NPZ file.

    An NPZ file has x_train, y_train, x_test and y_test; or x and y, or images and labels. IDX files called train-... go with
    those called t10k-... beside them. Without a test set, a fifth of the images is kept to test on.

    raises  ValueError naming the file and what is wrong with it
    """
    if zipfile.is_zipfile(path):
        return _from_npz(path, seed)
    images, classes = read_idx(path), read_idx(labels or _labels_of(path))
    test = path.with_name(path.name.replace("train-", "t10k-"))
    if test != path and test.is_file() and labels is None:
        return _prepared(images, classes, read_idx(test), read_idx(_labels_of(test)))
    return _split(images, classes, seed)


def _labels_of(path: Path) -> Path:
    found = path.with_name(path.name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1"))
    if found == path or not found.is_file():
        raise ValueError(f"{path}: there is no file of its classes beside it; give it with --labels")
    return found


def _from_npz(path: Path, seed: int) -> Images:
    with np.load(path, allow_pickle=False) as file:
        if {"x_train", "y_train", "x_test", "y_test"} <= set(file.files):
            return _prepared(*(file[name] for name in ("x_train", "y_train", "x_test", "y_test")))
        for x, y in (("x", "y"), ("images", "labels"), ("x_train", "y_train")):
            if {x, y} <= set(file.files):
                return _split(file[x], file[y], seed)
        raise ValueError(f"{path}: has arrays {', '.join(file.files)}; wanted are x_train, y_train, x_test and y_test, or x and y")


_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> Any:
    """The array in an IDX file, gzipped or not; ValueError naming the file if it is none, or is cut off."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError) as error:
        raise ValueError(f"{path}: {error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise ValueError(f"{path}: is neither an IDX nor an NPZ file")
    begin = 4 + 4 * content[3]  # of the data: before it, the length of each axis
    if len(content) < begin:
        raise ValueError(f"{path}: an IDX file that is cut off in its header")
    shape = tuple(int(n) for n in np.frombuffer(content[4:begin], ">u4"))
    dtype = np.dtype(_IDX_TYPES[content[2]])
    data = content[begin:]
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{path}: an IDX file of shape {shape} needs {math.prod(shape) * dtype.itemsize:,} bytes of data, but has {len(data):,}")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _split(images: Any, classes: Any, seed: int) -> Images:
    order = np.random.default_rng(seed).permutation(len(images))
    test, train = np.split(order, [len(order) // 5])
    return _prepared(images[train], classes[train], images[test], classes[test])


def _prepared(train_images: Any, train_classes: Any, test_images: Any, test_classes: Any) -> Images:
    """Channels first, standardised by the training set; classes counted from 0."""
    train, test = _channels_first(train_images), _channels_first(test_images)
    mean, deviation = train.mean(), train.std() or 1.0
    labels = [np.asarray(values).reshape(-1).astype(np.int64) for values in (train_classes, test_classes)]
    for images, values in ((train, labels[0]), (test, labels[1])):
        if len(images) != len(values) or not len(images):
            raise ValueError(f"{len(images)} images, but {len(values)} classes; there has to be one for each image, and one image at least")
    if min(values.min() for values in labels) < 0:
        raise ValueError(f"classes must be integers from 0 on, not {min(values.min() for values in labels)}")
    scaled = [((images - mean) / deviation).astype(np.float32) for images in (train, test)]
    return Images(scaled[0], labels[0], scaled[1], labels[1], int(max(values.max() for values in labels)) + 1)


def _channels_first(images: Any) -> Any:
    if images.ndim == 3:
        return images[:, None].astype(np.float64)
    if images.ndim == 4 and images.shape[1] not in (1, 3, 4) and images.shape[-1] in (1, 3, 4):
        return np.moveaxis(images, -1, 1).astype(np.float64)
    if images.ndim != 4:
        raise ValueError(
            f"images must be of shape (N, height, width), (N, channels, height, width) or (N, height, width, channels), not {images.shape}"
        )
    return images.astype(np.float64)
