"""The program that trains a residual network: its losses are torch's, it goes on bit for bit, and reads the files of MNIST."""

from __future__ import annotations

import gzip
import signal
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from test_nn_models import twin_models

from tools import images, train_cnn

SMALL = ["--limit", "96", "--batch-size", "32", "--widths", "4", "8"]


def options(tmp_path: Path, *arguments: str) -> Any:
    return train_cnn.parse([*SMALL, "--output", str(tmp_path), *arguments])


@pytest.mark.parametrize(("dtype", "steps", "tolerance"), [(np.float64, 50, 1e-9), (np.float32, 9, 1e-4)])
def test_the_first_losses_are_torchs_with_the_same_weights_and_batches(dtype: Any, steps: int, tolerance: float, tmp_path: Path) -> None:
    # In single precision a relu whose input is within rounding of 0 can fall on either side, and change the gradient of the last, small
    # layers by some percent: then the losses part, also those of torch with oneDNN and without it.
    torch = pytest.importorskip("torch")
    run = train_cnn.Run(options(tmp_path, "--epochs", "20", "--lr", "0.1" if dtype == np.float64 else "0.01"), images.digits(0))
    run.model.to(dtype)
    twin = twin_models().small_resnet(10, 1, [4, 8], 1)
    twin.to(torch.from_numpy(np.zeros(1, dtype)).dtype)
    twin.load_state_dict({name: torch.tensor(value.numpy()) for name, value in run.model.state_dict().items()})
    lr = run.optimizer.param_groups[0]["lr"]
    optimizer = torch.optim.SGD(twin.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.steps)
    done = 0
    while done < steps:
        for batch, classes in run.batches:
            batch = batch.astype(dtype)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(twin(torch.tensor(batch)), torch.tensor(classes))
            loss.backward()
            optimizer.step()
            schedule.step()
            assert abs(run.step(batch, classes) - loss.item()) < tolerance, done
            done += 1


def test_it_learns_the_digits_and_writes_whole_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--limit", "600", "--batch-size", "32", "--widths", "8", "16", "--epochs", "6", "--output", str(tmp_path / "out")]
    assert train_cnn.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "600 images of shape (1, 8, 8) to train on, 359 to test on" in printed
    assert float(printed.split("accuracy ")[1].split(" %")[0]) > 90
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"checkpoint.safetensors", "losses.png"}
    assert (tmp_path / "out" / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_was_interrupted_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_cnn, "plot", lambda losses, accuracies, steps, path: path.touch())
    whole = train_cnn.run(options(tmp_path / "whole", "--epochs", "3"))
    step = train_cnn.Run.step
    for steps in (1, 3, 5):  # within an epoch, and at the end of one

        def interrupted(self: Any, batch: Any, classes: Any, steps: int = steps) -> float:
            if len(self.losses) == steps - 1:
                signal.raise_signal(signal.SIGINT)
            return step(self, batch, classes)

        with monkeypatch.context() as patch:
            patch.setattr(train_cnn.Run, "step", interrupted)
            first = train_cnn.run(options(tmp_path / f"{steps}", "--epochs", "3"))
        assert first.interrupted
        assert len(first.losses) == steps
        second = train_cnn.run(options(tmp_path / f"{steps}", "--epochs", "3", "--resume"))
        assert second.losses == whole.losses
        assert second.accuracies == whole.accuracies
        for (name, a), b in zip(whole.model.state_dict().items(), second.model.state_dict().values(), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)


def idx(array: Any, code: int) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_files_are_read_with_the_classes_and_the_test_set_beside_them(tmp_path: Path, compressed: bool, rng: np.random.Generator) -> None:
    suffix = ".gz" if compressed else ""
    for name, count in (("train", 12), ("t10k", 5)):
        pixels, classes = rng.integers(0, 256, size=(count, 9, 7)).astype(np.uint8), (np.arange(count) % 3).astype(np.uint8)
        for kind, array in (("images-idx3", pixels), ("labels-idx1", classes)):
            content = idx(array, 0x08)
            (tmp_path / f"{name}-{kind}-ubyte{suffix}").write_bytes(gzip.compress(content) if compressed else content)
    data = images.from_file(tmp_path / f"train-images-idx3-ubyte{suffix}", None, 0)
    assert (data.train_images.shape, data.test_images.shape, data.classes) == ((12, 1, 9, 7), (5, 1, 9, 7), 3)
    assert data.train_images.dtype == np.float32
    np.testing.assert_allclose([data.train_images.mean(), data.train_images.std()], [0, 1], atol=1e-5)
    np.testing.assert_array_equal(data.test_classes, [0, 1, 2, 0, 1])


