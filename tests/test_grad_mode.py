"""The recording switch: where it applies, that it is always put back, and that threads and tasks do not share it."""

from __future__ import annotations

import asyncio
import inspect
import threading

import numpy as np
import pytest

import autograd_core as ag


@pytest.fixture
def x():
    return ag.tensor([1.0, 2.0], requires_grad=True)


def recorded(x):
    return (x * 2).requires_grad


def test_recording_is_on_by_default(x):
    assert ag.is_grad_enabled()
    assert recorded(x)


def test_nothing_is_recorded_inside_no_grad(x):
    with ag.no_grad():
        assert not ag.is_grad_enabled()
        for y in (x * 2, 2 * x, x @ x, np.sin(x), x.sum(), x[0], np.concatenate([x, x]), -x, x.reshape(2, 1), np.where([True, False], x, 0.0)):
            assert isinstance(y, ag.Tensor)
            assert not y.requires_grad
            assert y.is_leaf
    assert recorded(x)


def test_enable_grad_records_inside_no_grad(x):
    with ag.no_grad():
        with ag.enable_grad():
            assert recorded(x)
        assert not recorded(x)


@pytest.mark.parametrize("order", [(ag.no_grad,), (ag.no_grad, ag.no_grad), (ag.enable_grad, ag.no_grad), (ag.no_grad, ag.enable_grad, ag.no_grad)])
def test_nested_blocks_each_restore_what_was_before(order):
    states, blocks = [], []
    for block in order:
        states.append(ag.is_grad_enabled())
        blocks.append(block())
        blocks[-1].__enter__()
    while blocks:
        blocks.pop().__exit__(None, None, None)
        assert ag.is_grad_enabled() == states.pop()


def test_one_switch_may_be_entered_again_inside_itself(x):
    switch = ag.no_grad()
    with switch:
        with switch:
            assert not recorded(x)
        assert not recorded(x)
    assert recorded(x)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
@pytest.mark.parametrize("switch", [ag.no_grad, ag.enable_grad])
def test_an_exception_leaves_the_mode_as_it_was(switch, error, x):
    with pytest.raises(error), switch():
        raise error
    assert recorded(x)

    @switch()
    def raises():
        raise error

    with pytest.raises(error):
        raises()
    assert recorded(x)


def test_an_exception_in_an_operation_leaves_the_mode_as_it_was(x):
    with pytest.raises(ValueError, match="could not be broadcast"):
        x * np.ones(3)
    assert recorded(x)
    with ag.no_grad():
        with pytest.raises(ValueError, match="could not be broadcast"):
            x * np.ones(3)
        assert not recorded(x)


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_exception_in_a_rule_leaves_the_mode_and_every_grad_as_they_were(create_graph, x):
    @ag.op(x=lambda g: 1 / 0)
    def broken(x):
        return x + 0.0

    w = ag.tensor([1.0, 1.0], requires_grad=True)
    y = (broken(x) * w).sum()
    with pytest.raises(ZeroDivisionError):
        y.backward(create_graph=create_graph)
    assert ag.is_grad_enabled()
    assert x.grad is None
    assert w.grad is None
    y = broken(x).sum()
    with ag.no_grad():
        with pytest.raises(ZeroDivisionError):
            ag.gradient(y, x, create_graph=create_graph)
        assert not ag.is_grad_enabled()


# --- decorators ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorate", [ag.no_grad, ag.no_grad()])
def test_a_decorated_function_runs_under_the_switch(decorate, x):
    @decorate
    def f(a, *, b=1):
        """Doubles."""
        return recorded(x), a, b

    assert f(1, b=2) == (False, 1, 2)
    assert recorded(x)
    assert (f.__name__, f.__doc__) == ("f", "Doubles.")


def test_a_decorated_method_gets_its_object(x):
    class Model:
        @ag.no_grad()
        def predict(self, a):
            return self, recorded(a)

    model = Model()
    assert model.predict(x) == (model, False)


def test_a_decorated_function_may_call_itself(x):
    @ag.no_grad()
    def f(n):
        return [recorded(x), *f(n - 1)] if n else []

    assert f(3) == [False, False, False]
    assert recorded(x)


def test_a_decorated_generator_is_under_the_switch_at_each_step_and_its_caller_never(x):
    @ag.no_grad()
    def steps():
        received = yield recorded(x)
        while received != "stop":
            received = yield recorded(x), received
        return "end"

    generator = steps()
    assert next(generator) is False
    assert recorded(x)
    assert generator.send(1) == (False, 1)
    assert recorded(x)
    with pytest.raises(StopIteration) as stop:
        generator.send("stop")
    assert stop.value.value == "end"
    assert recorded(x)


