"""`nn.fit`: the loop that everybody writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nn import init
from nn.module import Module
from nn.training.callbacks import as_callback
from nn.training.evaluation import as_batches
from nn.training.half_precision import LossScaler
from nn.training.history import History
from nn.training.metrics import named_metrics
from nn.training.run import Run

__all__ = ["fit"]


def fit(
    model: Module,
    data: Any,
    loss: Callable[..., Any],
    optimizer: Any,
    *,
    epochs: int = 1,
    validation: Any = None,
    metrics: Any = (),
    callbacks: Any = (),
    batch_size: int | Callable[[int], float] = 32,
    shuffle: bool = True,
    seed: init.Seed = None,
    targets: int = 1,
    augment: Callable[[Any], Any] | None = None,
    schedules: Mapping[str, Callable[[int], float]] | None = None,
    scheduler: Any = None,
    scheduler_every: str = "epoch",
    clip: float | Callable[[list[Any]], Any] | None = None,
    accumulate: int = 1,
    precision: str | LossScaler | None = None,
    average: Any = None,
    generators: Mapping[str, np.random.Generator] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> History:
    """Train a model, and return the history of its losses and metrics, which has a `plot`.

    model       is called with a batch's inputs
    data        (x, y): arrays, in memory or on disk, from which `nn.batches` are made; or an iterable of batches, such as `nn.batches` itself.
                Floating-point numbers are given to the model in the dtype of its parameters
    loss        function or module of (prediction, *targets) that gives the mean over the batch
    optimizer   has `step`, `zero_grad` and `param_groups`; it may evaluate the loss by itself, like `optim.LBFGS`, `optim.SAM` and `optim.NewtonCG`
    epochs      how many there are in all, those of a run that is resumed included
    validation  data that is evaluated after each epoch, in batches without order; no gradients
    metrics     "accuracy", functions of (prediction, *targets), a list of these, or a dict of functions by name
    callbacks   `nn.training.Callback` objects (EarlyStopping, GradientFlow), or functions of the `nn.training.Run`, called after each epoch
    batch_size, shuffle, seed   of the batches that are made of arrays; the size may be a function of the number of batches given so far
    targets     how many arrays at the end of a batch are targets; a batch of one array is input and target both
    augment     changes the first input of each batch, such as `nn.data.Augment`
    schedules   {"lr": f, "weight_decay": g}: hyperparameters of all groups as functions of the step, such as lambdas or those of `optim`
    scheduler   an object with `step()`, or several, such as those of `optim.lr_scheduler`; one that wants a metric gets the validation loss
    scheduler_every  "epoch" or "step": when it is stepped
    clip        the largest norm of all gradients together; or a function of the parameters, which clips their gradients
    accumulate  how many batches one step has the gradients of
    precision   "mixed" computes with float16 inside the model, with the loss scaled; or a `nn.training.LossScaler` of your own
    average     an object with `update()` and `applied()`, such as `optim.WeightAverage(model.parameters(), decay=0.999)`, which validation uses
    generators  by name, those that your own code draws from, to be saved
    checkpoint  a file, written after each epoch and, with `checkpoint_every`, after so many steps; `resume=True` goes on from it, if it is
                there, with the same numbers as if nothing had happened
    progress    show a bar; None: if tqdm is installed
    raises      nn.training.NonFiniteError for a loss or gradient that is not finite, telling where that came from; TypeError or ValueError for
                arguments that make no sense; and what the model refuses, with the path of the layer that does

    Ctrl-C completes the epoch, writes the checkpoint and returns; a second one does so after the step.

    >>> import numpy as np, nn, optim
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> model = nn.MLP(1, 16, 1, generator=0)
    >>> history = nn.fit(model, (x, x**2), nn.MSELoss(), optim.Adam(model.parameters(), lr=0.01), epochs=20, seed=0, progress=False)
    >>> history["loss"][0] > 10 * history["loss"][-1]
    True
    """
    _check(model, loss, optimizer, epochs, scheduler_every)
    _check_count("accumulate", accumulate, 1)
    scaler = _scaler_of(precision)
    if getattr(optimizer, "needs_closure", False) and (accumulate > 1 or scaler is not None):
        raise ValueError(f"fit: {type(optimizer).__name__} evaluates the loss by itself: it can neither accumulate batches nor scale the loss")
    _check_closure(optimizer, clip)
    batches = as_batches(data, batch_size=batch_size, shuffle=shuffle, seed=seed)
    _check_checkpoint(batches, checkpoint, checkpoint_every, resume)
    run = Run(
        model,
        batches,
        loss,
        optimizer,
        epochs=epochs,
        targets=targets,
        validation=None if validation is None else as_batches(validation, batch_size=256),
        metrics=named_metrics(metrics),
        callbacks=[as_callback(callback) for callback in (callbacks if isinstance(callbacks, list | tuple) else [callbacks])],
        schedules=schedules,
        schedulers=[] if scheduler is None else scheduler if isinstance(scheduler, list | tuple) else [scheduler],
        schedulers_every=scheduler_every,
        clip=clip,
        accumulate=accumulate,
        scaler=scaler,
        average=average,
        augment=augment,
        generators=generators,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
    )
    if resume:
        run.resume()
    run.train(progress)
    return run.history


def _check(model: Any, loss: Any, optimizer: Any, epochs: Any, scheduler_every: Any) -> None:
    if not isinstance(model, Module):
        raise TypeError(f"fit: model must be a nn.Module, not {type(model).__name__}; the order is fit(model, data, loss, optimizer)")
    if isinstance(loss, type) or not callable(loss):
        raise TypeError(f"fit: loss must be a function or module of (prediction, target), such as nn.CrossEntropyLoss(), not {loss!r}")
    if not all(hasattr(optimizer, name) for name in ("step", "zero_grad", "param_groups")):
        raise TypeError(f"fit: optimizer must be an optimizer, such as optim.Adam(model.parameters()), not {type(optimizer).__name__}")
    _check_count("epochs", epochs, 0)
    if scheduler_every not in ("epoch", "step"):
        raise ValueError(f'fit: scheduler_every must be "epoch" or "step", not {scheduler_every!r}')
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not any(id(p) in trained for p in model.parameters()):
        raise ValueError("fit: the optimizer has none of the model's parameters; make it with this model's parameters()")


def _check_closure(optimizer: Any, clip: Any) -> None:
    """Refuse an optimizer whose `step` wants of its closure what the loop does not have."""
    gives, name = getattr(optimizer, "closure_gives", "gradient"), type(optimizer).__name__
    if gives == "outputs":
        raise TypeError(
            f"fit: {name} wants the model's outputs, of which it computes the loss by itself; write the loop: for x, y in batches: "
            f"optimizer.step(lambda: model(x))"
        )
    if gives == "loss" and clip is not None:
        raise ValueError(f"fit: {name} differentiates the loss by itself: there are no gradients to clip; leave clip= out")


def _check_count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"fit: {name} must be an integer >= {least}, not {value!r}")


def _check_checkpoint(batches: Any, checkpoint: Any, checkpoint_every: Any, resume: bool) -> None:
    if checkpoint is None and (resume or checkpoint_every is not None):
        raise ValueError("fit: resume=True and checkpoint_every need checkpoint=, the file to write to and to go on from")
    if checkpoint_every is not None:
        _check_count("checkpoint_every", checkpoint_every, 1)
    if checkpoint is None:
        return
    if not Path(checkpoint).parent.is_dir():  # said now, not after an epoch
        raise FileNotFoundError(f"fit: checkpoint={os.fspath(checkpoint)!r}: there is no folder {os.fspath(Path(checkpoint).parent)!r}")
    if not hasattr(batches, "load_state_dict"):
        kind = type(batches).__name__
        raise TypeError(f"fit: a checkpoint needs data that knows where it stands, and a {kind} has no state_dict: give arrays or nn.batches")


def _scaler_of(precision: str | LossScaler | None) -> LossScaler | None:
    if precision is None or isinstance(precision, LossScaler):
        return precision
    if precision not in ("mixed", "float16"):
        raise ValueError(f'fit: precision must be None, "mixed" or a nn.training.LossScaler, not {precision!r}')
    return LossScaler()
