"""The small data sets that scikit-learn brings along."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["bundled"]

_LOADERS = {"iris": "load_iris", "wine": "load_wine", "breast_cancer": "load_breast_cancer", "digits": "load_digits", "diabetes": "load_diabetes"}


def bundled(name: str, images: bool = False) -> tuple[Any, Any]:
    """(x, y) of a set: float32 features, and int64 classes, or float32 numbers of shape (N, 1) for "diabetes".

    name    "iris", "wine", "breast_cancer", "digits" or "diabetes"
    images  digits as (N, 1, 8, 8) in [0, 1], not as rows of 64 numbers
    raises  ValueError for another name, ModuleNotFoundError naming the extra if scikit-learn is missing
    """
    if name not in _LOADERS:
        raise ValueError(f"bundled: there is no set {name!r}; there are {', '.join(_LOADERS)}")
    if images and name != "digits":
        raise ValueError(f"bundled: {name!r} has no images; only 'digits' has")
    try:
        from sklearn import datasets
    except ModuleNotFoundError:
        raise ModuleNotFoundError('the bundled sets need scikit-learn: pip install "autograd-core[demo]"', name="sklearn") from None
    x, y = getattr(datasets, _LOADERS[name])(return_X_y=True)
    x = x.astype(np.float32)
    if name == "digits":
        x = x / np.float32(16)
    return (x.reshape((-1, 1, 8, 8)) if images else x), (y.astype(np.float32)[:, None] if name == "diabetes" else y.astype(np.int64))
