"""An error in a model says which module it comes from."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import nn
from nn.models import small_resnet
from nn.places import naming_layers


def notes_of(model: nn.Module, *inputs: Any) -> list[str]:
    with pytest.raises((ValueError, TypeError)) as raised:
        model(*inputs)
    pickle.dumps(raised.value)
    return list(raised.value.__notes__)


def test_an_error_names_the_layer_by_its_path_in_the_model() -> None:
    model = nn.Sequential({"body": nn.Sequential(nn.Linear(3, 4), nn.ReLU()), "head": nn.Linear(5, 2)})
    x = np.ones((2, 3), dtype=np.float32)
    with pytest.raises(
        ValueError, match=r"(?s)linear: input of shape \(2, 4\) for a weight of shape \(2, 5\).*in head \(Linear\) of Sequential"
    ) as raised:
        model(x)
    assert raised.value.__notes__ == ["in head (Linear) of Sequential"]
    assert notes_of(model, np.ones((2, 7), dtype=np.float32)) == ["in body.0 (Linear) of Sequential"]
    assert notes_of(nn.Linear(3, 4), [1.0, 2.0, 3.0]) == ["in Linear"]
    net = small_resnet()
    net.layer2[0].conv2 = nn.Conv2d(3, 4, 3)
    assert notes_of(net, np.ones((1, 1, 8, 8), dtype=np.float32)) == ["in layer2.0.conv2 (Conv2d) of ResNet"]


def test_modules_that_are_called_through_others_or_are_no_part_are_named_too() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            self.parts = nn.ModuleList([nn.ModuleDict({"a": nn.Linear(1, 1)})])
            self.extra: Any = None

        def forward(self, x: Any) -> Any:
            return self.parts[0]["a"](x) if self.extra is None else self.extra(x)

    model = Deep()
    assert notes_of(nn.Sequential(model), np.ones((1, 2))) == ["in 0.parts.0.a (Linear) of Sequential"]
    stranger = nn.Linear(1, 1)
    model.extra = lambda x: stranger(x)
    assert notes_of(model, np.ones((1, 2))) == ["in Linear"]


def test_hooks_errors_and_repeated_calls_have_one_note_each() -> None:
    layer = nn.Tanh()

    def fail(module: Any, args: Any) -> None:
        raise ValueError("no")

    layer.register_forward_pre_hook(fail)
    model = nn.Sequential(layer)
    for _ in range(2):
        assert notes_of(model, np.ones(1)) == ["in 0 (Tanh) of Sequential"]
    with pytest.raises(TypeError, match=r"Linear: input must be a tensor or an array, not list; np.asarray\(...\) makes one of a list"):
        nn.Linear(2, 2)([1.0, 2.0])
    assert nn.Flatten(0)([[1.0], [2.0]]).shape == (2,)


def test_the_note_moves_into_the_text_where_that_is_wanted() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 5))
    with pytest.raises(ValueError, match=r"^in 1 \(Linear\) of Sequential: linear: ") as raised, naming_layers():
        model(np.ones((1, 2)))
    assert not raised.value.__notes__
    with pytest.raises(KeyError) as other, naming_layers():
        {}["no module has raised this"]
    assert other.value.args == ("no module has raised this",)
