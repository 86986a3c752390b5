"""Random scripts (views, writes, foreign arrays, interrupts): all kinds of passes agree with one another, with NumPy and with differences.

Each script is run

* on arrays: every variable has NumPy's value, shape and dtype, and the loss NumPy's derivative by differences, of first and second order;
* by `backward()`, by `ag.gradient`, by a recorded pass, in forward mode (`ag.jvp`), and mapped over a batch of two (`ag.vmap`);
* once more with an interrupt at a random line: the tensors that are left have a value and the history of that value, the modes are what they were,
  and the script, run again, has the same gradients bit by bit.

PROGRAMS=100000 pytest -s tests/test_random_scripts.py makes a long run, FIRST=1000 one from seed 1000 on; it prints what was tried.
"""

from __future__ import annotations

import os
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from interrupts import OURS, Interrupt, interrupted, lines_of
from random_scripts import Script, World, make_script, use_of
from test_random_programs import agree, inner, slope

import autograd_core as ag
import optim
from autograd_core.arrays.batching import BatchingError
from autograd_core.tape.loading import load_more

FIRST = int(os.environ.get("FIRST", "0"))
COUNT = int(os.environ.get("PROGRAMS", "250"))
# What the documentation says cannot be followed: refused loudly, and so no answer to compare.
NOT_FOLLOWED = ("no tensor that shows all of it", "cannot be followed")


