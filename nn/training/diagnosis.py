"""Where a number that is not finite came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import autograd_core as ag
from nn.module import Module

__all__ = ["NonFiniteError", "explain_nonfinite"]


class NonFiniteError(FloatingPointError):
    """A loss or a gradient that is nan or infinite. The message tells where that came from; `anomaly` is the engine's error, or None."""

    def __init__(self, message: str, anomaly: ag.AnomalyError | None = None) -> None:
        super().__init__(message)
        self.anomaly = anomaly


def explain_nonfinite(model: Module, loss_of: Callable[[], Any], arrays: Sequence[Any] = (), places: Any = None) -> NonFiniteError:
    """Why a loss, or its gradient, is not finite: the data, the parameters, or the operation that makes the first nan.

    model    is put back into the state that it has now
    loss_of  computes the loss anew
    arrays   of the batch
    places   of the batch's samples in the data, None if that is not known
    returns  an error to raise
    """
    lines = [line for i, array in enumerate(arrays) for line in _of_data(i, array, places)]
    bad = [name for name, parameter in model.named_parameters() if not _is_finite(parameter.data)]
    if bad:
        lines.append(f"parameters that are not finite before the step: {', '.join(bad)}")
    buffers = [(buffer, buffer.data.copy()) for buffer in model.buffers()]
    anomaly = None
    try:
        with np.errstate(all="ignore"), ag.detect_anomaly():
            loss_of().backward()
    except ag.AnomalyError as error:
        anomaly = error
        lines.append(str(error))
    else:
        lines.append("every operation made finite numbers of what it was given: look at the values above, or at the learning rate")
    finally:
        for buffer, values in buffers:
            buffer.data[...] = values
    return NonFiniteError("\n".join(lines), anomaly)


def _is_finite(array: Any) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _of_data(i: int, array: Any, places: Any) -> Iterator[str]:
    """What is wrong with array `i` of a batch."""
    values = array.detach().numpy() if isinstance(array, ag.Tensor) else np.asarray(array)
    if _is_finite(values):
        return
    found = np.argwhere(~np.isfinite(values))
    index = tuple(found[0].tolist())
    sample = ""
    if index and places is not None:
        sample = f", which is sample {int(places[index[0]])} of the data"
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    yield f"the data: array {i} of the batch, of shape {values.shape}, holds {values[index]} at {list(index)}{sample}{more}"
