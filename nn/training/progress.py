"""The progress bar of a run."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A bar over the steps of a run, with the numbers of the last epoch and the loss of this one. Does nothing if it is switched off.

    show   True, False, or None: if tqdm is installed
    total  how many steps there will be; None if that is not known
    done   how many of them were done in an earlier run
    """

    def __init__(self, show: bool | None, total: int | None = None, done: int = 0) -> None:
        self._bar: Any = None
        available = importlib.util.find_spec("tqdm") is not None
        if show and not available:
            raise ModuleNotFoundError('a progress bar needs tqdm: pip install "autograd-core[demo]", or progress=False', name="tqdm")
        if show or (show is None and available):
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=done, desc="training", unit="step", dynamic_ncols=True)

    @property
    def is_shown(self) -> bool:
        """Whether there is anything to see."""
        return self._bar is not None

    def step(self, text: str, numbers: Mapping[str, float]) -> None:
        """One step more; the text and the numbers are shown when the bar is drawn next."""
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join([text, *(f"{name.replace('_', ' ')} {value:.4g}" for name, value in numbers.items())]), refresh=False)
            self._bar.update()

    def expect(self, total: int) -> None:
        """There will be so many steps after all."""
        if self._bar is not None:
            self._bar.total = total

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._bar is not None:
            self._bar.write(text)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()