class Run:
    """One script with all that is compared about it."""

    def __init__(self, script: Script, tried: Counter[str]) -> None:
        self.script, self.tried = script, tried
        self.random = random.Random(f"interrupts of {script.seed}")
        draw = np.random.default_rng(script.seed + 1)
        inputs = script.inputs.values()
        self.v, self.w = (
            [draw.normal(size=a.shape) + (1j * draw.normal(size=a.shape) if a.dtype.kind == "c" else 0.0) for a in inputs] for _ in "vw"
        )
        # Objects of other libraries take a while to make, and one of each is enough.
        precisions = {False, script.single}
        self.foreign = {single: {n: c.given(single) for n, c in script.constants.items()} for single in precisions}
        self.plain = {single: {n: c.plain(single) for n, c in script.constants.items()} for single in precisions}

    # The script as a function, on arrays and on tensors.

    def on_arrays(self, inputs: Any, single: bool = False) -> World:
        world = World(self.script, inputs, single=single, plain=True, constants=self.plain[single])
        world.run()
        return world

    def on_tensors(self, inputs: Any, single: bool, refuses: bool = False) -> World:
        return World(self.script, inputs, single=single, constants=self.foreign[single], refuses=refuses)

    def loss(self, *inputs: Any, single: bool = False) -> Any:
        return self.on_tensors(inputs, single).run()

    def leaves(self, arrays: Any) -> list[Any]:
        return [ag.tensor(a, requires_grad=True) for a in arrays]

    def moved(self, along: Any, t: float) -> list[Any]:
        return [np.asarray(a + t * v) for a, v in zip(self.script.inputs.values(), along, strict=True)]

    def gradients(self, arrays: Any, single: bool = False, create_graph: bool = False) -> tuple[list[Any], Any]:
        xs = self.leaves(arrays)
        return xs, ag.gradient(self.loss(*xs, single=single), xs, create_graph=create_graph)

    # What is compared.

    def check(self) -> None:
        script = self.script
        self.tried["scripts"] += 1
        self.tried.update(f"line: {kind}" for kind in {line.kind for line in script.lines})
        inputs = script.given_inputs()
        xs = self.leaves(inputs)
        world = self.on_tensors(xs, script.single, refuses=True)
        try:
            loss = world.run()
        except RuntimeError as error:
            if not any(words in str(error) for words in NOT_FOLLOWED):
                raise
            self.tried["refused as documented"] += 1
            return
        self.compare_values(world, self.on_arrays([a.copy() for a in inputs], script.single))
        loss.backward()
        self.backward = [x.grad.data for x in xs]
        for x, g in zip(xs, self.backward, strict=True):
            assert type(g) is np.ndarray
            assert g.shape == x.shape
            assert g.dtype == x.dtype
        self.compare("gradient", [g.data for g in self.gradients(inputs, script.single)[1]])
        recorded_xs, recorded = self.gradients(inputs, script.single, create_graph=True)
        self.compare("recorded", [g.data for g in recorded])
        self.in_double = self.backward
        if script.single:
            self.tried["single precision"] += 1
            self.in_double = [g.data for g in self.gradients(script.inputs.values())[1]]
            self.compare("single against double", self.in_double, 2e-4)
        self.by_differences()
        self.forward_mode(inputs)
        self.mapped()
        if not script.single and self.random.random() < 0.25:
            self.second_order(recorded_xs, recorded)
        self.interrupt()

    def compare_values(self, world: World, expected: World) -> None:
        for name, array in expected.variables().items():
            found = world.names[name]
            assert found.shape == array.shape, f"{name} has shape {found.shape}, NumPy's {array.shape}"
            assert found.dtype == array.dtype, f"{name} is {found.dtype}, NumPy's {array.dtype}"
            found = found._array if isinstance(found, ag.Tensor) else found
            assert np.allclose(found, array, **self.tolerance(array)), f"{name} is {found}, NumPy's {array}"
        found, loss = float(world.names["loss"]), float(expected.names["loss"])
        assert np.isclose(found, loss, **self.tolerance(loss)), f"the loss is {found}, NumPy's {loss}"

    def tolerance(self, like: Any, rtol: float | None = None) -> dict[str, float]:
        if rtol is None:
            rtol = 1e-5 if self.script.single else 1e-10
        return {"rtol": rtol, "atol": rtol * (1.0 + float(np.abs(like).max(initial=0.0)))}

    def compare(self, what: str, found: Any, rtol: float | None = None) -> None:
        for f, b in zip(found, self.backward, strict=True):
            assert np.allclose(f, b, **self.tolerance(b, rtol)), f"{what}: {f}, backward() {b}"
        self.tried[what] += 1

    def by_differences(self) -> None:
        expected = slope(lambda t: float(self.on_arrays(self.moved(self.v, t)).names["loss"]))
        if expected is None:
            self.tried["at a kink"] += 1
            return
        found = float(inner(self.in_double, self.v))
        terms = sum(float(np.abs(g * d).sum()) for g, d in zip(self.in_double, self.v, strict=True))
        assert agree(found, expected, terms), f"first order: {found}, differences {expected}"
        self.tried["differences"] += 1

    def second_order(self, xs: Any, recorded: Any) -> None:
        expected = slope(lambda t: float(inner([g.data for g in self.gradients(self.moved(self.w, t))[1]], self.v)))
        if expected is None:
            self.tried["at a kink, second order"] += 1
            return
        along = inner(recorded, self.v)
        tracked = isinstance(along, ag.Tensor) and along.node is not None
        seconds = [0.0 if g is None else g.data for g in ag.gradient(along, xs, allow_unused=True)] if tracked else [0.0] * len(xs)
        found = float(inner(seconds, self.w))
        terms = sum(float(np.abs(g * d).sum()) for g, d in zip(seconds, self.w, strict=True))
        assert agree(found, expected, terms), f"second order: {found}, differences {expected}"
        self.tried["differences, second order"] += 1

    def forward_mode(self, inputs: Any) -> None:
        single = self.script.single
        tangents = tuple(np.asarray(v, x.dtype) for v, x in zip(self.v, inputs, strict=True))
        _, found = ag.jvp(lambda *xs: self.loss(*xs, single=single), tuple(inputs), tangents)
        expected = inner(self.backward, tangents)
        terms = sum(float(np.abs(g * d).sum()) for g, d in zip(self.backward, tangents, strict=True))
        assert np.isclose(found, expected, **self.tolerance(terms)), f"jvp: {found}, backward() {expected}"
        self.tried["jvp"] += 1

    def mapped(self) -> None:
        """Over the point and another one near it, which takes the same ways."""
        points = [self.moved(self.w, t) for t in (0.0, 1e-5)]
        batch = [np.stack(both) for both in zip(*points, strict=True)]

        def both(*xs: Any) -> Any:
            return ag.value_and_grad(lambda xs: self.loss(*xs))(xs)

        try:
            _, found = ag.vmap(both)(*batch)
        except BatchingError:
            self.tried["cannot be mapped"] += 1
            return
        for i, point in enumerate(points):
            expected = [g.data for g in self.gradients(point)[1]] if i else self.in_double
            for f, e in zip(found, expected, strict=True):
                assert np.allclose(f[i], e, rtol=1e-9, atol=1e-9 * (1.0 + np.abs(e).max())), f"mapped: {f[i]}, alone {e}"
        self.tried["vmap"] += 1

    # Interrupts.

    def interrupt(self) -> None:
        """At one line of one part of the program."""
        parts = [self.in_a_line, self.in_a_pass] * 2 + [self.in_an_update, self.in_a_step, self.in_a_transform]
        part = self.random.choice(parts)
        state = modes()
        where = part()
        assert modes() == state, f"a mode was left changed by an interrupt at {where}"
        self.tried["interrupts" if where else "no interrupt"] += 1
        self.tried[f"interrupt: {part.__name__}"] += where is not None
        xs = self.leaves(self.script.given_inputs())
        self.on_tensors(xs, self.script.single).run().backward()
        for x, b in zip(xs, self.backward, strict=True):
            assert np.array_equal(x.grad.data, b, equal_nan=True), f"run again after an interrupt at {where}: {x.grad.data}, before {b}"

    def stopped(self, make: Callable[[], Any], run: Callable[[Any], Any], within: int) -> tuple[Any, str | None]:
        """What `run(make())` leaves that is interrupted at some line, and where.

        Most lines of code that are executed in a run are among its first `within`: a run to find out is needed for some only.
        """
        subject = make()
        where = interrupted(lambda: run(subject), self.random.randint(1, within), OURS)
        if where is None:
            line = self.random.randint(1, max(1, lines_of(make, run, OURS)))
            subject = make()
            where = interrupted(lambda: run(subject), line, OURS)
        return subject, where

    def world(self) -> World:
        return self.on_tensors(self.leaves(self.script.given_inputs()), self.script.single)

    def in_a_line(self) -> str | None:
        lines = [line for line in self.script.lines if line.refused is None]
        at = self.random.choice([i for i, line in enumerate(lines) if line.kind != "use" or i == len(lines) - 1])
        line = lines[at]

        def make() -> World:
            world = self.world()
            world.run(lines[:at])
            return world

        def after() -> World:
            world = make()
            world.step(line)
            return world

        world, where = self.stopped(make, lambda world: world.step(line), 200)
        self.tried[f"interrupted: {line.kind}"] += where is not None
        if where and not (line.kind == "rows" or "\n" in line.text):  # of which each row may be done or not
            left = self.look(world)
            seen = [self.look(make()), self.look(after())]
            if not any(self.same(left, s) for s in seen):
                raise AssertionError(f"{line.text}: half done by an interrupt at {where}: {left}, before and after {seen}")
        return where

    def look(self, world: World) -> list[Any]:
        """Values, and gradients, of all that the names hold."""
        variables = world.variables()
        values = [np.array(v._array) if isinstance(v, ag.Tensor) else v for v in variables.values()]
        total = eval(use_of(variables).removeprefix("loss = "), world.names)
        xs = [world.names[n] for n in self.script.inputs]
        return [list(variables), *values, *(g.data for g in ag.gradient(total, xs, retain_graph=True))]

    def same(self, one: Any, other: Any) -> bool:
        if one[0] != other[0]:
            return False
        return all(a.shape == b.shape and np.allclose(a, b, **self.tolerance(b)) for a, b in zip(one[1:], other[1:], strict=True))

    def in_a_pass(self) -> str | None:
        retain, create = self.random.choice([(False, False), (True, False), (True, True)])

        def make() -> Any:
            world = self.world()
            return [world.names[n] for n in self.script.inputs], world.run()

        (xs, loss), where = self.stopped(make, lambda subject: subject[1].backward(retain_graph=retain, create_graph=create), 2000)
        arrived = [x.grad is not None for x in xs]
        assert arrived in ([False] * len(xs), [True] * len(xs)), f"half of the gradients are left by an interrupt at {where}"
        if arrived[0]:
            self.compare("gradients that were left by an interrupt", [x.grad.data for x in xs])
        for x in xs:
            x.grad = None
        try:
            loss.backward()
        except RuntimeError as error:
            if retain or "freed graph" not in str(error):
                raise
        else:
            self.compare("passes after an interrupt", [x.grad.data for x in xs])
        return where

    def in_an_update(self) -> str | None:
        """The one of a loop that is written by hand."""

        def make() -> Any:
            world = self.world()
            world.run().backward()
            return [world.names[n] for n in self.script.inputs]

        def update(xs: Any) -> None:
            with ag.no_grad():
                for x in xs:
                    x -= 0.5 * x.grad

        xs, where = self.stopped(make, update, 80)
        for x, a, g in zip(xs, self.script.given_inputs(), self.backward, strict=True):
            assert x.is_leaf
            assert x.requires_grad
            assert np.array_equal(x.data, a) or np.allclose(x.data, a - 0.5 * g, **self.tolerance(a)), f"half updated by an interrupt at {where}"
        return where

    def in_a_step(self) -> str | None:
        """The one of an optimizer."""
        if any(a.dtype.kind == "c" for a in self.script.inputs.values()):
            return self.in_an_update()
        kind = self.random.choice([lambda xs: optim.SGD(xs, lr=0.1, momentum=0.9), lambda xs: optim.Adam(xs, lr=0.1)])

        def make() -> Any:
            world = self.world()
            world.run().backward()
            return kind([world.names[n] for n in self.script.inputs])

        def look(optimizer: Any) -> Any:
            return repr([[p.data.tolist() for p in optimizer.parameters()], optimizer.state_dict()])

        optimizer, where = self.stopped(make, lambda optimizer: optimizer.step(), 400)
        before, after = make(), make()
        after.step()
        assert look(optimizer) in (look(before), look(after)), f"half a step is left by an interrupt at {where}"
        return where

    def in_a_transform(self) -> str | None:
        inputs = [np.asarray(a) for a in self.script.inputs.values()]
        way = self.random.choice(["vmap", "jvp", "gradient"])
        if way == "vmap":
            batch = [np.stack([a, a]) for a in inputs]

            def run(_: Any) -> Any:
                try:
                    return ag.vmap(lambda *xs: ag.grad(lambda xs: self.loss(*xs))(xs))(*batch)
                except BatchingError:
                    return None

            return self.stopped(lambda: None, run, 10_000)[1]
        if way == "jvp":
            return self.stopped(lambda: None, lambda _: ag.jvp(self.loss, tuple(inputs), tuple(self.v)), 6000)[1]
        return self.stopped(lambda: None, lambda _: self.gradients(inputs, create_graph=True), 6000)[1]