def test_idx_arrays_of_every_type_are_read(tmp_path: Path) -> None:
    for code, dtype in {0x08: np.uint8, 0x09: np.int8, 0x0B: np.int16, 0x0C: np.int32, 0x0D: np.float32, 0x0E: np.float64}.items():
        array = np.arange(6).reshape(3, 2).astype(dtype)
        (tmp_path / "file").write_bytes(idx(array, code))
        found = images.read_idx(tmp_path / "file")
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, array)


def test_npz_files_are_read_with_channels_first_or_last(tmp_path: Path, rng: np.random.Generator) -> None:
    np.savez(
        tmp_path / "a.npz", x_train=rng.normal(size=(6, 5, 4, 3)), y_train=np.arange(6) % 2, x_test=rng.normal(size=(2, 5, 4, 3)), y_test=[[0], [1]]
    )
    data = images.from_file(tmp_path / "a.npz", None, 0)
    assert (data.train_images.shape, data.test_images.shape, data.classes) == ((6, 3, 5, 4), (2, 3, 5, 4), 2)
    np.savez(tmp_path / "b.npz", images=rng.normal(size=(10, 5, 4)), labels=np.arange(10) % 4)
    data = images.from_file(tmp_path / "b.npz", None, 0)
    assert (data.train_images.shape, data.test_images.shape) == ((8, 1, 5, 4), (2, 1, 5, 4))
    assert sorted([*data.train_classes, *data.test_classes]) == sorted(np.arange(10) % 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"spam", "is neither an IDX nor an NPZ file"),
        (b"", "is neither an IDX nor an NPZ file"),
        (bytes([0, 0, 8, 3, 0, 0]), "an IDX file that is cut off in its header"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 9, 1]), r"an IDX file of shape \(9,\) needs 9 bytes of data, but has 1"),
        (gzip.compress(b"1234", mtime=0)[:-6], "file: "),
    ],
)
def test_a_file_that_is_no_image_file_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        images.read_idx(tmp_path / "file")


def test_bad_options_and_files_are_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in [
        (["--lr", "0"], "argument --lr: 0 is not a number > 0"),
        (["nowhere.idx"], "there is no file nowhere.idx"),
        (["--resume"], "--resume: there is no"),
        (["--widths", "0"], "argument --widths: 0 is not an integer >= 1"),
    ]:
        with pytest.raises(SystemExit) as stopped:
            train_cnn.main(["--output", str(tmp_path), *arguments])
        assert stopped.value.code == 2
        printed = capsys.readouterr().err
        assert printed.startswith("train_cnn: ")
        assert message in printed
        assert printed.count("\n") == 1
    (tmp_path / "images").write_bytes(idx(np.zeros((2, 3, 3), np.uint8), 8))
    assert train_cnn.main([str(tmp_path / "images"), "--output", str(tmp_path)]) == 2
    assert "there is no file of its classes beside it; give it with --labels" in capsys.readouterr().err
    (tmp_path / "labels").write_bytes(idx(np.zeros(3, np.uint8), 8))
    assert train_cnn.main([str(tmp_path / "images"), "--labels", str(tmp_path / "labels"), "--output", str(tmp_path)]) == 2


def test_a_checkpoint_of_another_length_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_cnn.main([*SMALL, "--epochs", "1", "--output", str(tmp_path)]) == 0
    assert train_cnn.main([*SMALL, "--epochs", "2", "--output", str(tmp_path), "--resume"]) == 2
    assert "the checkpoint is of a run of 3 steps, not 6" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:divide by zero")
def test_a_loss_that_is_no_number_ends_the_run_with_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train_cnn.main([*SMALL, "--lr", "1e30", "--output", str(tmp_path)]) == 1
    assert "lower lr" in capsys.readouterr().err