def test_a_decorated_generator_handles_what_is_thrown_into_it_and_closes(x):
    seen = []

    @ag.no_grad()
    def steps():
        try:
            try:
                yield 1
            except KeyError:
                seen.append(recorded(x))
                yield 2
        finally:
            seen.append(recorded(x))

    generator = steps()
    next(generator)
    assert generator.throw(KeyError("from outside")) == 2
    generator.close()
    assert seen[0] is False
    assert len(seen) == 2
    assert recorded(x)


def test_a_decorated_coroutine_is_under_the_switch_across_its_awaits(x):
    @ag.no_grad()
    async def work():
        before = recorded(x)
        await asyncio.sleep(0)
        return before, recorded(x)

    async def main():
        task = asyncio.create_task(work())
        outside = []
        while not task.done():
            outside.append(recorded(x))
            await asyncio.sleep(0)
        return task.result(), outside

    inside, outside = asyncio.run(main())
    assert inside == (False, False)
    assert all(outside)
    assert inspect.iscoroutinefunction(work)


def test_a_decorated_async_generator_is_under_the_switch_at_each_step(x):
    @ag.no_grad()
    async def steps():
        for _ in range(3):
            await asyncio.sleep(0)
            yield recorded(x)

    async def main():
        return [(inside, recorded(x)) async for inside in steps()]

    assert asyncio.run(main()) == [(False, True)] * 3


# --- threads and tasks --------------------------------------------------------------------------------------------------------


def test_each_async_task_has_a_mode_of_its_own(x):
    async def off(log):
        with ag.no_grad():
            for _ in range(5):
                log.append(recorded(x))
                await asyncio.sleep(0)

    async def on(log):
        for _ in range(5):
            log.append(recorded(x))
            await asyncio.sleep(0)

    async def main():
        logs = [], [], [], []
        await asyncio.gather(off(logs[0]), on(logs[1]), off(logs[2]), on(logs[3]))
        return logs

    assert asyncio.run(main()) == ([False] * 5, [True] * 5, [False] * 5, [True] * 5)
    assert recorded(x)


def test_each_thread_has_a_mode_of_its_own(x):
    inside, checked, log = threading.Event(), threading.Event(), []

    def other():
        with ag.no_grad():
            log.append(recorded(x))
            inside.set()
            checked.wait(5)
        log.append(recorded(x))

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(5)
    assert recorded(x)
    with ag.no_grad():
        checked.set()
        thread.join(5)
        assert not recorded(x)
    assert log == [False, True]


def test_one_switch_may_be_used_by_several_tasks_at_a_time(x):
    switch = ag.no_grad()

    async def off(pauses):
        with switch:
            for _ in range(pauses):
                await asyncio.sleep(0)
                assert not recorded(x)
        assert recorded(x)

    async def main():
        await asyncio.gather(off(1), off(5), off(3))

    asyncio.run(main())
    assert recorded(x)


def test_one_switch_may_be_used_by_several_threads_at_a_time(x):
    switch, together, outcomes = ag.no_grad(), threading.Barrier(4), []

    def off():
        for _ in range(50):
            together.wait(10)
            with switch:
                inside = recorded(x)
            outcomes.append((inside, recorded(x)))

    threads = [threading.Thread(target=off) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outcomes == [(False, True)] * 200


# --- what is computed without recording ----------------------------------------------------------------------------------------


def test_leaves_made_inside_no_grad_require_grad_as_asked():
    with ag.no_grad():
        x = ag.tensor(2.0, requires_grad=True)
    (x * x).backward()
    assert x.grad.item() == 4.0


def test_a_result_without_history_is_a_constant_to_what_follows(x):
    with ag.no_grad():
        constant = x * 3
    (constant * x).sum().backward()
    assert x.grad.tolist() == [3.0, 6.0]


def test_backward_may_run_inside_no_grad(x):
    y = (x * x).sum()
    with ag.no_grad():
        y.backward()
        assert not ag.is_grad_enabled()
    assert x.grad.tolist() == [2.0, 4.0]


def test_create_graph_records_the_pass_inside_no_grad_too(x):
    y = (x * x * x).sum()
    with ag.no_grad():
        g = ag.gradient(y, x, create_graph=True)
    assert ag.gradient(g.sum(), x).tolist() == [6.0, 12.0]


def test_values_are_the_same_with_and_without_recording(x):
    def f(x):
        return np.tanh(x * 2 + np.sin(x) / x).sum()

    with ag.no_grad():
        untracked = f(x)
    assert untracked.item() == f(x).item()


def test_an_update_in_place_inside_no_grad_keeps_the_leaf(x):
    (x * x).sum().backward()
    with ag.no_grad():
        x[...] = x - 0.5 * x.grad
        x[0] = 7.0
    assert x.is_leaf
    assert x.requires_grad
    assert x.tolist() == [7.0, 0.0]
