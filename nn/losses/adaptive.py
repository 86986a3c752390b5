"""`AdaptiveLogSoftmaxWithLoss`: cross entropy over many classes of which a few are frequent."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nn import functional, init
from nn.casting import dtype_of_new
from nn.containers import ModuleList, Sequential
from nn.functional.losses.arguments import as_input, check_labels, require_labels
from nn.linear import Linear
from nn.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _Result(NamedTuple):
    output: Any
    loss: Any


class AdaptiveLogSoftmaxWithLoss(Module):
    """The adaptive softmax: frequent classes stand in the head, rarer ones in clusters that are computed when needed (Grave et al. 2017).

    in_features  size of the last axis of the input
    n_classes    number of classes, numbered from the most to the least frequent
    cutoffs      where clusters begin, increasing and between 1 and n_classes - 1: [10, 100] of 1000 classes makes the head 0..9 and the
                 clusters 10..99 and 100..999
    div_value    how much narrower each next cluster's projection is
    head_bias    whether the head has a bias
    device, dtype  of the parameters: the CPU; float32 if none is given
    generator    where the initial values come from
    head, tail   `Linear` to the head's classes and one score per cluster; two bias-free `Linear` for each cluster

    Called with an input (N, in_features) and class indices (N,), or (in_features,) and (), it returns the named tuple (output, loss):
    the log-probability of each target, and the mean of its negative.

    >>> import numpy as np, nn
    >>> adaptive = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], generator=0)
    >>> x = np.ones((3, 8), dtype=np.float32)
    >>> adaptive(x, np.array([0, 5, 19])).output.shape, adaptive.log_prob(x).shape, adaptive.predict(x).shape
    ((3,), (3, 20), (3,))
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        ends = list(cutoffs)
        if not ends or ends != sorted(set(ends)) or ends[0] <= 0 or ends[-1] > n_classes - 1 or any(int(c) != c for c in ends):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs must be increasing integers between 1 and n_classes - 1 = {n_classes - 1}, not {cutoffs}"
            )
        dtype = dtype_of_new("AdaptiveLogSoftmaxWithLoss", device, dtype)
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*map(int, ends), n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(ends)
        self.head_size = self.shortlist_size + self.n_clusters
        random = init.as_generator(generator)
        self.head = Linear(in_features, self.head_size, bias=head_bias, dtype=dtype, generator=random)
        self.tail = ModuleList()
        for i, (start, end) in enumerate(itertools.pairwise(self.cutoffs)):
            width = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, dtype=dtype, generator=random),
                    Linear(width, end - start, bias=False, dtype=dtype, generator=random),
                )
            )

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw the parameters anew."""
        random = init.as_generator(generator)
        for linear in self.modules():
            if isinstance(linear, Linear):
                linear.reset_parameters(random)

    def forward(self, input: Any, target: Any) -> _Result:
        input, target = self._checked(input, target)
        rows, labels = (input, target) if target.ndim else (input.reshape((1, self.in_features)), target.reshape((1,)))
        first = functional.log_softmax(self.head(rows), 1)
        cluster = np.searchsorted(self.cutoffs, labels, side="right")
        place = np.where(cluster == 0, labels, self.shortlist_size + cluster - 1)
        output = first[np.arange(len(labels)), place]
        order, inside = [np.flatnonzero(cluster == 0)], [np.zeros(int(np.sum(cluster == 0)), dtype=output.dtype)]
        for i in range(self.n_clusters):
            members = np.flatnonzero(cluster == i + 1)
            if len(members):
                within = functional.log_softmax(self.tail[i](rows[members]), 1)
                order.append(members)
                inside.append(within[np.arange(len(members)), labels[members] - self.cutoffs[i]])
        # The clusters' parts stand one after the other; the order's inverse brings them back to their rows.
        output = output + np.concatenate(inside)[np.argsort(np.concatenate(order))]
        return _Result(output if target.ndim else output.reshape(()), -np.mean(output))

    def _checked(self, input: Any, target: Any) -> tuple[Any, Any]:
        name = "AdaptiveLogSoftmaxWithLoss"
        input = as_input(input)
        if input.ndim not in (1, 2) or input.shape[-1] != self.in_features:
            raise ValueError(f"{name}: input has shape {input.shape}; expected (N, {self.in_features}) or ({self.in_features},)")
        target = np.asarray(require_labels(name, target, input.shape[:-1], input))
        labels = target.reshape(-1)
        check_labels(name, (labels < 0) | (labels >= self.n_classes), labels, input.shape, self.n_classes)
        return input, target

    def log_prob(self, input: Any) -> Any:
        """The log-probabilities (N, n_classes) of all classes."""
        input = as_input(input)
        head = functional.log_softmax(self.head(input), 1)
        clusters = [functional.log_softmax(self.tail[i](input), 1) + head[:, self.shortlist_size + i][:, None] for i in range(self.n_clusters)]
        return np.concatenate([head[:, : self.shortlist_size], *clusters], axis=1)

    def predict(self, input: Any) -> Any:
        """The most probable class (N,) of each row; the clusters are computed only for rows whose head chooses one."""
        input = as_input(input)
        best = np.array(np.argmax(self.head(input), axis=1))
        rare = np.flatnonzero(best >= self.shortlist_size)
        if len(rare):
            best[rare] = np.argmax(self.log_prob(input[rare]), axis=1)
        return best
