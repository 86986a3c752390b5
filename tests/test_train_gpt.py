"""The program that trains a GPT: its losses are torch's, it goes on bit for bit, learns, and writes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from tools import text, train_gpt
from tools.bench.transformer_workloads import torch_gpt

SMALL = ["--layers", "2", "--heads", "2", "--width", "16", "--context", "8", "--batch-size", "4", "--evaluate-batches", "2", "--sample", "20"]
POEM = "the cat sat on the mat, and the dog sat on the log.\n" * 20


@pytest.fixture
def poem(tmp_path: Path) -> Path:
    path = tmp_path / "poem.txt"
    path.write_text(POEM)
    return path


def options(path: Path, output: Path, *arguments: str) -> Any:
    return train_gpt.parse([str(path), *SMALL, "--output", str(output), *arguments])


def test_the_first_50_losses_are_torchs_with_the_same_weights_and_batches(poem: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    run = train_gpt.Run(options(poem, tmp_path, "--steps", "50"), POEM)
    loss_of, state = torch_gpt(run.model, 2)
    groups = [
        {"params": [p for p in state.values() if (p.ndim >= 2) is wanted], "weight_decay": decay} for wanted, decay in ((True, 0.1), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    for step in range(50):
        for group in optimizer.param_groups:  # a warm-up of 5 steps, then a cosine from 1e-3 to 1e-4 over 45
            group["lr"] = 1e-3 * (1 + 5 * step / 5) / 6 if step < 5 else 1e-4 + 9e-4 * (1 + np.cos(np.pi * (step - 5) / 45)) / 2
        tokens, targets = run.batch()
        optimizer.zero_grad()
        loss = loss_of(torch.tensor(tokens), torch.tensor(targets))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(state.values()), 1.0)
        optimizer.step()
        assert abs(run.step(tokens, targets) - loss.item()) < 1e-4


def test_it_learns_a_text_and_writes_whole_files(poem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    arguments = [str(poem), *SMALL, "--steps", "120", "--lr", "0.02", "--evaluate-every", "60", "--start", "the cat", "--output", str(output)]
    assert train_gpt.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "936 characters to train on, 104 to validate, 16 different ones" in printed
    assert float(printed.split("validation loss ")[1].split("\n")[0]) < 0.8
    assert {path.name for path in output.iterdir()} == {"checkpoint.safetensors", "losses.png", "sample.txt"}
    assert (output / "losses.png").read_bytes().startswith(b"\x89PNG")
    sample = (output / "sample.txt").read_text()
    assert sample.startswith("the cat")
    assert len(sample) == 27


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_a_run_that_was_interrupted_goes_on_bit_for_bit(steps: int, poem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_gpt, "plot", lambda losses, evaluations, path: path.touch())
    more = ["--steps", "9", "--evaluate-every", "4", "--dropout", "0.1", "--sample", "0"]
    whole = train_gpt.run(options(poem, tmp_path / "whole", *more))
    step = train_gpt.Run.step

    def interrupted(self: Any, tokens: Any, targets: Any) -> float:
        if len(self.losses) == steps - 1:
            signal.raise_signal(signal.SIGINT)
        return step(self, tokens, targets)

    with monkeypatch.context() as patch:
        patch.setattr(train_gpt.Run, "step", interrupted)
        first = train_gpt.run(options(poem, tmp_path / "cut", *more))
    assert first.interrupted
    assert len(first.losses) == steps
    second = train_gpt.run(options(poem, tmp_path / "cut", *more, "--resume"))
    assert second.losses == whole.losses
    assert second.evaluations == whole.evaluations
    for (name, a), b in zip(whole.model.state_dict().items(), second.model.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=name)


def test_a_run_is_not_resumed_on_another_text_or_length(poem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SMALL, "--sample", "0", "--output", str(tmp_path / "out")]
    assert train_gpt.main([str(poem), *arguments, "--steps", "1"]) == 0
    other = tmp_path / "other.txt"
    other.write_text(POEM.upper())
    assert train_gpt.main([str(other), *arguments, "--steps", "1", "--resume"]) == 2
    assert "the checkpoint is of a run with characters" in capsys.readouterr().err
    assert train_gpt.main([str(poem), *arguments, "--steps", "2", "--resume"]) == 2
    assert "with steps 1, not 2" in capsys.readouterr().err


def test_a_loss_that_is_no_number_ends_the_run(
    poem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_gpt.Run, "step", lambda self, tokens, targets: float("nan"))
    assert train_gpt.main([str(poem), *SMALL, "--output", str(tmp_path / "out")]) == 1
    assert "the loss of step 1 is nan; try a smaller --lr" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt"], "there is no file missing.txt"),
        (["--width", "10", "--heads", "4"], "--width 10 is no multiple of --heads 4"),
        (["--steps", "0"], "'--steps'|--steps"),
        (["--dropout", "2"], "--dropout 2.0 is no probability"),
        (["--start", ""], "--start needs a character"),
        (["--resume"], "there is no"),
    ],
)
def test_bad_options_are_said_in_one_line(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        train_gpt.parse([*arguments, "--output", str(tmp_path)])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert any(part in error for part in message.split("|"))


def test_texts_that_cannot_be_trained_on_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = tmp_path / "a.txt", ["--output", str(tmp_path / "out")]
    for content, message in (
        (b"", "is empty"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"\nshort", "too short for pieces of 8"),
        (b"abc" * 40, "'\\n' does not"),
    ):
        path.write_bytes(content)
        assert train_gpt.main([str(path), *SMALL, *output]) == 2
        assert message in capsys.readouterr().err


def test_pieces_are_taken_from_everywhere_and_followed_by_what_follows() -> None:
    tokens, targets = text.pieces(np.arange(10), 4, 500, np.random.default_rng(0))
    np.testing.assert_array_equal(tokens[:, 1:], targets[:, :-1])
    np.testing.assert_array_equal(targets[:, -1], tokens[:, -1] + 1)
    assert set(tokens[:, 0]) == set(range(6))


def test_every_python_has_a_text_to_train_on() -> None:
    reference = text.language_reference()
    assert len(reference) > 300_000
    assert 'The "try" statement' in reference
