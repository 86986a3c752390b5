"""Checkpoints: everything that a training run needs to go on bit for bit, in one file.

    save_checkpoint("run.safetensors", model=model, optimizer=optimizer, batches=loader, epoch=3)
    epoch = load_checkpoint("run.safetensors", model=model, optimizer=optimizer, batches=loader)["epoch"]

Arrays are stored as safetensors; numbers, texts and how all of it is nested, as JSON in the same file. No pickle.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import autograd_core as ag
from nn.at_once import at_once
from nn.safetensors_format import DamagedFileError
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

    raises  KeyError for a part that the file lacks, nn.DamagedFileError if the file is no checkpoint, is damaged, or holds the state of a part
            that does not fit; then nothing has been changed, in none of the parts
    """
    arrays, metadata = read(path)
    if "checkpoint" not in metadata:
        raise DamagedFileError(path, "it holds arrays but is no checkpoint; read it with nn.load")
    try:
        tree = json.loads(metadata["checkpoint"])
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, f"not JSON ({str(error)[:80]})", "checkpoint") from None
    if not isinstance(tree, dict):
        raise DamagedFileError(path, "a dict of parts was expected", "checkpoint")
    state = {name: _decode(value, name, arrays, path) for name, value in tree.items()}
    for name in parts:
        if name not in state:
            raise KeyError(f"load_checkpoint: {os.fspath(path)!r} has no part {name!r}; it has {', '.join(state)}")
    changes: list[Callable[[], Any]] = []
    others: list[tuple[Any, Any]] = []
    for name, part in parts.items():
        if not (isinstance(part, np.random.Generator) or hasattr(part, "load_state_dict")):
            raise TypeError(f"load_checkpoint: {name}={type(part).__name__} cannot be restored in place; leave it out and take it from the result")
        try:
            changes += _loading(part, state[name], others)
        except UNFIT as error:
            problem = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
            raise DamagedFileError(path, f"it does not fit: {problem}", f"part {name!r}") from error
    _load_others(others, changes)
    return {name: value for name, value in state.items() if name not in parts}


# What somebody else's state may be refused with.
UNFIT = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)


def _state_of(part: Any) -> Any:
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return part.state_dict() if hasattr(part, "state_dict") else part


def _loading(part: Any, state: Any, others: list[tuple[Any, Any]]) -> list[Callable[[], Any]]:
    """Check the state of a part, without changing anything; the changes that are left. A part that cannot tell them goes to the others."""
    if isinstance(part, np.random.Generator):
        copy.deepcopy(part).bit_generator.state = state
        return [partial(setattr, part.bit_generator, "state", state)]
    if callable(getattr(part, "loading", None)):
        return list(part.loading(state))
    others.append((part, state))
    return []


def _load_others(others: list[tuple[Any, Any]], changes: list[Callable[[], Any]]) -> None:
    """Load the states of parts that can only do it at once, then make the changes of the rest; if one fails, the others are put back."""
    before = [(part, copy.deepcopy(part.state_dict())) for part, _ in others if hasattr(part, "state_dict")]
    try:
        for part, state in others:
            part.load_state_dict(state)
        at_once(changes)
    except BaseException:
        for part, state in before:
            part.load_state_dict(state)
        raise


def _encode(value: Any, path: str, arrays: dict[str, Any]) -> Any:
    """JSON for `value`; its arrays go to `arrays` under their paths."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.ndarray() | np.generic() | ag.Tensor():
            arrays[path] = value
            return {"array": path}
        case dict() if all(key is None or isinstance(key, str | int | float) for key in value):
            return {"dict": [[key, _encode(item, f"{path}/{key}", arrays)] for key, item in value.items()]}
        case list() | tuple():
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [_encode(item, f"{path}/{i}", arrays) for i, item in enumerate(value)]}
    raise TypeError(
        f"save_checkpoint: {path} is a {type(value).__name__}, which a checkpoint cannot hold; give numbers, texts, arrays, lists or dicts"
    )


def _decode(tree: Any, where: str, arrays: dict[str, Any], path: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    kind, content = next(iter(tree.items()), ("", None))
    if len(tree) == 1 and kind == "array" and isinstance(content, str) and content in arrays:
        return arrays[content]
    if len(tree) == 1 and kind in ("list", "tuple") and isinstance(content, list):
        items = [_decode(item, f"{where}/{i}", arrays, path) for i, item in enumerate(content)]
        return tuple(items) if kind == "tuple" else items
    if len(tree) == 1 and kind == "dict" and isinstance(content, list) and all(map(_is_pair, content)):
        return {key: _decode(item, f"{where}/{key}", arrays, path) for key, item in content}
    raise DamagedFileError(path, f"{str(tree)[:60]} is neither an array of the file, nor a list, tuple or dict", f"part {where!r}")


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and not isinstance(item[0], list | dict)
