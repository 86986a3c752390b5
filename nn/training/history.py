"""What a run has seen: the loss of each step, and the loss and metrics of each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["History", "Mean"]

_VALIDATION = "validation_"


class Mean:
    """A running mean of numbers with weights, which can be saved in the middle.

    >>> mean = Mean()
    >>> mean.add(1.0, weight=3); mean.add(5.0)
    >>> mean.value
    2.0
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.weight = 0.0

    def add(self, value: float, weight: float = 1.0) -> None:
        """Take one more number into the mean."""
        self.total += value * weight
        self.weight += weight

    @property
    def value(self) -> float:
        """The mean of what was added; nan if that is nothing."""
        return self.total / self.weight if self.weight else float("nan")


class History:
    """The numbers of a run; `history["validation_loss"]` is a list of one number per epoch.

    losses       of each step
    epochs       how many epochs are complete
    interrupted  whether Ctrl-C ended the run

    >>> history = History()
    >>> history.add_step(0.9); history.add_epoch({"loss": 0.9, "accuracy": 0.5})
    >>> history["accuracy"], history.last["loss"], history.losses
    ([0.5], 0.9, [0.9])
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.ends: list[int] = []  # after how many steps each epoch was complete
        self.records: list[dict[str, float]] = []
        self.interrupted = False

    @property
    def epochs(self) -> int:
        """How many epochs are complete."""
        return len(self.records)

    @property
    def names(self) -> list[str]:
        """What is known of the epochs."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    @property
    def last(self) -> dict[str, float]:
        """The numbers of the last complete epoch; {} before there is one."""
        return self.records[-1] if self.records else {}

    def add_step(self, loss: float) -> None:
        """Note the loss of a step."""
        self.losses.append(loss)

    def add_epoch(self, numbers: Mapping[str, float]) -> None:
        """Note the numbers of an epoch that is complete."""
        self.records.append(dict(numbers))
        self.ends.append(len(self.losses))

    def __getitem__(self, name: str) -> list[float]:
        """One number per epoch; KeyError naming what there is."""
        if name not in self.names:
            raise KeyError(f"History: nothing is called {name!r}; there are {', '.join(self.names) or 'no epochs yet'}")
        return [record.get(name, float("nan")) for record in self.records]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {"losses": np.array(self.losses), "ends": list(self.ends), "records": [dict(record) for record in self.records]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        new = {"losses": np.asarray(state["losses"]).tolist(), "ends": list(state["ends"]), "records": [dict(record) for record in state["records"]]}
        self.__dict__.update(new)

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.last.items())
        return f"History({self.epochs} epochs, {len(self.losses)} steps{'; ' if numbers else ''}{numbers})"

    def plot(self) -> Any:
        """Draw the loss by epoch (steps faint), and one more picture for each metric; validation is dashed. Returns matplotlib's figure."""
        try:
            from matplotlib import pyplot
        except ModuleNotFoundError:
            raise ModuleNotFoundError('plotting a history needs matplotlib: pip install "autograd-core[viz]"', name="matplotlib") from None
        measures = [name for name in self.names if not name.startswith(_VALIDATION)] or ["loss"]
        figure, axes = pyplot.subplots(1, len(measures), figsize=(5.5 * len(measures), 4), dpi=120, layout="constrained", squeeze=False)
        for place, measure in zip(axes[0], measures, strict=True):
            if measure == "loss":
                self._draw_steps(place)
            for name, color, style in ((measure, "#1f77b4", "-"), (_VALIDATION + measure, "#d95f02", "--")):
                if name in self.names:
                    values = self[name]
                    label = f"{'validation' if style == '--' else 'training'} ({values[-1]:.4g})"
                    place.plot(range(1, self.epochs + 1), values, style, color=color, marker=".", linewidth=1.8, label=label)
            place.set(title=measure.replace("_", " ").capitalize(), xlabel="epoch", ylabel=measure.replace("_", " "))
            place.grid(alpha=0.25)
            place.spines[["top", "right"]].set_visible(False)
            place.xaxis.get_major_locator().set_params(integer=True)
            if place.get_legend_handles_labels()[0]:
                place.legend(title="after the last epoch" if self.records else None, frameon=False)
        return figure

    def _draw_steps(self, axes: Any) -> None:
        if self.losses:
            axes.plot(_epochs_of_steps(self.ends, len(self.losses)), self.losses, color="#1f77b4", alpha=0.25, linewidth=0.8, label="each step")
            if min(self.losses) > 0 and max(self.losses) > 10 * min(self.losses):
                axes.set_yscale("log")


def _epochs_of_steps(ends: Sequence[int], steps: int) -> Any:
    """Where each step lies on an axis of epochs."""
    if not ends:
        return np.arange(1, steps + 1) / steps
    last = ends[-1] - (ends[-2] if len(ends) > 1 else 0)
    places, at = [0, *ends], list(range(len(ends) + 1))
    if steps > ends[-1]:  # the epoch that was not completed is taken to be as long as the one before
        places.append(ends[-1] + last)
        at.append(len(ends) + 1)
    return np.interp(np.arange(1, steps + 1), places, at)
