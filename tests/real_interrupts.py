"""Ctrl-C at random moments, as a user sends it: a signal that arrives while a loop runs, between two instructions that nobody chose.

    python tests/real_interrupts.py --each 100

sends so many to each loop, and prints one JSON object: how many were sent, lost (the loop ran on), and left something wrong, by loop. A
thread sends them to the process that it is in; each loop is started anew, and looked at after it was ended.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

import autograd_core as ag
import nn
import optim
from autograd_core.tape.loading import load_more

PATIENCE = 5.0  # seconds after which an interrupt that has not ended a loop is lost


class Loop:
    """A loop without end: `step` is one round of it, and `is_right` looks at what an interrupt left."""

    longest = 0.02  # seconds until the interrupt, at most

    def step(self) -> bool | None:
        """One round; true if it was told of the interrupt, and ends by itself."""
        raise NotImplementedError

    def is_right(self) -> bool:
        raise NotImplementedError


def leaf(value: Any) -> Any:
    return ag.tensor(value, requires_grad=True)


class Tapes(Loop):
    """Long tapes, which make the collector work."""

    def __init__(self) -> None:
        self.x = leaf(1.0)

    def step(self) -> None:
        self.x.grad = None
        y = self.x
        for _ in range(2000):
            y = y * 1.0
        y.backward()

    def is_right(self) -> bool:
        self.x.grad = None
        (self.x * 2.0).backward()
        return bool(self.x.grad.item() == 2.0)


class Objects(Loop):
    """Lists and nested parameters, of which none has to do with the tape."""

    def step(self) -> None:
        kept = [[i] for i in range(5000)]
        tree = {"a": np.ones(3), "b": [np.full(3, float(len(kept)))]}
        ag.grad(lambda p: np.tanh(p["a"] * p["b"][0]).sum())(tree)

    def is_right(self) -> bool:
        return bool((ag.grad(lambda p: (p["a"] * p["b"]).sum())({"a": np.ones(3), "b": 2 * np.ones(3)})["a"] == 2.0).all())


class Assignments(Loop):
    """Items written to, also through views and in place. All elements stay multiples of x: Euler's rule tells value from history."""

    def __init__(self) -> None:
        self.x = leaf(np.array([1.0, 2.0, 3.0]))
        self.t = self.x * 1.0

    def step(self) -> None:
        self.t = self.x * 1.0
        for _ in range(20):
            self.t[1] = self.t[0] - 0.5 * self.t[2]
            self.t[:2] *= 0.9
            self.t[1:][0] = self.t[0] + self.x[2]

    def is_right(self) -> bool:
        slopes = [ag.gradient(self.t[i], self.x, retain_graph=True).data for i in range(3)]
        return bool(np.allclose(self.t.data, np.array(slopes) @ self.x.data, rtol=1e-12))


