"""Files: weights that other frameworks read, checkpoints that resume bit for bit, and writing that is whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from nn import functional
from nn.saving import replacing

safetensors_numpy = pytest.importorskip("safetensors.numpy")


def test_saved_weights_come_back_and_other_programs_can_read_them(tmp_path: Path) -> None:
    model, path = nn.MLP(3, 4, 2, generator=0), tmp_path / "weights.safetensors"
    nn.save(model.state_dict(), path, {"epoch": "3"})
    other = nn.MLP(3, 4, 2, generator=1)
    other.load_state_dict(nn.load(path))
    theirs = safetensors_numpy.load_file(path)
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
        np.testing.assert_array_equal(p.data, theirs[name])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f8", "int8", "uint64", "bool", "complex64"])
def test_arrays_keep_dtype_shape_and_values(dtype: str, tmp_path: Path) -> None:
    arrays = {"a": np.ones((2, 3), dtype=dtype).T, "b": np.zeros((), dtype=dtype), "c": np.zeros((0, 3), dtype=dtype)[::-1]}
    nn.save(arrays, tmp_path / "x.safetensors")
    for name, array in nn.load(tmp_path / "x.safetensors").items():
        assert array.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(array, arrays[name])
        assert array.shape == arrays[name].shape


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write(error: type[BaseException]) -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            write(error)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(TypeError, match="save: b has dtype <U1"):
        nn.save({"a": np.ones(1), "b": np.array("x")}, path)
    assert path.read_text() == "old"


def test_reading_what_is_not_there_or_damaged_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        nn.load(tmp_path / "none")
    whole = tmp_path / "whole"
    nn.save({"a": np.ones(100)}, whole)
    (tmp_path / "cut").write_bytes(whole.read_bytes()[:-10])
    with pytest.raises(ValueError, match="is damaged"):
        nn.load(tmp_path / "cut")
    with pytest.raises(ValueError, match="is no checkpoint"):
        nn.load_checkpoint(whole)


class Run:
    """A training run with everything that has a state: momentum, moments, shuffling, noise."""

    def __init__(self, make_optimizer: Any) -> None:
        self.random = np.random.default_rng(0)
        self.model = nn.MLP(4, 8, 3, generator=self.random)
        self.optimizer = make_optimizer(self.model.parameters())
        data = np.random.default_rng(1)
        x, y = data.normal(size=(30, 4)).astype(np.float32), data.integers(0, 3, size=30)
        self.batches = nn.batches(x, y, batch_size=8, shuffle=True, seed=self.random)
        self.steps = 0

    def parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "batches": self.batches, "random": self.random}

    def train(self, until: int) -> None:
        while self.steps < until:
            for x, y in self.batches:
                noisy = x + 0.1 * self.random.normal(size=x.shape).astype(np.float32)
                self.optimizer.zero_grad()
                functional.cross_entropy(self.model(ag.tensor(noisy)), y).backward()
                self.optimizer.step()
                self.steps += 1
                if self.steps == until:
                    break


@pytest.mark.parametrize(
    "make_optimizer",
    [lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), lambda p: optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=1e-3)],
    ids=["SGD", "Adam"],
)
@pytest.mark.parametrize("killed_after", [1, 4, 6])
def test_a_run_that_was_killed_goes_on_bit_for_bit(make_optimizer: Any, killed_after: int, tmp_path: Path) -> None:
    whole = Run(make_optimizer)
    whole.train(12)
    first = Run(make_optimizer)
    first.train(killed_after)
    nn.save_checkpoint(tmp_path / "run", **first.parts(), steps=first.steps, history=[1.5, (2, None)])
    second = Run(make_optimizer)
    second.train(2)  # whatever it did before is overwritten
    rest = nn.load_checkpoint(tmp_path / "run", **second.parts())
    assert rest == {"steps": killed_after, "history": [1.5, (2, None)]}
    second.steps = rest["steps"]
    second.train(12)
    for p, q in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_a_checkpoint_names_what_it_cannot_hold_or_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="options/f is a function"):
        nn.save_checkpoint(tmp_path / "x", options={"f": lambda: 1})
    nn.save_checkpoint(tmp_path / "x", epoch=1)
    with pytest.raises(KeyError, match="has no part 'model'; it has epoch"):
        nn.load_checkpoint(tmp_path / "x", model=nn.ReLU())
    with pytest.raises(TypeError, match="epoch=int cannot be restored in place"):
        nn.load_checkpoint(tmp_path / "x", epoch=3)
