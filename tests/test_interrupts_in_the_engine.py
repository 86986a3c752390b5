"""An interrupt at any line of the engine leaves a tensor, a pass, a mode or a check whole: as before, or as after; and nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from interrupts import ROOT, every_interrupt

import autograd_core as ag
from autograd_core.tape.loading import load_more

load_more()  # an import that is interrupted is Python's to begin again, and has thousands of lines
ENGINE = (f"{ROOT}/autograd_core/",)
X = np.array([1.0, 2.0, 3.0])


def leaf(value: Any = X) -> ag.Tensor:
    return ag.tensor(value, requires_grad=True)


def modes() -> tuple[Any, ...]:
    return np.geterr(), ag.is_grad_enabled(), ag.observer()


def gradient_of_sine(t: ag.Tensor, x: ag.Tensor) -> list[float]:
    return ag.gradient(np.sin(t).sum(), x, retain_graph=True).tolist()


ASSIGNMENTS: dict[str, Callable[[ag.Tensor, ag.Tensor], Any]] = {
    "a number": lambda t, x: t.__setitem__(0, 5.0),
    "a tracked value": lambda t, x: t.__setitem__(1, x[0] * x[2]),
    "a slice": lambda t, x: t.__setitem__(slice(1, None), x[:2]),
    "places by an array": lambda t, x: t.__setitem__(np.array([0, 2]), x[1]),
    "through a view": lambda t, x: t[1:].__setitem__(0, x[0] * 2.0),
    "a view scaled": lambda t, x: t[:2].__imul__(3.0),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_an_interrupted_assignment_leaves_value_and_history_of_one_moment(name: str) -> None:
    def make() -> Any:
        x = leaf()
        t = x * 1.0
        t[2] = x[0] * 0.5  # the array is this tensor's own: the next assignment is made in place
        return t, x

    def run(subject: Any) -> None:
        ASSIGNMENTS[name](*subject)

    def look(subject: Any) -> Any:
        t, x = subject
        return t.tolist(), gradient_of_sine(t, x)

    subject = make()
    before = look(subject)
    run(subject)
    after = look(subject)
    assert before != after
    found = set()
    state = modes()
    for place in every_interrupt(make, run, ENGINE):
        assert modes() == state, f"a mode was left changed by an interrupt at {place}"
        left = look(place.subject)
        assert left in (before, after), f"half done by an interrupt at {place}: {left}"
        found.add(left == before)
    assert True in found


def loss_of(leaves: list[ag.Tensor]) -> ag.Tensor:
    x, w, s = leaves
    return (np.tanh(x * w) * s).sum() + x[None].sum() + np.where(X > 1, s, 0.0).sum()


PASSES: dict[str, Callable[[Any], Any]] = {
    "backward": lambda subject: subject[1].backward(retain_graph=True),
    "backward, recorded": lambda subject: subject[1].backward(create_graph=True),
    "gradient": lambda subject: ag.gradient(subject[1], subject[0], retain_graph=True),
}


@pytest.mark.parametrize("name", PASSES)
def test_an_interrupted_pass_leaves_all_gradients_or_none_and_the_next_one_is_right(name: str) -> None:
    def make() -> Any:
        leaves = [leaf(), leaf(X[::-1].copy()), leaf(np.float64(0.5))]
        leaves[0].register_hook(lambda g: g * 2.0)
        return leaves, loss_of(leaves)

    def look(subject: Any) -> Any:
        return [None if p.grad is None else p.grad.tolist() for p in subject[0]]

    subject = make()
    before = look(subject)
    PASSES[name](subject)
    after = look(subject)
    whole = make()
    whole[1].backward()
    right = look(whole)
    state = modes()
    for place in every_interrupt(make, PASSES[name], ENGINE):
        assert modes() == state, f"a mode was left changed by an interrupt at {place}"
        assert look(place.subject) in (before, after), f"half of the gradients were left by an interrupt at {place}"
        for p in place.subject[0]:
            p.grad = None
        place.subject[1].backward(retain_graph=True)
        assert look(place.subject) == right, f"the next pass is wrong after an interrupt at {place}"


def switched_off(subject: Any) -> None:
    with ag.no_grad():
        subject.append(np.sin(leaf()).requires_grad)


def switched_on(subject: Any) -> None:
    with ag.no_grad(), ag.enable_grad():
        subject.append(np.sin(leaf()).requires_grad)


def anomaly(subject: Any) -> None:
    with ag.detect_anomaly():
        np.sin(leaf()).sum().backward()


def profiled(subject: Any) -> None:
    with ag.profile():
        np.sin(leaf()).sum().backward()


def recorded(subject: Any) -> None:
    with ag.record():
        np.sin(leaf()).sum()


def updated(subject: Any) -> None:
    p = leaf()
    (p * p).sum().backward()
    with ag.no_grad():
        p -= 0.1 * p.grad


@pytest.mark.parametrize("run", [switched_off, switched_on, anomaly, profiled, recorded, updated], ids=lambda f: f.__name__)
def test_an_interrupted_block_leaves_the_mode_as_it_was(run: Callable[[Any], None]) -> None:
    state = modes()
    for place in every_interrupt(list, run, ENGINE):
        assert modes() == state, f"a mode was left changed by an interrupt at {place}"
        assert np.sin(leaf()).requires_grad


def test_an_operation_that_was_interrupted_at_its_first_use_works() -> None:
    def make() -> Any:
        @ag.op(x=lambda g, x: g * 2 * x)
        def square(x: Any) -> Any:
            return x * x

        return square

    for place in every_interrupt(make, lambda square: square(leaf()).sum().backward(), ENGINE):
        x = leaf()
        place.subject(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == (2 * X).tolist(), f"after an interrupt at {place}"


def test_threads_that_use_an_operation_for_the_first_time_at_once_all_get_it_right() -> None:
    for _ in range(30):

        @ag.op(x=lambda g, x: g * 2 * x)
        def square(x: Any) -> Any:
            return x * x

        found: list[Any] = []
        start = threading.Barrier(4)

        def use(square: Any = square, found: list[Any] = found, start: threading.Barrier = start) -> None:
            x = leaf()
            start.wait()
            square(x).sum().backward()
            found.append(None if x.grad is None else x.grad.tolist())

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [(2 * X).tolist()] * 4


def test_a_nan_that_anomaly_detection_finds_in_an_assignment_leaves_the_tensor_as_it_was() -> None:
    x = leaf()
    t = x * 1.0
    t[2] = x[0]
    before = t.tolist(), gradient_of_sine(t, x)
    with pytest.raises(FloatingPointError), ag.detect_anomaly():
        t[0] = ag.tensor(np.nan, requires_grad=True)
    assert (t.tolist(), gradient_of_sine(t, x)) == before


def test_a_hook_that_raises_leaves_nothing_behind() -> None:
    leaves = [leaf(), leaf(X[::-1].copy()), leaf(np.float64(0.5))]
    handle = leaves[1].register_hook(lambda g: 1 / 0)
    loss = loss_of(leaves)
    with pytest.raises(ZeroDivisionError):
        loss.backward(retain_graph=True)
    assert [p.grad for p in leaves] == [None] * 3
    handle.remove()
    loss.backward()
    assert all(p.grad is not None for p in leaves)


def test_a_forked_process_passes_backward_while_its_parent_did() -> None:
    """No lock of ours is inherited held: a child forked while another thread is in `backward()` has its own."""
    import os

    if not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            x = leaf()
            np.sin(x * 2.0).sum().backward()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(30):
            child = os.fork()
            if not child:
                x = leaf()
                (x * 2.0).sum().backward()
                os._exit(0 if x.grad is not None and x.grad.tolist() == [2.0] * 3 else 1)
            deadline = __import__("time").monotonic() + 20
            status = 0
            while __import__("time").monotonic() < deadline:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    break
            else:
                os.kill(child, 9)
                os.waitpid(child, 0)
                pytest.fail("the child hangs")
            assert status == 0
    finally:
        stop.set()
        thread.join()
