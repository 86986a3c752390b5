"""A training run: the pieces of this folder, put together around one plain loop.

    for x, y in batches:
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()

Everything that changes from step to step is in the state of a part, and a checkpoint is the state of all parts; it is written
between two steps only, aside, and renamed. So a run that is killed at any moment goes on, bit for bit, from the last one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import autograd_core as ag
from nn.checkpoint import load_checkpoint, save_checkpoint
from nn.clipping import clip_grad_norm_
from nn.module import Module
from nn.places import naming_layers
from nn.training.diagnosis import NonFiniteError, explain_nonfinite
from nn.training.evaluation import dtype_of, evaluate, prepared, split_batch
from nn.training.generators import Generators
from nn.training.half_precision import LossScaler, divide_gradients, in_half_precision
from nn.training.history import History, Mean
from nn.training.hyperparameters import Hyperparameters, step_scheduler
from nn.training.interrupts import Interrupts
from nn.training.metrics import Metric
from nn.training.progress import Progress

__all__ = ["Run"]


class Run:
    """What callbacks see of a run, and what a checkpoint of it holds.

    model, optimizer, batches, history, average   as they are now
    epochs   how many there will be
    steps    how many steps of the optimizer were done, those that were left out included
    stop     set it to True to end the run after this epoch
    failed   whether an error ended it
    """

    def __init__(
        self,
        model: Module,
        batches: Any,
        loss: Callable[..., Any],
        optimizer: Any,
        *,
        epochs: int,
        targets: int = 1,
        validation: Any = None,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Sequence[Any] = (),
        schedules: Mapping[str, Any] | None = None,
        schedulers: Sequence[Any] = (),
        schedulers_every: str = "epoch",
        clip: float | Callable[[list[Any]], Any] | None = None,
        accumulate: int = 1,
        scaler: LossScaler | None = None,
        average: Any = None,
        augment: Callable[[Any], Any] | None = None,
        generators: Mapping[str, np.random.Generator] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
    ) -> None:
        self.model = model
        self.batches = batches
        self.loss = loss
        self.optimizer = optimizer
        self.epochs = epochs
        self.targets = targets
        self.validation = validation
        self.metrics = dict(metrics or {})
        self.callbacks = list(callbacks)
        self.hyperparameters = Hyperparameters(optimizer, schedules or {})
        self.schedulers = list(schedulers)
        self.schedulers_every = schedulers_every
        self.clip = partial(clip_grad_norm_, max_norm=clip) if isinstance(clip, int | float) else clip
        self.accumulate = accumulate
        self.scaler = scaler
        self.average = average
        self.augment = augment
        self.generators = Generators(**(generators or {}))
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.checkpoint_every = checkpoint_every
        self.history = History()
        self.steps = 0
        self.stop = False
        self.failed = False
        self.interrupts = Interrupts()
        self.progress = Progress(False)
        self.means: dict[str, Mean] = {name: Mean() for name in ("loss", *self.metrics)}  # of this epoch
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._dtype = dtype_of(model)
        self._waiting = Mean()  # losses of the batches whose gradients wait for a step, and how many samples these have
        self._waiting_batches = 0

    # --- the loop ---------------------------------------------------------------------------------------------------------

    def train(self, show_progress: bool | None) -> None:
        """The epochs that are left."""
        self.interrupts = Interrupts(self._say_interrupted)
        if not self.model.training:
            self.model.train()
        self._call("begin")
        try:
            with self.interrupts:
                self.progress = Progress(show_progress, self._expected_steps(), self.steps)
                while self.history.epochs < self.epochs and not self.stop and not self.interrupts.count:
                    self._epoch()
        except BaseException:
            self.failed = True
            raise
        finally:
            self.progress.close()
            self.history.interrupted = self.interrupts.count > 0
            self._call("end")

    def _epoch(self) -> None:
        """The steps of an epoch that are left, and what comes after them; nothing after them if Ctrl-C asked for that."""
        if (expected := self._expected_steps()) is not None:
            self.progress.expect(expected)
        for batch in self.batches:
            self._batch(batch)
            if not self._waiting_batches and (self._is_time_to_save() or self.interrupts.count > 1):
                self.save()
            if self.interrupts.count > 1:
                return
        if self._waiting_batches:
            self._step()
        if not self.means["loss"].weight and not self.history.epochs:
            raise ValueError("fit: the data has no batch")
        self._end_epoch()

    def _batch(self, batch: Any) -> None:
        """Add the gradients of a batch; step, if it is time."""
        if not self._waiting_batches:
            self.hyperparameters.set(self.steps)
        inputs, targets = split_batch(batch, self.targets)
        if self.augment is not None:
            same = bool(targets) and targets[0] is inputs[0]  # an autoencoder's target is what it sees
            inputs = (self.augment(inputs[0]), *inputs[1:])
            targets = (inputs[0], *targets[1:]) if same else targets
        inputs, targets = (tuple(prepared(value, self._dtype) for value in values) for values in (inputs, targets))
        before = _Before(self.model, inputs, self.generators.generators)

        def forward() -> tuple[Any, Any]:
            with naming_layers():
                prediction = self._call_model(*inputs)
            return prediction, _checked_loss(self.loss(prediction, *targets))

        def explain() -> NonFiniteError:
            before.restore()
            where = (
                f"fit: step {self.steps} (epoch {self.history.epochs + 1}): the loss, or a gradient, is not finite; the parameters are as before it"
            )
            places = self.batches.places() if hasattr(self.batches, "places") else None
            error = explain_nonfinite(self.model, lambda: forward()[1], (*inputs, *targets), places)
            return NonFiniteError(f"{where}\n{error}", error.anomaly)

        if not self._waiting_batches:
            self.optimizer.zero_grad()
        if getattr(self.optimizer, "needs_closure", False):
            self._step_with_closure(forward, targets, _samples(inputs), explain)
            return
        with contextlib.nullcontext() if self.scaler is None else np.errstate(over="ignore", invalid="ignore"):
            prediction, loss = forward()
            value = float(loss.item())
            # An overflow in float16 only costs a step, unless it comes again and again.
            if not np.isfinite(value) and (self.scaler is None or before.data_is_bad or self.scaler.get_scale() < 1):
                raise explain()
            self._backward(loss, _samples(inputs))
        self._note(value, prediction, targets, _samples(inputs))
        if self._waiting_batches == self.accumulate:
            try:
                self._step()
            except FloatingPointError as error:
                raise explain() from error

    def _call_model(self, *inputs: Any) -> Any:
        return self.model(*inputs) if self.scaler is None else in_half_precision(self.model, *inputs)

    def _backward(self, loss: Any, samples: int) -> None:
        # Weighted by samples, so that the sum over parts, divided by all samples, is the gradient of the mean over them all.
        loss = loss if self.scaler is None else self.scaler.scale(loss)
        (loss if self.accumulate == 1 else loss * samples).backward()

    def _note(self, value: float, prediction: Any, targets: Sequence[Any], samples: int) -> None:
        """The loss and metrics of a batch."""
        self._waiting.add(value, samples)
        self._waiting_batches += 1
        self.means["loss"].add(value, samples)
        with ag.no_grad():
            for name, metric in self.metrics.items():
                found = metric(prediction.detach() if isinstance(prediction, ag.Tensor) else prediction, *targets)
                self.means[name].add(float(found.item() if hasattr(found, "item") else found), samples)

    def _step(self) -> None:
        """A step with the gradients that are there."""
        if self.accumulate > 1:
            divide_gradients(self._parameters, self._waiting.weight)
        if self.scaler is None or self.scaler.unscale_(self.optimizer):
            self._call("gradients")
            if self.clip is not None:
                self.clip(self._parameters)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self._after_step()

    def _step_with_closure(self, forward: Callable[[], tuple[Any, Any]], targets: Sequence[Any], samples: int, explain: Callable[[], Any]) -> None:
        """A step of an optimizer that evaluates the loss by itself, and may differentiate it too: then there are no gradients to be seen."""
        first: list[tuple[Any, float]] = []
        alone = getattr(self.optimizer, "closure_gives", "gradient") == "loss"

        def closure() -> Any:
            self.optimizer.zero_grad()
            prediction, loss = forward()
            first.append((prediction, float(loss.item())))
            if alone:
                return loss
            loss.backward()
            if self.clip is not None:
                self.clip(self._parameters)
            if len(first) == 1:
                self._call("gradients")
            return loss

        try:
            self.optimizer.step(closure)
        except FloatingPointError as error:
            raise explain() from error
        prediction, value = first[0]
        if not np.isfinite(value):
            raise explain()
        self._note(value, prediction, targets, samples)
        self._after_step()

    def _after_step(self) -> None:
        loss = self._waiting.value
        self._waiting, self._waiting_batches = Mean(), 0
        self.steps += 1
        self.history.add_step(loss)
        if self.average is not None:
            self.average.update()
        if self.schedulers_every == "step":
            for scheduler in self.schedulers:
                step_scheduler(scheduler, {"loss": loss})
        self._call("step")
        if self.progress.is_shown:
            self.progress.step(f"epoch {self.history.epochs + 1}/{self.epochs}, loss {self.means['loss'].value:.4g}", self._shown())

    def _is_time_to_save(self) -> bool:
        return self.checkpoint_every is not None and self.steps % self.checkpoint_every == 0

    def _shown(self) -> dict[str, float]:
        now = {name: mean.value for name, mean in self.means.items() if name != "loss"}
        return now | {name: value for name, value in self.history.last.items() if name.startswith("validation")}

    def _end_epoch(self) -> None:
        numbers = {name: mean.value for name, mean in self.means.items()}
        if self.validation is not None:
            with contextlib.nullcontext() if self.average is None else self.average.applied():
                found = evaluate(self.model, self.validation, self.loss, self.metrics, targets=self.targets)
            numbers |= {f"validation_{name}": value for name, value in found.items()}
        self.means = {name: Mean() for name in self.means}
        self.history.add_epoch(numbers)
        self.hyperparameters.report(numbers.get("validation_loss", numbers["loss"]))
        if self.schedulers_every == "epoch":
            for scheduler in self.schedulers:
                step_scheduler(scheduler, numbers)
        self._call("epoch")
        self.save()

    def _call(self, place: str) -> None:
        for callback in self.callbacks:
            getattr(callback, place)(self)

    def _expected_steps(self) -> int | None:
        """How many steps there will be, if the epochs that are left are like one that begins now."""
        if not hasattr(self.batches, "__len__"):
            return None
        each = -(-len(self.batches) // self.accumulate)
        done = self.history.ends[-1] if self.history.ends else 0
        return done + each * max(self.epochs - self.history.epochs, 0)

    def _say_interrupted(self, count: int) -> None:
        if count == 1:
            self.progress.say("interrupted: the epoch will be completed; Ctrl-C again ends the run after this step")

    # --- state ------------------------------------------------------------------------------------------------------------

    def _parts(self) -> dict[str, Any]:
        """All that a checkpoint holds, by name."""
        named = {
            "model": self.model,
            "optimizer": self.optimizer,
            "batches": self.batches,
            "history": self.history,
            "generators": self.generators,
            "schedules": self.hyperparameters,
            "run": self,
        }
        others = {"scaler": self.scaler, "average": self.average, "augment": self.augment, "validation": self.validation, "loss": self.loss}
        others |= {f"scheduler {i}": scheduler for i, scheduler in enumerate(self.schedulers)}
        others |= {f"callback {i}": callback for i, callback in enumerate(self.callbacks)}
        return named | {name: part for name, part in others.items() if hasattr(part, "load_state_dict")}

    def save(self) -> None:
        """Write a checkpoint, which takes the place of the one before when it is complete."""
        if self.checkpoint is not None:
            save_checkpoint(self.checkpoint, **self._parts())

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if self.checkpoint is not None and self.checkpoint.is_file():
            load_checkpoint(self.checkpoint, **self._parts())

    def state_dict(self) -> dict[str, Any]:
        """Where the run stands."""
        return {"steps": self.steps, "stop": self.stop, "means": {name: (mean.total, mean.weight) for name, mean in self.means.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; ValueError if it is of a run with other metrics."""
        if state["means"].keys() != self.means.keys():
            raise ValueError(f"the state is of a run with {', '.join(state['means'])}, but this one has {', '.join(self.means)}")
        self.steps, self.stop = int(state["steps"]), bool(state["stop"])
        for name, (total, weight) in state["means"].items():
            self.means[name].total, self.means[name].weight = total, weight


