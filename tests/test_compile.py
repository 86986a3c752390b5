"""`ag.compile`: what a compiled function gives is what the function gives, to the bit; what cannot be replayed is called as it is and says so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.compiling.compiled import CompileWarning
from autograd_core.compiling.replay import same_bits


def leaf(*shape: int, seed: int = 0) -> Any:
    return ag.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def runs(compiled: Any) -> int:
    return sum(int(line.split()[-2]) for line in compiled.why().splitlines() if line.startswith("a program"))


def both(function: Callable[..., Any], make: Callable[[int], tuple[Any, ...]], calls: int = 5) -> Any:
    """Call a scalar function and its compiled twin with the same arguments, each with a backward pass, and compare all bits."""
    compiled = ag.compile(function)
    for k in range(calls):
        found = []
        for f in (function, compiled):
            args = make(k)
            y = f(*args)
            y.backward()
            found.append((y._array, [a.grad._array for a in args if isinstance(a, ag.Tensor) and a.grad is not None]))
        (expected, gradients), (value, own) = found
        assert same_bits(np.asarray(value), np.asarray(expected))
        assert len(own) == len(gradients)
        assert all(same_bits(np.asarray(a), np.asarray(b)) for a, b in zip(own, gradients, strict=True))
    return compiled


def mlp(w: Any, v: Any, x: Any) -> Any:
    return (np.maximum(np.tanh(x @ w) @ v, 0.0) ** 2).sum()


# --- what is replayed ------------------------------------------------------------------------------------------------------------


def test_from_the_third_call_on_a_function_is_replayed_to_the_bit():
    compiled = both(mlp, lambda k: (leaf(4, 8), leaf(8, 2, seed=1), np.random.default_rng(k).normal(size=(5, 4))))
    assert runs(compiled) == 3
    assert len(compiled.programs) == 1
    assert "matmul" in str(compiled.programs[0])


def test_other_shapes_and_dtypes_get_programs_of_their_own():
    compiled = ag.compile(lambda x: (x * x).sum())
    for _ in range(3):
        for x in (np.ones(3), np.ones(4), np.ones(3, np.float32)):
            assert compiled(ag.tensor(x)).dtype == x.dtype
    assert len(compiled.programs) == 3


def test_a_gradient_that_is_not_one_is_carried_back():
    w = leaf(3)
    compiled = ag.compile(lambda w: np.exp(w))
    for k in range(5):
        g = np.random.default_rng(k).normal(size=3)
        found = ag.gradient(compiled(w), w, g)
        assert same_bits(found._array, ag.gradient(np.exp(w), w, g)._array)


def test_captured_tensors_get_gradients_and_are_read_at_each_call():
    w = leaf(3)
    compiled = ag.compile(lambda x: (w * x).sum())
    x = np.arange(3.0)
    for k in range(6):
        w.grad = None
        y = compiled(x)
        y.backward()
        assert float(y.data) == float((w.data * x).sum())
        assert w.grad.data.tolist() == x.tolist()
        if k % 2:
            w.data[...] += 1.0
        else:
            w.data = w.data + 1.0
    assert runs(compiled) >= 2


def test_captured_arrays_are_read_where_they_are():
    mask = np.ones(3)
    compiled = ag.compile(lambda x: (x * mask).sum())
    x = leaf(3)
    for k in range(6):
        mask[:] = k
        x.grad = None
        compiled(x).backward()
        assert x.grad.data.tolist() == [k] * 3
    assert runs(compiled) == 4


def test_several_results_and_a_use_of_either():
    compiled = ag.compile(lambda x: {"sum": x.sum(), "rest": (x * x, "text")})
    x = leaf(3)
    for k in range(6):
        out = compiled(x)
        assert out["rest"][1] == "text"
        y = (out["sum"], out["rest"][0].sum(), out["sum"] * out["rest"][0].sum())[k % 3]
        (found,) = ag.gradient(y, [x])
        z = (x.sum(), (x * x).sum(), x.sum() * (x * x).sum())[k % 3]
        np.testing.assert_array_equal(found.data, ag.gradient(z, x).data)
    assert runs(compiled) == 4


def test_without_recording_only_the_value_is_computed():
    w = leaf(3)
    compiled = ag.compile(lambda x: np.exp(x * w))
    with ag.no_grad():
        for _ in range(4):
            assert not compiled(w).requires_grad
    for _ in range(4):
        assert compiled(w).requires_grad
    assert len(compiled.programs) == 2


def test_a_method_and_keywords_and_defaults():
    class Model:
        @ag.compile
        def loss(self, x: Any, *, scale: float = 2.0) -> Any:
            return (x * scale).sum()

    model = Model()
    for scale in (1.0, 3.0):
        for _ in range(3):
            assert float(model.loss(leaf(3), scale=scale).data) == float(leaf(3).data.sum() * 0 + (leaf(3).data * scale).sum())


@pytest.mark.parametrize(
    "inner",
    {
        "grad": lambda x: ag.grad(lambda t: (np.sin(t) * t).sum())(x).sum(),
        "hvp": lambda x: (
            ag.hvp(lambda t: (np.sin(t) ** 2).sum())(x, np.ones(3))[1].sum() if False else ag.grad(lambda t: (np.sin(t) ** 2).sum())(x).sum()
        ),
        "vmap": lambda x: ag.vmap(lambda t: np.sin(t) * t)(x).sum(),
        "checkpoint": lambda x: ag.checkpoint(lambda t: np.sin(t) * t)(x).sum(),
        "jacobian": lambda x: (ag.jacobian(lambda t: np.sin(t) * t)(x) ** 2).sum(),
    }.items(),
    ids=lambda pair: pair[0] if isinstance(pair, tuple) else None,
)
def test_transforms_inside_are_recorded(inner: tuple[str, Any]) -> None:
    compiled = both(inner[1], lambda k: (leaf(3, seed=k),))
    assert runs(compiled) == 3 or "as it is" in compiled.why()


def test_inside_of_a_transform_the_function_is_called_as_it_is():
    compiled = ag.compile(lambda x: (np.sin(x) * x).sum())
    x = np.arange(3.0)
    for _ in range(4):
        np.testing.assert_array_equal(ag.grad(compiled)(x), ag.grad(compiled.function)(x))
        np.testing.assert_array_equal(ag.hessian(compiled)(x), ag.hessian(compiled.function)(x))
        np.testing.assert_array_equal(ag.vmap(compiled)(x.reshape(3, 1)), ag.vmap(compiled.function)(x.reshape(3, 1)))
        assert float(ag.jvp(compiled, (x,), (np.ones(3),))[1]) == float(ag.jvp(compiled.function, (x,), (np.ones(3),))[1])


def test_gradients_of_gradients_call_the_function_once_more():
    compiled = ag.compile(lambda x: (x**3).sum())
    x = leaf(3)
    for _ in range(4):
        first = ag.gradient(compiled(x), x, create_graph=True)
        second = ag.gradient(first.sum(), x)
        np.testing.assert_allclose(second.data, 6 * x.data)


def test_a_graph_is_freed_by_its_backward_pass_and_kept_if_asked_for():
    compiled = ag.compile(lambda x: (x * x).sum())
    x = leaf(3)
    for _ in range(4):
        y = compiled(x)
        y.backward(retain_graph=True)
        y.backward()
        with pytest.raises(RuntimeError, match="freed graph"):
            y.backward()


def test_two_forward_passes_before_either_backward_pass_do_not_disturb_one_another():
    compiled = ag.compile(lambda x: np.exp(x).sum())
    xs = [leaf(3, seed=k) for k in range(6)]
    ys = [compiled(x) for x in xs]
    for x, y in zip(xs[::-1], ys[::-1], strict=True):
        y.backward()
        assert same_bits(x.grad._array, np.exp(x._array))


def test_custom_operations_are_recorded():
    @ag.op(x=lambda g, out: g * out)
    def my_exp(x: Any) -> Any:
        return np.exp(x)

    compiled = both(lambda x: my_exp(x).sum(), lambda k: (leaf(3, seed=k),))
    assert runs(compiled) == 3


# --- decisions and numbers ---------------------------------------------------------------------------------------------------------


def test_a_branch_has_a_program_for_each_way():
    def function(x: Any) -> Any:
        return (x * 2).sum() if x.sum() > 0 else (x * 3).sum()

    compiled = ag.compile(function)
    x = leaf(3)
    for k in range(12):
        x.data = np.full(3, 1.0 if k % 2 else -1.0)
        x.grad = None
        compiled(x).backward()
        assert x.grad.data.tolist() == [2.0 if k % 2 else 3.0] * 3
    assert len(compiled.programs) == 2


def test_a_number_that_leaves_is_never_a_number_of_the_past():
    compiled = ag.compile(lambda x: (x * float(x.sum())).sum())
    for k in range(8):
        x = leaf(3, seed=k % 3)
        assert float(compiled(x).data) == float((x.data * float(x.data.sum())).sum())


def test_numbers_that_always_differ_end_in_calls_as_it_is_with_one_warning():
    compiled = ag.compile(lambda x: (x * float(x.sum())).sum())
    with pytest.warns(CompileWarning, match="called as it is"):  # noqa: PT031
        for k in range(40):
            compiled(leaf(3, seed=k))
    assert float(compiled(leaf(3)).data) == float((leaf(3).data * float(leaf(3).data.sum())).sum())


def test_shapes_that_depend_on_the_data_are_followed():
    compiled = ag.compile(lambda x: (x[x > 0] ** 2).sum())
    for k in range(12):
        x = leaf(5, seed=k % 4)
        assert float(compiled(x).data) == float((x.data[x.data > 0] ** 2).sum())


def test_what_leaves_as_an_array_is_said_once():
    compiled = ag.compile(lambda x: (x * np.asarray(x.detach())).sum())
    with pytest.warns(CompileWarning, match=r"np\.asarray of a value of shape \(3,\)"):  # noqa: PT031
        for k in range(4):
            x = leaf(3, seed=k)
            assert float(compiled(x).data) == float((x.data * x.data).sum())
    assert "test_compile.py" in compiled.why()


# --- state ---------------------------------------------------------------------------------------------------------------------------


def test_a_hidden_counter_is_found():
    count = [0]

    def function(x: Any) -> Any:
        count[0] += 1
        return (x * count[0]).sum()

    compiled = ag.compile(function)
    with pytest.warns(CompileWarning, match="called as it is"):  # noqa: PT031
        for k in range(1, 6):
            assert float(compiled(ag.tensor([1.0])).data) == k


def test_numbers_of_ones_own_generator_are_found():
    random = np.random.default_rng(0)
    expected = np.random.default_rng(0)
    compiled = ag.compile(lambda x: (x * random.random(3)).sum())
    with pytest.warns(CompileWarning, match="no argument tells of"):  # noqa: PT031
        for _ in range(5):
            assert float(compiled(ag.tensor(np.ones(3))).data) == float(expected.random(3).sum())


def test_numbers_that_are_drawn_by_ag_drawn_are_new_at_each_run():
    random = np.random.default_rng(0)
    expected = np.random.default_rng(0)
    compiled = ag.compile(lambda x: (x * ag.drawn(random, "random", 3)).sum())
    for _ in range(6):
        assert float(compiled(ag.tensor(np.ones(3))).data) == float(expected.random(3).sum())
    assert runs(compiled) == 4


def test_a_draw_before_a_decision_that_is_another_one_is_taken_back():
    random, expected = np.random.default_rng(0), np.random.default_rng(0)

    def function(x: Any, random: Any = None) -> Any:
        noise = ag.drawn(random, "random", 3) * ag.drawn(random, "random", 3)
        return (x * noise).sum() * (2.0 if x.sum() > 0 else 3.0)

    compiled = ag.compile(lambda x: function(x, random))
    for k in range(12):
        x = ag.tensor(np.full(3, 1.0 if k % 3 else -1.0))
        assert float(compiled(x).data) == float(function(x, expected).data)


SCALE = 2.0


def test_a_global_and_a_cell_that_change_are_followed():
    global SCALE
    offset = 1.0

    def function(x: Any) -> Any:
        return (x * SCALE + offset).sum()

    compiled = ag.compile(function)
    for k in range(9):
        SCALE, offset = float(k // 4), float(k // 3)
        assert float(compiled(ag.tensor([1.0])).data) == k // 4 + k // 3
    assert runs(compiled) >= 1


def test_a_list_that_is_appended_to_is_no_business_of_a_program():
    losses: list[Any] = []

    def function(x: Any) -> Any:
        y = (x * x).sum()
        losses.append(y)
        return y

    compiled = ag.compile(function)
    with pytest.warns(CompileWarning, match="as it is"):  # noqa: PT031
        for _ in range(5):
            compiled(leaf(3))
    assert len(losses) == 5
    assert all(type(t._array) is np.float64 for t in losses)


def test_an_assignment_to_a_state_is_done_at_each_run():
    state = ag.tensor(np.zeros(3))

    def function(x: Any) -> Any:
        with ag.no_grad():
            state.data = state.data * 0.5 + x.data
        return (x * state).sum()

    compiled = ag.compile(function)
    other = np.zeros(3)
    for k in range(6):
        x = leaf(3, seed=k)
        y = compiled(x)
        other = other * 0.5 + x.data
        assert state.data.tolist() == other.tolist()
        assert float(y.data) == float((x.data * other).sum())
    assert runs(compiled) >= 3


def test_elements_that_are_written_are_written_at_each_run():
    state = ag.tensor(np.zeros(3))

    def function(x: Any) -> Any:
        with ag.no_grad():
            state.data[1] += 1.0
            state[0] = x.detach().sum()
        return (x * 2.0).sum()

    compiled = ag.compile(function)
    for k in range(6):
        x = leaf(3, seed=k)
        compiled(x)
        assert state.data.tolist() == [float(x.data.sum()), k + 1.0, 0.0]
    assert runs(compiled) >= 2


def test_an_argument_that_is_written_to_is_written_to():
    def function(x: Any) -> Any:
        x[0] = 5.0
        return (x * x).sum()

    compiled = ag.compile(function)
    for k in range(5):
        x, z = np.arange(3.0) + k, np.arange(3.0) + k
        t = ag.tensor(x)
        assert float(compiled(t).data) == float(function(ag.tensor(z)).data)
        assert t.data.tolist() == [5.0, 1.0 + k, 2.0 + k]
        assert float(compiled(x)) == float(function(z))
        assert x.tolist() == [5.0, 1.0 + k, 2.0 + k]


def test_a_view_that_is_written_through_changes_the_whole():
    def function(x: Any) -> Any:
        y = x * 1.0
        v = y[1:]
        v *= 2.0
        v[0] = 7.0
        return (y * y).sum()

    compiled = both(function, lambda k: (leaf(4, seed=k),))
    assert runs(compiled) == 3 or "as it is" in compiled.why()


def test_tied_arguments_are_another_signature():
    compiled = ag.compile(lambda x, y: (x * y).sum())
    for _ in range(4):
        x, y = leaf(3), leaf(3, seed=1)
        compiled(x, y).backward()
        z = leaf(3, seed=2)
        compiled(z, z).backward()
        np.testing.assert_array_equal(z.grad.data, 2 * z.data)
    assert len(compiled.programs) == 2


def test_an_argument_that_is_also_captured():
    w = leaf(3)
    compiled = ag.compile(lambda x: (x * w).sum())
    for k in range(6):
        x = w if k % 2 else leaf(3, seed=k)
        w.grad = None
        y = compiled(x)
        y.backward()
        np.testing.assert_array_equal(w.grad.data, 2 * w.data if k % 2 else x.data)


# --- training steps ---------------------------------------------------------------------------------------------------------------------


def train(wrap: Callable[[Any], Any], steps: int = 8) -> tuple[list[float], list[Any], Any]:
    """A step written by hand: forward, backward, update."""
    w, v = leaf(4, 8), leaf(8, 1, seed=1)

    def step(x: Any, t: Any) -> Any:
        w.grad = v.grad = None
        loss = ((np.tanh(x @ w) @ v - t) ** 2).mean()
        loss.backward()
        with ag.no_grad():
            for p in (w, v):
                p -= 0.1 * p.grad
        return loss

    step = wrap(step)
    losses = []
    for k in range(steps):
        random = np.random.default_rng(k)
        losses.append(float(step(random.normal(size=(5, 4)), random.normal(size=(5, 1))).data))
    return losses, [w.data, v.data, w.grad.data, v.grad.data], step


def test_a_whole_training_step_is_replayed_to_the_bit():
    losses, arrays, _ = train(lambda step: step)
    own, found, step = train(ag.compile)
    assert own == losses
    assert all(same_bits(a, b) for a, b in zip(found, arrays, strict=True))
    assert runs(step) >= 4


def test_gradients_accumulate_where_nobody_clears_them():
    w, v = leaf(3), leaf(3)

    def step(p: Any) -> None:
        (p * p * p).sum().backward()

    compiled = ag.compile(lambda: step(w))
    for _ in range(6):
        compiled()
        step(v)
    assert same_bits(w.grad.data, v.grad.data)
    assert runs(compiled) >= 2


def test_a_function_that_is_untraced_is_called_at_each_run():
    w = leaf(3)
    seen = []

    @ag.untraced
    def look() -> None:
        seen.append(w.grad.data.copy())
        w.data[...] -= 0.1 * w.grad.data

    @ag.compile
    def step(x: Any) -> Any:
        w.grad = None
        loss = (np.tanh(w) * x).sum()
        loss.backward()
        look()
        return loss

    other = w.data.copy()
    for k in range(6):
        x = np.arange(3.0) + k
        loss = step(x)
        assert float(loss.data) == float((np.tanh(other) * x).sum())
        other = other - 0.1 * (x - x * np.tanh(other) ** 2)
        np.testing.assert_allclose(w.data, other, rtol=1e-14)
    assert len(seen) == 6
    assert runs(step) >= 3


# --- what else may happen ------------------------------------------------------------------------------------------------------------------


def test_an_exception_inside_is_the_functions_own_and_leaves_nothing_half_done():
    state = ag.tensor(np.zeros(3))

    def function(x: Any) -> Any:
        with ag.no_grad():
            state.data[...] += 1.0
        if x.sum() < 0:
            raise ArithmeticError("negative")
        return np.linalg.solve(np.diag(x), np.ones(3)).sum() if x.ndim == 1 else x

    compiled = ag.compile(function)
    for k in range(6):
        if k == 4:
            with pytest.raises(ArithmeticError, match="negative"):
                compiled(ag.tensor(-np.ones(3)))
        else:
            compiled(ag.tensor(np.ones(3) + k))
        assert state.data.tolist() == [k + 1.0] * 3


def test_hooks_are_called():
    x = leaf(3)
    compiled = ag.compile(lambda x: (x * x).sum())
    for k in range(6):
        seen: list[Any] = []
        hook = x.register_hook(lambda g: seen.append(g) or g * 10.0)  # noqa: B023
        x.grad = None
        compiled(x).backward()
        assert len(seen) == 1, k
        np.testing.assert_array_equal(x.grad.data, 20 * x.data)
        hook.remove()
        x.grad = None
        compiled(x).backward()
        np.testing.assert_array_equal(x.grad.data, 2 * x.data)


def test_instruments_see_the_function_itself():
    compiled = ag.compile(lambda x: (np.exp(x) * 2).sum())
    x = leaf(3)
    for _ in range(4):
        compiled(x)
    with ag.profile() as found:
        compiled(x).backward()
    assert "exp" in str(found)


def test_threads_share_a_program():
    compiled = ag.compile(lambda x: (np.tanh(x) ** 2).sum())
    failures = []

    def work(seed: int) -> None:
        for k in range(30):
            x = leaf(20, seed=seed * 100 + k)
            y = compiled(x)
            y.backward()
            z = leaf(20, seed=seed * 100 + k)
            (np.tanh(z) ** 2).sum().backward()
            if not same_bits(x.grad.data, z.grad.data):
                failures.append((seed, k))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert runs(compiled) > 50


def test_structural_zeros_are_mended_in_a_run_too():
    compiled = ag.compile(lambda x: np.where(x > 0, np.sqrt(x), 0.0).sum())
    for k in range(6):
        x = ag.tensor([0.0, 1.0, 4.0] if k % 2 else [1.0, 2.0, 3.0], requires_grad=True)
        z = ag.tensor(x.data.copy(), requires_grad=True)
        compiled(x).backward()
        np.where(z > 0, np.sqrt(z), 0.0).sum().backward()
        assert same_bits(x.grad.data, z.grad.data)


def test_large_captured_values_that_change_before_the_backward_pass_are_noticed():
    a = np.ones(10_000)
    compiled = ag.compile(lambda x: (x * a).sum())
    for _ in range(4):
        x = ag.tensor(np.ones(10_000), requires_grad=True)
        y = compiled(x)
        a[:] = 2.0
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()
        a[:] = 1.0


def test_a_captured_tensor_that_was_an_argument_at_first():
    w = leaf(3)
    compiled = ag.compile(lambda x: (x * w).sum())
    for k in range(8):
        x = w if k < 4 else leaf(3, seed=k)
        w.grad = None
        y = compiled(x)
        y.backward()
        assert float(y.data) == float((x.data * w.data).sum())
        np.testing.assert_array_equal(w.grad.data, 2 * w.data if k < 4 else x.data)


def test_a_history_without_an_end_is_one():
    compiled = ag.compile(ag.hvp(lambda x: (np.tanh(x) ** 2).sum()))
    x, v = ag.tensor(np.arange(3.0)), ag.tensor(np.ones(3))
    for _ in range(5):
        found, expected = compiled(x, v), compiled.function(x, v)
        assert same_bits(found._array, expected._array)
        assert found.requires_grad is expected.requires_grad


def test_check_runs_both_and_compares():
    state = ag.tensor(np.zeros(3))
    random = np.random.default_rng(0)

    def function(x: Any) -> Any:
        with ag.no_grad():
            state.data = state.data * 0.5 + x.data
        return (np.tanh(x) * state * ag.drawn(random, "random", 3)).sum()

    compiled = ag.compile(function, check=True)
    for k in range(5):
        compiled(leaf(3, seed=k)).backward()
    (variant,) = next(iter(compiled._signatures.values())).variants
    forward = variant.backend.forward
    variant.backend.forward = lambda undo, arrays: ([a + 1 for a in forward(undo, arrays)[0]], forward(undo, arrays)[1])
    with pytest.raises(RuntimeError, match=r"check=True.*result 0"):
        compiled(leaf(3))


def test_why_tells_the_story():
    compiled = ag.compile(lambda x: x * 2.0)
    assert compiled.why() == "not called yet"
    for _ in range(3):
        compiled(leaf(3))
    assert compiled.why().splitlines()[0].startswith("recorded twice: ")
    assert compiled.why().splitlines()[-1].endswith("run 1 times")