def modes() -> Any:
    return np.geterr(), ag.is_grad_enabled(), ag.observer()


def wrong_with(script: Script, tried: Counter[str]) -> str:
    """The first thing that is wrong with a script, or nothing."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            Run(script, tried).check()
    except (Exception, Interrupt) as error:  # noqa: BLE001  a long run goes on, and tells of all
        return f"{type(error).__name__}: {error}"
    return ""


def shrunk(script: Script, wrong: str) -> Script:
    """The script without the lines that are not needed for the same kind of failure."""
    for line in reversed(script.lines):
        fewer = script._replace(lines=[other for other in script.lines if other is not line])
        if wrong_with(fewer, Counter())[:20] == wrong[:20]:
            script = fewer
    return script


def run_scripts(first: int, count: int, tried: Counter[str]) -> list[str]:
    """What is wrong with the scripts of these seeds."""
    failures: list[str] = []
    started = time.process_time()
    for seed in range(first, first + count):
        script = make_script(seed)
        wrong = wrong_with(script, tried)
        if wrong and len(failures) < 20:
            script = shrunk(script, wrong)
            failures.append(f"{script}\n{wrong_with(script, Counter())}")
            if count > 2000:
                print(failures[-1], flush=True)
        if count > 2000 and not (seed + 1) % 1000:
            each = (time.process_time() - started) / (seed + 1 - first)
            print(f"{seed + 1 - first} scripts, {1e3 * each:.1f} ms each, {len(failures)} failures", flush=True)
    return failures


@pytest.mark.filterwarnings("ignore")
def test_random_scripts_have_numpys_values_and_one_gradient_however_it_is_computed() -> None:
    load_more()
    tried: Counter[str] = Counter()
    print(f"seeds {FIRST} to {FIRST + COUNT - 1}")
    failures = run_scripts(FIRST, COUNT, tried)
    for what, number in sorted(tried.items()):
        print(f"{number:8} {what}")
    assert not failures, f"{len(failures)} of {tried['scripts']} scripts fail:\n\n" + "\n\n".join(failures)
