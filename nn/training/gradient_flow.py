"""How gradients flow through a model: where they vanish, where they explode, which units are dead, and how fast weights move.

Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", section 4.2; the ratio of
updates to weights, which should be near 1e-3: Karpathy, "CS231n", Neural networks part 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag
from nn.activations import ELU, SELU, Hardsigmoid, Hardtanh, ReLU, ReLU6, Sigmoid, Tanh
from nn.hooks import HookHandle
from nn.module import Module
from nn.training.callbacks import Callback

__all__ = ["GradientFlow"]

# Activation -> whether an output lies where the slope is 0, or hardly more.
_FLAT: dict[type[Module], Callable[[Any], Any]] = {
    ReLU: lambda y: y <= 0,
    ReLU6: lambda y: (y <= 0) | (y >= 6),
    ELU: lambda y: y < -0.99,
    SELU: lambda y: y < -1.74,
    Sigmoid: lambda y: (y < 0.01) | (y > 0.99),
    Hardsigmoid: lambda y: (y <= 0) | (y >= 1),
    Tanh: lambda y: abs(y) > 0.99,
    Hardtanh: lambda y: abs(y) >= 1,
}
_COLORS = {"fine": "#1f77b4", "vanishing": "#d62728", "exploding": "#9467bd"}


class GradientFlow(Callback):
    """Statistics of a model's layers (modules that have parameters), every so many steps.

    every   how many steps lie between two looks
    ratio   a layer's gradient has vanished if its root mean square is this much smaller than the last layer's; it has exploded if it is this much
            larger, or larger than this number

    norms   layer -> the norm of its gradient at each look
    ratios  layer -> |update| / |weights| at each look
    dead    activation -> the fraction of its units that were flat for a whole batch, at each look (channels of images, features otherwise);
            of ReLU, ReLU6, ELU, SELU, Sigmoid, Hardsigmoid, Tanh and Hardtanh modules; what is called as a function is not seen

    In a loop of one's own: `flow.watch(model)` before it, `flow.before_step()` between `backward()` and `step()`, `flow.after_step()` after it.
    """

    def __init__(self, every: int = 10, ratio: float = 1e3) -> None:
        if not isinstance(every, int) or every < 1 or not ratio > 1:
            raise ValueError(f"GradientFlow: every={every!r} and ratio={ratio!r}; expected an integer >= 1 and a number > 1")
        self.every = every
        self.ratio = ratio
        self.looks: list[int] = []  # at which steps
        self.steps = 0
        self.norms: dict[str, list[float]] = {}
        self.ratios: dict[str, list[float]] = {}
        self.dead: dict[str, list[float]] = {}
        self.sizes: dict[str, int] = {}
        self._layers: dict[str, list[Any]] = {}
        self._before: dict[str, list[Any]] = {}
        self._flat: dict[str, float] = {}  # of the batch that was seen last
        self._handles: list[HookHandle] = []

    @property
    def _is_looking(self) -> bool:
        return self.steps % self.every == 0

    def watch(self, model: Module) -> None:
        """Look at this model from now on; at its activations until `unwatch`."""
        self.unwatch()
        self._layers = {}
        for name, parameter in model.named_parameters():
            self._layers.setdefault(name.rpartition(".")[0] or type(model).__name__, []).append(parameter)
        self.sizes = {layer: sum(p.size for p in parameters) for layer, parameters in self._layers.items()}
        for path, module in model.named_modules():
            if type(module) in _FLAT:
                self._handles.append(module.register_forward_hook(self._looking_at(path or type(model).__name__)))

    def unwatch(self) -> None:
        """Take the hooks off the activations."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _looking_at(self, path: str) -> Callable[[Any, Any, Any], None]:
        def look(module: Module, args: Any, output: Any) -> None:
            if self._is_looking and module.training:
                values = output.detach().numpy() if isinstance(output, ag.Tensor) else output
                flat = _FLAT[type(module)](values)
                units = 1 if values.ndim >= 4 else values.ndim - 1
                self._flat[path] = float(flat.all(axis=tuple(axis for axis in range(values.ndim) if axis != units)).mean())

        return look

    def before_step(self) -> None:
        """Note the gradients, and the weights before they change."""
        if self._is_looking:
            self.looks.append(self.steps)
            for layer, parameters in self._layers.items():
                self.norms.setdefault(layer, []).append(_norm([p.grad for p in parameters if p.grad is not None]))
                self._before[layer] = [p.data.copy() for p in parameters]
            for path, fraction in self._flat.items():
                self.dead.setdefault(path, []).append(fraction)

    def after_step(self) -> None:
        """Note how far the weights have moved."""
        if self._is_looking and self._before:
            for layer, parameters in self._layers.items():
                before = self._before[layer]
                moved = _norm([p.data - old for p, old in zip(parameters, before, strict=True)])
                self.ratios.setdefault(layer, []).append(moved / max(_norm(before), 1e-300))
            self._before = {}
        self.steps += 1

    def begin(self, run: Any) -> None:
        self.watch(run.model)

    def gradients(self, run: Any) -> None:
        self.before_step()

    def step(self, run: Any) -> None:
        self.after_step()

    def end(self, run: Any) -> None:
        self.unwatch()

    def state_dict(self) -> dict[str, Any]:
        """All that was seen, as plain data."""
        return {name: getattr(self, name) for name in ("looks", "steps", "norms", "ratios", "dead")}

    def load_state_dict(self, state: Any) -> None:
        """Go on from a `state_dict`."""
        self.__dict__.update({name: state[name] for name in ("looks", "steps", "norms", "ratios", "dead")})

    # --- what it means ----------------------------------------------------------------------------------------------------

    def root_mean_squares(self) -> dict[str, float]:
        """Layer -> the root mean square of its gradient's elements, the median over the looks."""
        return {layer: float(np.median(norms)) / math.sqrt(self.sizes[layer]) for layer, norms in self.norms.items()}

    def diagnosis(self) -> dict[str, str]:
        """Layer -> "vanishing", "exploding" or "fine"; activation -> "dead" if more than half of its units were flat at the last look."""
        sizes = self.root_mean_squares()
        last = next(reversed(sizes.values()), 0.0)
        found = {layer: self._verdict(size, last) for layer, size in sizes.items()}
        return found | {path: "dead" for path, fractions in self.dead.items() if fractions and fractions[-1] > 0.5}

    def _verdict(self, size: float, last: float) -> str:
        if not size <= self._limit(last):  # nan too
            return "exploding"
        return "vanishing" if size == 0 or size < last / self.ratio else "fine"

    def _limit(self, last: float) -> float:
        """Above which size a gradient has exploded, if that of the last layer is `last`."""
        return self.ratio * min(last, 1.0)

    def plot(self) -> Any:
        """Draw gradients by layer and by step, updates, and dead units; returns matplotlib's figure."""
        try:
            from matplotlib import pyplot
        except ModuleNotFoundError:
            raise ModuleNotFoundError('plotting gradients needs matplotlib: pip install "autograd-core[viz]"', name="matplotlib") from None
        if not self.looks:
            raise ValueError("GradientFlow: nothing was seen yet; give it to nn.fit as a callback, or call watch, before_step and after_step")
        width = max(10.0, 4 + 0.45 * len(self.norms))
        figure, axes = pyplot.subplots(2, 2, figsize=(width, 8.4), dpi=110, layout="constrained")
        self._draw_gradients(axes[0, 0])
        self._draw_times(axes[0, 1], figure)
        self._draw_updates(axes[1, 0])
        self._draw_dead(axes[1, 1])
        verdicts = list(self.diagnosis().values())
        counts = [f"{verdicts.count(what)} {what}" for what in ("vanishing", "exploding", "dead") if what in verdicts]
        figure.suptitle(f"Gradient flow through {len(self.norms)} layers: {', '.join(counts) or 'nothing vanishes, explodes or is dead'}")
        return figure

    def _draw_gradients(self, axes: Any) -> None:
        layers, verdicts = list(self.norms), self.diagnosis()
        values = np.array([self.norms[layer] for layer in layers]) / np.sqrt([[self.sizes[layer]] for layer in layers])
        middle = np.median(values, axis=1)
        floor = middle[middle > 0].min(initial=middle[-1] or 1.0) / 10  # where a gradient of exactly 0 is drawn
        at = np.arange(len(layers))
        axes.plot(at, np.maximum(middle, floor), color="0.6", linewidth=1, zorder=1)
        axes.vlines(at, np.maximum(values.min(axis=1), floor), np.maximum(values.max(axis=1), floor), color="0.75", linewidth=5, zorder=1)
        for verdict, color in _COLORS.items():
            chosen = [i for i, layer in enumerate(layers) if verdicts[layer] == verdict]
            if chosen:
                axes.scatter(chosen, np.maximum(middle[chosen], floor), color=color, s=45, label=f"{verdict} ({len(chosen)})", zorder=2)
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        low, high = min(low, middle[-1] / self.ratio / 10), max(high, 10 * self._limit(middle[-1]))
        axes.axhspan(low, middle[-1] / self.ratio, color=_COLORS["vanishing"], alpha=0.1, linewidth=0)
        axes.axhspan(self._limit(middle[-1]), high, color=_COLORS["exploding"], alpha=0.1, linewidth=0)
        axes.text(0.01, 0.02, "vanishing", color=_COLORS["vanishing"], transform=axes.transAxes, fontsize=9)
        axes.text(0.01, 0.98, "exploding", color=_COLORS["exploding"], transform=axes.transAxes, fontsize=9, va="top")
        axes.set_ylim(low, high)
        axes.set(title="Gradient by layer, from input to output", ylabel="root mean square (median; bar: all steps)")
        axes.legend(frameon=False, fontsize=8, loc="upper right")
        _name_places(axes, layers)

    def _draw_times(self, axes: Any, figure: Any) -> None:
        layers = list(self.norms)
        values = np.array([self.norms[layer] for layer in layers]) / np.sqrt([[self.sizes[layer]] for layer in layers])
        positive = values[(values > 0) & np.isfinite(values)]
        low = positive.min(initial=1e-30)
        logs = np.log10(np.clip(np.nan_to_num(values, nan=np.inf), low, positive.max(initial=1.0)))
        extent = (self.looks[0] - self.every / 2, self.looks[-1] + self.every / 2, len(layers) - 0.5, -0.5)
        image = axes.imshow(logs, aspect="auto", interpolation="nearest", cmap="viridis", extent=extent)
        figure.colorbar(image, ax=axes, label="log10 of the root mean square")
        axes.set(title="Gradient by step", xlabel="step")
        axes.set_yticks(range(len(layers)), layers, fontsize=8)
        axes.xaxis.get_major_locator().set_params(integer=True)

    def _draw_updates(self, axes: Any) -> None:
        layers = [layer for layer in self.norms if layer in self.ratios]
        values = np.array([self.ratios[layer] for layer in layers])
        if values.size:
            middle = np.median(values, axis=1)
            floor = middle[middle > 0].min(initial=1e-3) / 10
            axes.bar(range(len(layers)), np.maximum(middle, floor) - floor, bottom=floor, color="#1f77b4", width=0.6)
            axes.set_yscale("log")
        axes.axhline(1e-3, color="0.3", linestyle="--", linewidth=1)
        axes.annotate("0.001, a usual size", (1, 1e-3), xycoords=("axes fraction", "data"), fontsize=8, color="0.3", ha="right", va="bottom")
        axes.set(title="Update of each layer", ylabel="|update| / |weights| (median)")
        _name_places(axes, layers)

    def _draw_dead(self, axes: Any) -> None:
        paths = list(self.dead)
        percent = [100 * self.dead[path][-1] for path in paths]
        axes.bar(range(len(paths)), percent, color=["#d62728" if value > 50 else "#1f77b4" for value in percent], width=0.6)
        axes.set(title="Dead units, at the last look", ylabel="% flat for a whole batch", ylim=(0, 100))
        if not paths:
            axes.text(0.5, 0.5, "no activation modules", transform=axes.transAxes, ha="center", color="0.4")
        _name_places(axes, paths)


def _norm(tensors: list[Any]) -> float:
    """The norm of all elements together; inf where there is an inf, nan where there is a nan."""
    arrays = [tensor.data if isinstance(tensor, ag.Tensor) else tensor for tensor in tensors]
    return math.hypot(*(float(np.linalg.norm(array.reshape(-1).astype(np.float64))) for array in arrays))


def _name_places(axes: Any, names: list[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=60 if len(names) > 5 else 0, ha="right" if len(names) > 5 else "center", fontsize=8)
    axes.grid(alpha=0.25, axis="y")
    axes.spines[["top", "right"]].set_visible(False)