class _Before:
    """What a step that fails must leave as it was: the generators, and the buffers if the data is bad already."""

    def __init__(self, model: Module, inputs: Sequence[Any], generators: Mapping[str, np.random.Generator]) -> None:
        self.generators = [(generator.bit_generator, generator.bit_generator.state) for generator in generators.values()]
        self.data_is_bad = not all(_is_finite(value) for value in inputs)
        self.buffers = [(buffer, buffer.data.copy()) for buffer in model.buffers()] if self.data_is_bad else []

    def restore(self) -> None:
        for generator, state in self.generators:
            generator.state = state
        for buffer, values in self.buffers:
            buffer.data[...] = values


def _is_finite(value: Any) -> bool:
    return not (isinstance(value, ag.Tensor) and value.dtype.kind == "f") or bool(np.isfinite(value.detach().numpy()).all())


def _samples(inputs: Sequence[Any]) -> int:
    return len(inputs[0])


def _checked_loss(loss: Any) -> Any:
    if not isinstance(loss, ag.Tensor) or loss.size != 1:
        found = f"shape {loss.shape}" if isinstance(loss, ag.Tensor) else f"a {type(loss).__name__}"
        raise TypeError(f"fit: the loss must be one number, as a tensor, for a batch; got {found}. Take its mean")
    if not loss.requires_grad and ag.is_grad_enabled():
        raise TypeError("fit: the loss does not depend on any parameter that requires grad; is the prediction detached, or the model frozen?")
    return loss
