"""Files: weights that other frameworks read, checkpoints that resume bit for bit, and writing that is whole or not at all."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from functools import partial
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
    with pytest.raises(ValueError, match="the arrays need 800 bytes, but there are 790: it is cut off"):
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


def test_a_model_is_saved_as_its_state_and_the_wrong_arguments_are_named(tmp_path: Path) -> None:
    model, path = nn.MLP(3, 4, 2, generator=0), tmp_path / "weights.safetensors"
    nn.save(model, path)
    assert list(nn.load(path)) == list(model.state_dict())
    with pytest.raises(TypeError, match="what is saved comes first, then the path"):
        nn.save(str(path), model)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"'state' is no array but a dict; .* nn.save_checkpoint"):
        nn.save(optim.SGD(model.parameters()), path)
    with pytest.raises(TypeError, match="give a module or a dict of arrays"):
        nn.save([1], path)


def test_bfloat16_and_float8_become_float32(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch_files = pytest.importorskip("safetensors.torch")
    bits = torch.arange(256, dtype=torch.uint8)
    tensors = {
        "bfloat16": torch.tensor([1.5, -3.0, 1e30, float("inf")]).to(torch.bfloat16),
        "e4m3": bits.view(torch.float8_e4m3fn),
        "e5m2": bits.clone().view(torch.float8_e5m2),
        "half": torch.ones(3, dtype=torch.float16),
    }
    torch_files.save_file(tensors, tmp_path / "x")
    for name, array in nn.load(tmp_path / "x").items():
        assert array.dtype == (np.float16 if name == "half" else np.float32)
        np.testing.assert_array_equal(array, tensors[name].to(torch.float32).numpy())
    linear = nn.Linear(2, 2)
    linear.load_state_dict({"weight": torch.full((2, 2), 1.5, dtype=torch.bfloat16), "bias": torch.zeros(2)})
    np.testing.assert_array_equal(linear.weight.data, 1.5)


def test_torch_reads_what_is_written_here_with_its_metadata(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    arrays = {
        "b": np.arange(6, dtype=np.int8).reshape(2, 3),
        "a": np.array(0.5),
        "empty": np.zeros((0, 2), np.float16),
        "z": np.ones(3, np.complex64),
    }
    nn.save(arrays, tmp_path / "x", {"epoch": "3"})
    assert list(nn.load(tmp_path / "x")) == list(arrays)
    with safetensors.safe_open(tmp_path / "x", framework="numpy") as file:
        assert file.metadata()["epoch"] == "3"
        for name, array in arrays.items():
            np.testing.assert_array_equal(file.get_tensor(name), array)


HEADERS = [
    (b"", "at least 8"),
    (b"\x00" * 7, "at least 8"),
    ((10**6).to_bytes(8, "little") + b"{}", "the header should have 1000000 bytes"),
    ((1 << 63).to_bytes(8, "little") + b"{}", "the header should have"),
]
ENTRIES: list[tuple[Any, str]] = [
    ("[]", "a dict was expected"),
    ("{", "not JSON"),
    ("[" * 100_000, "not JSON"),
    ("\ud800", "not JSON"),
    ('{"a": 1, "a": 2}', "stands there twice"),
    ({"__metadata__": 1}, "metadata: a dict of texts"),
    ({"a": {}}, "array 'a': its dtype, shape and place"),
    ({"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}, "its dtype 'F4' is none of BOOL"),
    ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, "makes no sense"),
    ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, "makes no sense"),
    ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}}, "does not fill the 4 bytes"),
    ({"a": {"dtype": "F32", "shape": [1 << 62, 0], "data_offsets": [0, 0]}}, "does not fill"),
    ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "begins at byte 4, but the one before ends at 0"),
    ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "U8", "shape": [2], "data_offsets": [2, 4]}}, "begins at byte 2"),
    ({}, "the arrays need 0 bytes, but there are 4"),
]


def _file(entry: Any) -> bytes:
    text = (entry if isinstance(entry, str) else json.dumps(entry)).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + bytes(4)


@pytest.mark.parametrize(("content", "problem"), [*HEADERS, *((_file(entry), problem) for entry, problem in ENTRIES)])
def test_what_is_wrong_with_a_file_is_said(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(nn.DamagedFileError, match=problem) as caught:
        nn.load(path)
    assert str(path) in str(caught.value)
    assert caught.value.path == str(path)
    assert caught.value.where


def test_a_file_is_named_in_an_error_that_went_through_another_process(tmp_path: Path) -> None:
    error = pickle.loads(pickle.dumps(nn.DamagedFileError(tmp_path / "x", "is bad", "header")))
    assert str(error) == f"{str(tmp_path / 'x')!r} cannot be read: header: is bad"


class Parts:
    """Everything that a checkpoint of a run holds."""

    def __init__(self, steps: int) -> None:
        self.model = nn.MLP(3, 4, 2, generator=0)
        self.optimizer = optim.Lookahead(optim.Adam(self.model.parameters(), lr=optim.Plateau(0.1, patience=0)), k=2)
        self.scheduled = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.scheduler = optim.lr_scheduler.SequentialLR(
            self.scheduled, [optim.lr_scheduler.LinearLR(self.scheduled), optim.lr_scheduler.ExponentialLR(self.scheduled, 0.9)], [2]
        )
        self.mean = optim.WeightAverage(self.model.parameters())
        self.batches = nn.batches(np.arange(7), batch_size=2, shuffle=True, seed=0)
        self.random = np.random.default_rng(0)
        loader = iter(self.batches)
        for _ in range(steps):
            next(loader)
            for p in self.model.parameters():
                p.grad = ag.tensor(self.random.normal(size=p.shape).astype(np.float32))
            for part in (self.optimizer, self.scheduled, self.scheduler):
                part.step()
            self.optimizer.param_groups[0]["lr"].report(1.0)
            self.mean.update()

    def seen(self) -> str:
        states = {name: part.bit_generator.state if name == "random" else part.state_dict() for name, part in vars(self).items()}
        with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
            return repr(states)


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """A file with something wrong: bytes changed, cut out, put in, texts of the header replaced."""
    data = bytearray(content)
    header = int.from_bytes(content[:8], "little") + 8
    kind = random.integers(6)
    at = int(random.integers(header if random.random() < 0.7 else len(data)))
    if kind == 0:
        data[at] ^= 1 << int(random.integers(8))
    elif kind == 1:
        data = data[:at]
    elif kind == 2:
        del data[at : at + int(random.integers(1, 20))]
    elif kind == 3:
        data[at:at] = random.bytes(int(random.integers(1, 20)))
    else:  # what is JSON still, but something else
        text = content[8:header].decode()
        words = re.findall(r'\\"\w+\\"|\d+(?:\.\d+)?|null|true|false|\[|\]', text)
        word = words[int(random.integers(len(words)))]
        other = ["null", "7", "-1", '\\"x\\"', "[]", "true", "1e999", "{}", words[int(random.integers(len(words)))]][int(random.integers(9))]
        places = [m.start() for m in re.finditer(re.escape(word), text)]
        place = places[int(random.integers(len(places)))]
        text = text[:place] + other + text[place + len(word) :]
        data = bytearray(len(text.encode()).to_bytes(8, "little") + text.encode() + content[header:])
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_checkpoint_is_refused_by_name_or_read_and_nothing_is_half_loaded(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "run"
    nn.save_checkpoint(path, **vars(Parts(3)))
    content = path.read_bytes()
    target = Parts(1)
    before = target.seen()
    refused = 0
    random = np.random.default_rng(seed)
    for _ in range(250):
        path.write_bytes(damaged(content, random))
        error = error_of(partial(nn.load_checkpoint, path, **vars(target)))
        if error is None:  # a number or a name was changed into another one that makes sense
            target = Parts(1)
        else:
            assert isinstance(error, nn.DamagedFileError | KeyError)
            assert str(path) in str(error)
            assert target.seen() == before
            refused += 1
    assert refused > 150


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_file_of_weights_is_refused_by_name(seed: int, tmp_path: Path) -> None:
    path, model = tmp_path / "weights", nn.MLP(3, 4, 2, generator=0)
    nn.save(model, path)
    content = path.read_bytes()
    before = content_of(model)
    random = np.random.default_rng(seed)
    for _ in range(500):
        path.write_bytes(damaged(content, random))
        error = error_of(lambda: model.load_state_dict(nn.load(path)))
        if isinstance(error, nn.DamagedFileError):
            assert str(path) in str(error)
        elif error is not None:  # a name or a shape is another one
            assert isinstance(error, KeyError | ValueError | TypeError)
        assert content_of(model) == before


def error_of(function: Any) -> Exception | None:
    """What a function raises, if it does."""
    try:
        function()
    except Exception as error:  # noqa: BLE001  which kind it may be is asserted where this is called
        return error
    return None


def content_of(model: Any) -> list[bytes]:
    return [p.data.tobytes() for p in model.parameters()]


def test_one_part_that_does_not_fit_leaves_all_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "run"
    nn.save_checkpoint(
        path, model=nn.Linear(2, 2), random=np.random.default_rng(5), optimizer=optim.SGD(nn.Linear(3, 2).parameters()), foreign=Foreign(3)
    )
    model, random, foreign = nn.Linear(2, 2, generator=0), np.random.default_rng(0), Foreign(1)
    before = content_of(model), random.bit_generator.state
    with pytest.raises(nn.DamagedFileError, match=r"part 'optimizer': it does not fit: SGD: the state is of groups of \[2\] parameters"):
        nn.load_checkpoint(path, model=model, random=random, foreign=foreign, optimizer=optim.SGD(nn.Linear(2, 2, bias=False).parameters()))
    assert (content_of(model), random.bit_generator.state, foreign.value) == (*before, 1)
    fails = Foreign(1, fails=True)
    with pytest.raises(RuntimeError, match="no more room"):
        nn.load_checkpoint(path, model=model, random=random, foreign=foreign, optimizer=fails)
    assert (content_of(model), random.bit_generator.state, foreign.value) == (*before, 1)


class Foreign:
    """Somebody else's part: it can load its state at once only."""

    def __init__(self, value: int, fails: bool = False) -> None:
        self.value = value
        self.fails = fails

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: Any) -> None:
        if self.fails and "param_groups" in state:
            raise RuntimeError("no more room")
        self.value = state["value"]


def test_what_a_killed_process_left_is_swept_by_the_next_save(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    left = tmp_path / f".run-{int(killed.stdout)}-0123abcd.safetensors"
    alive = tmp_path / f".run-{os.getppid()}-0123abcd.safetensors"
    other = tmp_path / f".runner-{int(killed.stdout)}-0123abcd.safetensors"
    for file in (left, alive, other):
        file.write_text("half")
    nn.save_checkpoint(tmp_path / "run.safetensors", epoch=1)
    assert not left.exists()
    assert alive.exists()
    assert other.exists()


def test_keys_that_would_come_back_as_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="table is a dict, which a checkpoint cannot hold"):
        nn.save_checkpoint(tmp_path / "x", table={(1, 2): 3})
    nn.save_checkpoint(tmp_path / "x", table={1: 2.0, "a": None, 0.5: [float("inf")]})
    assert nn.load_checkpoint(tmp_path / "x") == {"table": {1: 2.0, "a": None, 0.5: [float("inf")]}}