class Training(Loop):
    """A step of an optimizer: forwards, backwards, update."""

    def __init__(self) -> None:
        self.steps = 0
        self.model, self.optimizer = self.new()

    @staticmethod
    def new() -> Any:
        model = nn.MLP(4, 8, 1, generator=0, dtype=np.float64)
        return model, optim.Adam(model.parameters(), lr=0.01)

    @staticmethod
    def step_of(model: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        (model(DATA) ** 2).mean().backward()
        optimizer.step()

    def step(self) -> None:
        self.step_of(self.model, self.optimizer)
        self.steps += 1

    def is_right(self) -> bool:
        model, optimizer = self.new()
        for _ in range(self.steps):
            self.step_of(model, optimizer)
        expected = [digest(model, optimizer)]
        self.step_of(model, optimizer)
        expected.append(digest(model, optimizer))
        if digest(self.model, self.optimizer) not in expected:
            return False
        self.step_of(self.model, self.optimizer)  # and it goes on
        return all(np.isfinite(p.grad.data).all() for p in self.model.parameters())


class Checking(Loop):
    """The gradient checker at a module, whose parameters it varies."""

    longest = 0.1

    def __init__(self) -> None:
        self.model = nn.MLP(2, 3, 1, generator=0, dtype=np.float64)
        self.own = list(self.model.parameters())
        self.values = [p.data.copy() for p in self.own]

    def step(self) -> None:
        ag.gradcheck(self.model, DATA[:2, :2])

    def is_right(self) -> bool:
        parameters = list(self.model.parameters())
        same = all(p is q and p.requires_grad and p.is_leaf for p, q in zip(parameters, self.own, strict=True))
        return same and all(np.array_equal(p.data, v) for p, v in zip(parameters, self.values, strict=True))


class Mapping(Loop):
    """Maps, forward mode, and second derivatives."""

    def step(self) -> None:
        self.values()

    @staticmethod
    def values() -> Any:
        def f(x: Any) -> Any:
            y = np.tanh(x * x)
            y[0] = y[1] * x[0]
            return y.sum()

        point, along = DATA[0], DATA[1]
        return ag.vmap(ag.grad(f))(DATA), ag.jvp(f, (point,), (along,))[1], ag.hvp(f)(point, along)

    def is_right(self) -> bool:
        return all(np.array_equal(a, b) for a, b in zip(self.values(), EXPECTED_OF_MAPS, strict=True))


class Loading(Loop):
    """Batches in order of a generator, which has a state."""

    def __init__(self) -> None:
        self.batches = nn.batches(np.arange(40), batch_size=7, shuffle=True, seed=1)

    def step(self) -> None:
        for batch in self.batches:
            np.sin(leaf(np.asarray(batch, float))).sum().backward()

    def is_right(self) -> bool:
        for _ in range(2):  # the rest of an epoch, perhaps, and a whole one
            seen = np.concatenate([np.asarray(batch) for batch in self.batches])
        return sorted(seen.tolist()) == list(range(40))


class Fitting(Loop):
    """`nn.fit`, which takes an interrupt as a request, completes the epoch and returns."""

    longest = 0.05

    def __init__(self) -> None:
        self.epochs = 0
        self.model, self.optimizer = Training.new()

    def fit(self, model: Any, optimizer: Any) -> Any:
        return nn.fit(model, (DATA, DATA[:, :1]), nn.MSELoss(), optimizer, epochs=2, batch_size=4, shuffle=False, progress=False)

    def step(self) -> bool:
        history = self.fit(self.model, self.optimizer)
        self.epochs += history.epochs
        return bool(history.interrupted)

    def is_right(self) -> bool:
        handler = signal.getsignal(signal.SIGINT)
        return handler is signal.default_int_handler and all(np.isfinite(p.data).all() for p in self.model.parameters()) and self.model.training


class Drawing(Loop):
    """Drawings, as text and as SVG."""

    longest = 0.05

    def __init__(self) -> None:
        x = leaf(DATA)
        self.y = np.tanh(x @ DATA.T).sum()
        self.svg = self.drawn()

    def drawn(self) -> str:
        return str(ag.draw(self.y).svg)

    def step(self) -> None:
        self.drawn()

    def is_right(self) -> bool:
        return self.drawn() == self.svg


class Saving(Loop):
    """Checkpoints of two states by turns: the file holds one of them, whole, and nothing is left beside it."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "run.safetensors"
        self.turn = 0
        self.models = [nn.MLP(4, 8, 1, generator=seed) for seed in (1, 2)]
        nn.save_checkpoint(self.path, model=self.models[0])

    def step(self) -> None:
        self.turn += 1
        nn.save_checkpoint(self.path, model=self.models[self.turn % 2])

    def is_right(self) -> bool:
        loaded = nn.MLP(4, 8, 1, generator=3)
        nn.load_checkpoint(self.path, model=loaded)
        whole = digest(loaded) in [digest(model) for model in self.models]
        self.step()
        left = os.listdir(self.folder.name)
        self.folder.cleanup()
        return whole and left == [self.path.name]


LOOPS: dict[str, type[Loop]] = {
    "tapes": Tapes,
    "objects": Objects,
    "assignments": Assignments,
    "training": Training,
    "gradcheck": Checking,
    "maps": Mapping,
    "loading": Loading,
    "fit": Fitting,
    "drawing": Drawing,
    "saving": Saving,
}
DATA = np.random.default_rng(0).normal(size=(6, 4))
EXPECTED_OF_MAPS: Any = ()


def digest(*parts: Any) -> str:
    """A state as text: equal if and only if every bit is."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        value = value.data if isinstance(value, ag.Tensor) else value
        return (str(value.dtype), value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value

    return repr([plain(part.state_dict()) for part in parts])


def interrupted(loop: Loop, after: float) -> bool:
    """Whether the loop ends when a signal is sent after so many seconds."""
    ended = False

    def send() -> None:
        time.sleep(after)
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    try:
        sender.start()
        until = time.monotonic() + after + PATIENCE
        while time.monotonic() < until:
            if loop.step():
                ended = True
                break
    except KeyboardInterrupt:
        ended = True
    sender.join()
    return ended


def modes() -> Any:
    return np.geterr(), ag.is_grad_enabled(), ag.observer()


def run(names: list[str], each: int, seed: int) -> dict[str, Any]:
    """Each of the loops, with so many interrupts; what came of them."""
    global EXPECTED_OF_MAPS
    load_more()
    EXPECTED_OF_MAPS = Mapping.values()
    draw = random.Random(seed)
    found: dict[str, Any] = {}
    for name in names:
        kind = LOOPS[name]
        kind().step()  # what is imported late, and used for the first time
        state, counts = modes(), {"sent": 0, "lost": 0, "wrong": 0}
        for _ in range(each):
            loop = kind()
            counts["sent"] += 1
            counts["lost"] += not interrupted(loop, draw.uniform(0.0005, kind.longest))
            counts["wrong"] += modes() != state or not loop.is_right()
        found[name] = counts
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("loops", nargs="*", default=list(LOOPS))
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background may have had it ignored
    print(json.dumps(run(options.loops, options.each, options.seed)))
