"""docs/nn.md tells the truth: its code runs, its models and files exist, and where it says that torch differs, it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nn
from nn import functional

DOCUMENT = Path(__file__).parent.parent / "docs" / "nn.md"
TEXT = DOCUMENT.read_text()


def test_every_code_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = list(re.finditer(r"```python\n(.*?)```", TEXT, re.DOTALL))
    assert len(blocks) == 3
    for found in blocks:
        exec(compile("\n" * TEXT[: found.start(1)].count("\n") + found[1], "docs/nn.md", "exec"), names)


def test_every_name_and_every_file_that_it_mentions_exists() -> None:
    for name in re.findall(r"`nn\.([\w.]+)", TEXT):
        place: Any = nn
        for part in name.split("."):
            place = getattr(place, part)
    table = TEXT.split("## Models")[1].split("## Where")[0]
    listed = {name for line in table.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert all(hasattr(nn.models, name) for name in listed)
    parts = {"CartPole", "ReplayMemory", "GoogLeNetOutputs", "VAEOutput", "BasicBlock", "Bottleneck", "SEBottleneck"}  # of models in the table
    assert {name for name in nn.models.__all__ if name[0].isupper()} - parts <= listed
    for link in re.findall(r"\]\((\.\./[^)]+)\)", TEXT):
        assert (DOCUMENT.parent / link).exists()


def test_torch_is_less_exact_where_it_is_said_to_be() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    torch.nn.functional.hardsigmoid(x).backward()
    assert x.grad.item() != 1 / 6
    assert abs(x.grad.item() - 1 / 6) < 1e-8
    x = torch.tensor([-0.7], dtype=torch.float64, requires_grad=True)
    torch.nn.functional.celu(x, 0.3).backward()
    assert 1e-10 < abs(x.grad.item() - np.exp(-0.7 / 0.3)) < 1e-7
    table, index, offsets = np.ones((4, 1)), np.array([1, 1, 2]), np.array([0])
    weight = torch.tensor(table, requires_grad=True)
    torch.nn.functional.embedding_bag(torch.tensor(index), weight, torch.tensor(offsets), mode="sum", scale_grad_by_freq=True).backward()
    assert weight.grad.ravel().tolist() != [0, 1, 1, 0]
    masked = np.array([[True, False], [False, False]])
    layer = torch.nn.MultiheadAttention(4, 1, batch_first=True)
    both = torch.ones(1, 2, 4), torch.tensor([[False, True]])
    assert layer(*[both[0]] * 3, attn_mask=torch.tensor(masked), key_padding_mask=both[1])[0].isnan().any()
    own = nn.MultiheadAttention(4, 1, batch_first=True)(*[np.ones((1, 2, 4))] * 3, attn_mask=masked, key_padding_mask=np.array([[False, True]]))
    assert not np.isnan(own[0].detach().numpy()).any()
    assert functional.normalize(np.zeros((1, 2))).tolist() == [[0.0, 0.0]]
