"""Batches from data, and a model's loss and metrics on them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

import autograd_core as ag
from nn.data import batches
from nn.module import Module
from nn.places import naming_layers
from nn.training.history import Mean
from nn.training.metrics import named_metrics

__all__ = ["as_batches", "dtype_of", "evaluate", "evaluating", "prepared", "split_batch"]


def as_batches(data: Any, **options: Any) -> Any:
    """What is iterated over once per epoch: an array or a tuple of arrays becomes `nn.batches` with the options; anything else must be iterable.

    raises  TypeError for what is no data, and for an iterator, which has one epoch only
    """
    if isinstance(data, list):
        if data and isinstance(data[0], tuple | list):
            return data  # of batches
        raise TypeError("data: a list of numbers is no data; give arrays, such as (np.array(x), np.array(y)), or an iterable of batches")
    if isinstance(data, tuple):
        return batches(*data, **options)
    if hasattr(data, "shape") or hasattr(data, "__array__"):
        return batches(data, **options)
    if not isinstance(data, Iterable) or isinstance(data, str | dict):
        raise TypeError(f"data: expected arrays, a tuple of arrays or an iterable of batches, not a {type(data).__name__}")
    if iter(data) is data:
        raise TypeError(f"data: a {type(data).__name__} can be iterated over once only, and each epoch does; give nn.batches, a list or a class")
    return data


def dtype_of(model: Module) -> Any:
    """The dtype of the model's first floating-point parameter, or None."""
    return next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), None)


def prepared(value: Any, dtype: Any) -> Any:
    """An array of a batch as the model wants it: floating-point numbers as a tensor of the model's dtype, others as they are."""
    if isinstance(value, ag.Tensor):
        return value.astype(dtype) if dtype is not None and value.dtype.kind == "f" and value.dtype != dtype else value
    if isinstance(value, list):
        return value  # a model may want lists, of texts say
    array = np.asarray(value)
    return ag.tensor(array, dtype=dtype) if array.dtype.kind == "f" else array


def split_batch(batch: Any, targets: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The inputs and the targets of a batch: its last `targets` arrays are these, and where a batch is one array it is both."""
    if not isinstance(batch, tuple | list):
        return (batch,), (batch,) * min(targets, 1)
    if len(batch) <= targets:
        raise ValueError(f"a batch has {len(batch)} arrays, of which targets={targets} are targets: nothing is left for the model")
    cut = len(batch) - targets
    return tuple(batch[:cut]), tuple(batch[cut:])


@contextlib.contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Inside, the model is in evaluation; afterwards each of its layers is in the mode in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.__dict__["training"] = training


def evaluate(
    model: Module, data: Any, loss: Callable[..., Any], metrics: Any = (), *, batch_size: int = 256, targets: int = 1, call: Any = None
) -> dict[str, float]:
    """The mean loss and metrics of a model on data, without recording and in evaluation.

    data     arrays, or an iterable of batches, as in `nn.fit`
    call     what computes the prediction; None for the model itself
    returns  {"loss": ..., name of a metric: ...}, means over the samples

    >>> import numpy as np, nn
    >>> model = nn.Linear(2, 1); nn.init.zeros_(model.weight); nn.init.zeros_(model.bias)
    Parameter([[0., 0.]], dtype=float32, requires_grad=True)
    Parameter([0.], dtype=float32, requires_grad=True)
    >>> nn.training.evaluate(model, (np.ones((3, 2)), np.ones((3, 1))), nn.MSELoss())
    {'loss': 1.0}
    """
    measures = {"loss": loss, **named_metrics(metrics)}
    means = {name: Mean() for name in measures}
    dtype = dtype_of(model)
    with evaluating(model), ag.no_grad():
        for batch in as_batches(data, batch_size=batch_size):
            inputs, answers = _prepared_batch(batch, targets, dtype)
            with naming_layers():
                prediction = (call or model)(*inputs)
            for name, measure in measures.items():
                means[name].add(_number(measure(prediction, *answers)), len(inputs[0]))
    if not means["loss"].weight:
        raise ValueError("evaluate: the data has no batch")
    return {name: mean.value for name, mean in means.items()}


def _prepared_batch(batch: Any, targets: int, dtype: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    inputs, answers = split_batch(batch, targets)
    return [prepared(value, dtype) for value in inputs], [prepared(value, dtype) for value in answers]


def _number(value: Any) -> float:
    return float(value.item() if hasattr(value, "item") else value)
