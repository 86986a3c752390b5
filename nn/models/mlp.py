"""The multi-layer perceptron.

Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors".
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nn import activations, init
from nn.activations import ReLU
from nn.containers import Sequential
from nn.linear import Linear
from nn.module import Module

__all__ = ["MLP"]


class MLP(Sequential):
    """A multi-layer perceptron: linear layers of the given sizes with an activation between them.

    sizes       (inputs, hidden, ..., outputs)
    activation  a module class, a function that makes a module, a module (copied for each place), or the name of a class: "relu", "tanh"
    generator   where the initial values come from: a generator, a seed, or None

    Weights are drawn by `kaiming_normal_` before relu, by `xavier_normal_` before anything else; biases are 0.

    >>> import numpy as np, nn
    >>> model = nn.MLP(64, 32, 10, generator=0)
    >>> model(np.zeros((5, 64), dtype=np.float32)).shape, sum(p.size for p in model.parameters())
    ((5, 10), 2410)
    """

    def __init__(self, *sizes: int | Sequence[int], activation: Any = ReLU, dtype: Any = np.float32, generator: init.Seed = None) -> None:
        widths: Sequence[Any] = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes
        if len(widths) < 2:
            raise ValueError(f"MLP: needs the sizes of the input and the output at least, as in MLP(64, 32, 10); got {tuple(widths)}")
        random = init.as_generator(generator)
        linears = [Linear(fan_in, fan_out, dtype=dtype, generator=random) for fan_in, fan_out in itertools.pairwise(widths)]
        make = _maker_of(activation)
        between = [make() for _ in linears[1:]]
        for linear, after in itertools.zip_longest(linears, between):
            draw = init.kaiming_normal_ if isinstance(after, ReLU) else init.xavier_normal_
            draw(linear.weight, generator=random)
            init.zeros_(linear.bias)
        pairs = itertools.zip_longest(linears, between)
        super().__init__(*[module for pair in pairs for module in pair if module is not None])


def _maker_of(activation: Any) -> Callable[[], Module]:
    """What makes the activations of an `MLP`."""
    if isinstance(activation, Module):
        return lambda: copy.deepcopy(activation)
    if isinstance(activation, str):
        known = {name.lower(): name for name in activations.__all__}
        if activation.lower().replace("_", "") not in known:
            raise ValueError(f"MLP: activation {activation!r} is unknown; there are {', '.join(sorted(known))}, or give a class such as nn.ReLU")
        found: Callable[[], Module] = getattr(activations, known[activation.lower().replace("_", "")])
        return found
    if not callable(activation):
        raise TypeError(f"MLP: activation must be a module class such as nn.ReLU, a module, or a name such as 'relu', not {activation!r}")
    return activation
