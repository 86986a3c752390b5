"""Checkpoints: everything that a training run needs to go on bit for bit, in one file.

    save_checkpoint("run.safetensors", model=model, optimizer=optimizer, batches=loader, epoch=3)
    epoch = load_checkpoint("run.safetensors", model=model, optimizer=optimizer, batches=loader)["epoch"]

Arrays are stored as safetensors; numbers, texts and how all of it is nested, as JSON in the same file. No pickle.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

import autograd_core as ag
from nn.saving import read, save

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: str | os.PathLike[str], **parts: Any) -> None:
    """Write the state of `parts` to a file, which replaces an older one only when it is complete.

    parts   by names of your choice: objects with a `state_dict` (modules, optimizers, batches), `np.random.Generator`s, and
            plain values (numbers, texts, arrays, lists and dicts of them)
    raises  TypeError naming a value that cannot be stored
    """
    arrays: dict[str, Any] = {}
    tree = {name: _encode(_state_of(part), name, arrays) for name, part in parts.items()}
    save(arrays, path, {"checkpoint": json.dumps(tree)})


def load_checkpoint(path: str | os.PathLike[str], **parts: Any) -> dict[str, Any]:
    """Put a checkpoint's state into `parts`, given by the names under which they were saved; return the other values.

    raises  KeyError for a part that the file lacks, ValueError if the file is no checkpoint, and what `load_state_dict` raises
    """
    arrays, metadata = read(path)
    if "checkpoint" not in metadata:
        raise ValueError(f"load_checkpoint: {os.fspath(path)!r} holds arrays but is no checkpoint; read it with nn.load")
    state = {name: _decode(value, arrays) for name, value in json.loads(metadata["checkpoint"]).items()}
    for name in parts:
        if name not in state:
            raise KeyError(f"load_checkpoint: {os.fspath(path)!r} has no part {name!r}; it has {', '.join(state)}")
    for name, part in parts.items():
        _restore(part, state.pop(name), name)
    return state


def _state_of(part: Any) -> Any:
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return part.state_dict() if hasattr(part, "state_dict") else part


def _restore(part: Any, state: Any, name: str) -> None:
    if isinstance(part, np.random.Generator):
        part.bit_generator.state = state
    elif hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    else:
        raise TypeError(f"load_checkpoint: {name}={type(part).__name__} cannot be restored in place; leave it out and take it from the result")


def _encode(value: Any, path: str, arrays: dict[str, Any]) -> Any:
    """JSON for `value`; its arrays go to `arrays` under their paths."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.ndarray() | np.generic() | ag.Tensor():
            arrays[path] = value
            return {"array": path}
        case dict():
            return {"dict": [[key, _encode(item, f"{path}/{key}", arrays)] for key, item in value.items()]}
        case list() | tuple():
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [_encode(item, f"{path}/{i}", arrays) for i, item in enumerate(value)]}
    raise TypeError(
        f"save_checkpoint: {path} is a {type(value).__name__}, which a checkpoint cannot hold; give numbers, texts, arrays, lists or dicts"
    )


def _decode(tree: Any, arrays: dict[str, Any]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {key: _decode(item, arrays) for key, item in content}
    items = [_decode(item, arrays) for item in content]
    return tuple(items) if kind == "tuple" else items
