"""Chains of steps in little memory: the plain chain's gradients, with as few calls and as few bytes as promised."""

from __future__ import annotations

import gc
import tracemalloc
from typing import NamedTuple

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core.memory.chains.schedules import enough_snapshots, minimal_advances

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3)


def leaf(value):
    return ag.tensor(value, requires_grad=True)


def plain(step, n):
    def chain(state):
        for _ in range(n):
            state = step(state)
        return state

    return chain


def gradients(function, *values):
    tensors = [leaf(v) for v in values]
    y = function(*tensors)
    (y * np.cos(y)).sum().backward()
    return [t.grad.data for t in tensors]


@pytest.mark.parametrize(("n", "snapshots"), [(0, 1), (1, 1), (2, 1), (5, 1), (7, 2), (20, 3), (30, 40), (57, None)])
def test_a_chain_has_the_gradient_of_the_plain_loop_to_the_bit(n, snapshots):
    step = lambda x: x + 0.1 * np.sin(x @ np.ones((3, 3)))
    assert np.array_equal(gradients(ag.checkpoint_chain(step, n, snapshots=snapshots), X)[0], gradients(plain(step, n), X)[0])


@pytest.mark.parametrize(("n", "snapshots"), [(2, 1), (10, 1), (10, 3), (64, 4), (100, 5), (35, 3), (36, 3), (12, 12), (12, 30), (200, None)])
def test_the_step_is_called_as_seldom_as_griewank_and_walther_prove_possible(n, snapshots):
    calls = []

    def step(x):
        calls.append(1)
        return np.sin(x)

    y = ag.checkpoint_chain(step, n, snapshots=snapshots)(leaf(0.5))
    assert len(calls) == n
    y.backward()
    assert len(calls) == n + minimal_advances(n, snapshots or enough_snapshots(n))


def test_ten_thousand_steps_need_no_recursion_and_eight_snapshots():
    x = leaf(0.3)
    ag.checkpoint_chain(lambda t: t * 1.0001, 10_000)(x).backward()
    assert np.isclose(x.grad.item(), 1.0001**10_000, rtol=1e-10)


def peak_bytes(function):
    gc.collect()
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_a_thousand_steps_take_the_memory_of_the_snapshots_and_one_tape():
    snapshots = 12
    x = leaf(np.linspace(0.0, 1.0, 8_000))
    chain = ag.checkpoint_chain(lambda t: 0.5 * t * t + 0.1, 1000, snapshots=snapshots)

    def train():
        x.grad = None
        chain(x).sum().backward()

    states = peak_bytes(train) / x.data.nbytes
    # A step's tape and its backward step take some more; the whole chain would hold 1000 and more.
    assert snapshots <= states < snapshots + 12


# --- what goes in and out -----------------------------------------------------------------------------------------------------------


class Particle(NamedTuple):
    q: object
    p: object


def leapfrog(state):
    p = state.p - 0.05 * np.sin(state.q)
    return Particle(state.q + 0.1 * p, p - 0.05 * np.sin(state.q + 0.1 * p))


def test_a_state_may_be_a_container():
    def energy(run):
        q, p = leaf(X), leaf(X**2)
        end = run(Particle(q, p))
        assert type(end) is Particle
        (np.sum(end.p**2) / 2 - np.sum(np.cos(end.q))).backward()
        return q.grad.data, p.grad.data

    for a, b in zip(energy(ag.checkpoint_chain(leapfrog, 50, snapshots=3)), energy(plain(leapfrog, 50)), strict=True):
        assert np.allclose(a, b, rtol=1e-12)


def test_a_state_that_is_not_asked_about_is_carried_along_without_a_gradient():
    seen = []

    def step(state):
        seen.append((state["x"].requires_grad, state["grid"].requires_grad))
        return {"x": state["x"] * np.interp(0.5, state["grid"].data, [1.0, 1.2, 1.5]), "grid": state["grid"], "count": state["count"] + 1}

    x = leaf(2.0)
    end = ag.checkpoint_chain(step, 9, snapshots=2)({"x": x, "grid": ag.tensor([0.0, 0.25, 1.0]), "count": 0})
    end["x"].backward()
    assert int(end["count"]) == 9
    assert np.isclose(x.grad.item(), 1.3**9)
    assert not any(grid for _, grid in seen)


def test_an_output_that_is_not_used_has_no_influence():
    x, y = leaf(1.5), leaf(2.0)
    ag.checkpoint_chain(lambda s: (s[0] * 1.1, s[1] * s[1]), 5, snapshots=2)((x, y))[0].backward()
    assert np.isclose(x.grad.item(), 1.1**5)
    assert y.grad is None or y.grad.item() == 0


def test_tensors_that_steps_refer_to_get_their_gradients():
    def run(chain_of):
        w, b, forcing = leaf(0.3 * np.ones((3, 3))), leaf(np.ones(3)), leaf(np.linspace(0.0, 1.0, 8))
        scaled = w * 1.5  # computed before: the gradient goes on from it
        x = leaf(X)
        y = chain_of(lambda i, t: np.tanh(t @ scaled + b) + forcing[i], 8)(x)
        (y**2).sum().backward()
        return [t.grad.data for t in (w, b, forcing, x)]

    def loop(step, n):
        def chain(state):
            for i in range(n):
                state = step(i, state)
            return state

        return chain

    found = run(lambda step, n: ag.checkpoint_chain(step, n, snapshots=3, numbered=True))
    for a, b in zip(found, run(loop), strict=True):
        assert np.allclose(a, b, rtol=1e-12)


def test_layers_of_a_sequence_are_called_in_turn():
    model = nn.Sequential(nn.Linear(3, 5, generator=0), nn.Tanh(), nn.Linear(5, 4, generator=1), nn.ReLU(), nn.Linear(4, 2, generator=2))
    x = X.astype(np.float32)
    (model(x) ** 2).sum().backward()
    expected = [p.grad.data for p in model.parameters()]
    model.zero_grad()
    (ag.checkpoint_chain(model, snapshots=2)(ag.tensor(x)) ** 2).sum().backward()
    for p, g in zip(model.parameters(), expected, strict=True):
        assert np.allclose(p.grad.data, g, rtol=1e-6)


def test_random_steps_get_the_same_numbers_again_and_the_programs_own_go_on():
    def run(chain_of):
        generator = np.random.default_rng(3)
        np.random.seed(4)
        x = leaf(X)
        y = chain_of(lambda t: t * (generator.random(X.shape) < 0.8) * np.random.uniform(0.9, 1.1), generator)(x)
        following = generator.random()
        y.sum().backward()
        return [y.data, x.grad.data, following, generator.random(), np.random.random()]

    found = run(lambda step, generator: ag.checkpoint_chain(step, 12, snapshots=2, generators=[generator]))
    expected = run(lambda step, generator: plain(step, 12))
    assert all(np.allclose(a, b, rtol=1e-13) for a, b in zip(found, expected, strict=True))


def test_a_chain_without_tracked_inputs_just_computes():
    y = ag.checkpoint_chain(np.sin, 5)(ag.tensor(X))
    assert not y.requires_grad
    with ag.no_grad():
        assert not ag.checkpoint_chain(np.sin, 5)(leaf(X)).requires_grad


# --- other passes -----------------------------------------------------------------------------------------------------------------


def test_a_retained_graph_gives_the_same_gradient_again():
    x = leaf(X)
    y = ag.checkpoint_chain(np.sin, 20, snapshots=3)(x).sum()
    y.backward(retain_graph=True)
    first = x.grad.data.copy()
    y.backward()
    assert np.array_equal(x.grad.data, 2 * first)
    with pytest.raises(RuntimeError, match="freed graph"):
        y.backward()


def test_second_order_goes_through_a_chain_and_what_it_refers_to():
    def energy(chain_of):
        def f(params):
            return np.sum(chain_of(lambda t: np.tanh(t * params["w"]) + params["x"])(params["x"]))

        return ag.hessian(f)({"w": np.linspace(0.5, 1.0, 3), "x": np.linspace(-1.0, 1.0, 3)})

    found, expected = energy(lambda step: ag.checkpoint_chain(step, 6, snapshots=2)), energy(lambda step: plain(step, 6))
    for a in "wx":
        for b in "wx":
            assert np.allclose(found[a][b], expected[a][b], rtol=1e-10, atol=1e-14)


def test_forward_derivatives_go_through_a_chain():
    chain, loop = ag.checkpoint_chain(np.sin, 6, snapshots=2), plain(np.sin, 6)
    assert np.allclose(ag.jvp(chain, (X,), (X**2,))[1], ag.jvp(loop, (X,), (X**2,))[1], rtol=1e-13)


def test_chains_nest():
    inner = ag.checkpoint_chain(lambda t: np.sin(t) * 1.1, 4, snapshots=2)
    outer = ag.checkpoint_chain(inner, 5, snapshots=2)
    assert np.allclose(gradients(outer, X)[0], gradients(plain(lambda t: np.sin(t) * 1.1, 20), X)[0], rtol=1e-12)


def test_gradcheck_accepts_a_chain():
    assert ag.gradcheck(ag.checkpoint_chain(lambda t: np.tanh(t) + 0.1 * t * t, 7, snapshots=2), X)


def test_an_error_in_the_second_run_leaves_the_random_state_and_the_leaves_alone():
    calls = []

    def step(t):
        calls.append(1)
        if len(calls) > 12:
            raise RuntimeError("mine")
        return t * np.random.random()

    x = leaf(1.0)
    y = ag.checkpoint_chain(step, 10, snapshots=2)(x)
    state = np.random.get_state()[1].copy()
    with pytest.raises(RuntimeError, match="mine"):
        y.backward()
    assert x.grad is None
    assert np.array_equal(np.random.get_state()[1], state)


# --- a budget ---------------------------------------------------------------------------------------------------------------------


def wave(t):
    return t + 0.01 * np.sin(t) * np.tanh(t)


# How often each step is called at most, by the number of states that the budget has room for. Up to 100 steps are planned
# like layers, more in units.
@pytest.mark.parametrize("n", [60, 150])
@pytest.mark.parametrize(("states", "times"), [(10, 7), (20, 4), (60, 2.4), (200, 2), (2000, 1)])
def test_a_budget_is_kept_and_more_of_it_means_fewer_calls(n, states, times):
    x = leaf(np.linspace(0.0, 1.0, 10_000))
    calls = []
    chain = ag.checkpoint_chain(lambda t: calls.append(1) or wave(t), n, budget=states * x.data.nbytes)

    def train():
        x.grad = None
        chain(x).sum().backward()

    train()
    calls.clear()
    # What single operations need while they run, and the last sum's gradient, come to it.
    assert peak_bytes(train) <= (states + 6) * x.data.nbytes
    assert len(calls) <= times * n
    x.grad, found = None, x.grad.data
    plain(wave, n)(x).sum().backward()
    assert np.allclose(found, x.grad.data, rtol=1e-13)


def test_a_constant_array_that_every_step_uses_does_not_count_as_its_tape():
    matrix = np.random.default_rng(0).normal(size=(300, 300)) / 20
    calls = []
    chain = ag.checkpoint_chain(lambda t: calls.append(1) or np.tanh(t @ matrix), 50, budget=500_000)
    x = leaf(np.ones(300))
    chain(x).sum().backward()
    assert len(calls) == 2 + 50  # measured twice, then all of it fits


def test_a_budget_for_unequal_layers_checkpoints_where_it_pays():
    rng = np.random.default_rng(0)
    calls = []

    def layer(i):
        w = leaf(rng.normal(size=(40, 40)) / 40)
        inner = 6 if i % 3 == 0 else 1

        def call(t):
            calls.append(i)
            for _ in range(inner):
                t = np.tanh(t @ w) + t
            return t

        return call, w

    layers = [layer(i) for i in range(12)]
    functions, weights = [f for f, _ in layers], [w for _, w in layers]
    x = ag.tensor(rng.normal(size=(500, 40)))

    def train(chain):
        for w in weights:
            w.grad = None
        chain(x).sum().backward()
        return [w.grad.data for w in weights]

    def whole(t):
        for f in functions:
            t = f(t)
        return t

    expected = train(whole)
    everything = peak_bytes(lambda: train(whole))
    for budget in (everything // 3, everything // 2, 2 * everything):
        chain = ag.checkpoint_chain(functions, budget=budget)
        for a, b in zip(train(chain), expected, strict=True):
            assert np.allclose(a, b, rtol=1e-10, atol=1e-12)
        calls.clear()
        peak = peak_bytes(lambda chain=chain: train(chain))
        assert peak <= budget + 6 * x.data.nbytes
        assert 12 < len(calls) < 60 if budget < everything else len(calls) == 12


@pytest.mark.parametrize(
    ("budget", "size"), [(1000, 1000), ("64 MiB", 64 * 2**20), ("1.5 GB", 1_500_000_000), ("10kb", 10_000), ("7", 7), ("2 B", 2)], ids=str
)
def test_a_budget_is_bytes_or_a_text(budget, size):
    assert ag.checkpoint_chain(np.sin, 5, budget=budget).budget == size


def test_a_budget_that_cannot_do_names_the_least_that_can():
    x = leaf(np.ones(1000))
    for chain in (lambda budget: ag.checkpoint_chain(np.sin, 50, budget=budget), lambda budget: ag.checkpoint_chain([np.sin] * 50, budget=budget)):
        with pytest.raises(ValueError, match=r"not enough, this chain takes at least \d+") as error:
            chain("20 kB")(x)
        least = int(str(error.value).split()[-1])
        chain(least)(x).sum().backward()


# --- what is refused ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: ag.checkpoint_chain(np.sin), TypeError, "number of steps"),
        (lambda: ag.checkpoint_chain([np.sin], 3), TypeError, "n=3 is for one function"),
        (lambda: ag.checkpoint_chain(np.sin, -1), ValueError, "n=-1"),
        (lambda: ag.checkpoint_chain(np.sin, 3, snapshots=0), ValueError, "at least 1"),
        (lambda: ag.checkpoint_chain(np.sin, 3, snapshots=2, budget=10), ValueError, "not both"),
        (lambda: ag.checkpoint_chain(np.sin, 3, budget="much"), ValueError, "'64 MiB'"),
        (lambda: ag.checkpoint_chain(np.sin, 3)("text"), TypeError, "the state at the beginning must be made of tensors, it holds a str"),
        (lambda: ag.checkpoint_chain(lambda t: None, 3)(leaf(1.0)), TypeError, "the state after step 0 holds no tensors"),
    ],
)
def test_what_makes_no_sense_is_refused(attempt, error, message):
    with pytest.raises(error, match=message):
        attempt()


def test_a_step_that_remembers_a_tensor_outside_of_the_state_is_refused():
    memory = []

    def step(t):
        memory.append(t * 2.0)
        return t + memory[len(memory) // 2]

    with pytest.raises(RuntimeError, match="an earlier step computed and that is not part of the state"):
        ag.checkpoint_chain(step, 5, snapshots=2)(leaf(1.0))


def test_a_step_that_makes_a_parameter_and_keeps_it_is_refused():
    made = []

    def step(t):
        if not made:
            made.append(leaf(2.0))
        return t * made[0]

    with pytest.raises(RuntimeError, match="step 0 made a tensor of shape \\(\\) that requires grad and lives on"):
        ag.checkpoint_chain(step, 3, snapshots=2)(leaf(1.0))
    made.clear()
    with pytest.raises(RuntimeError, match="the function made a tensor"):
        ag.checkpoint(step)(leaf(1.0))


def test_a_state_changed_in_place_after_the_forward_pass_is_noticed():
    states = []

    def step(t):
        states.append(t.data)
        return t * t

    y = ag.checkpoint_chain(step, 9, snapshots=3)(leaf(np.full(4000, 1.1)))
    for state in states:
        state[...] = 5.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_an_input_changed_in_place_after_the_forward_pass_is_noticed():
    x = leaf(np.full(4000, 1.1))
    array = x.data  # reachable before, so the chain looks after itself
    y = ag.checkpoint_chain(lambda t: t * t, 9, snapshots=1)(x)
    array[...] = 5.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_step_that_gives_another_shape_the_second_time_is_refused():
    calls = []

    def step(t):
        calls.append(1)
        return t * 1.5 if len(calls) <= 4 else np.concatenate([t, t])

    y = ag.checkpoint_chain(step, 4, snapshots=1)(leaf(np.ones(2)))
    with pytest.raises(RuntimeError, match="a step must depend on its state alone"):
        y.sum().backward()


@pytest.mark.parametrize("wrap", [lambda step: ag.checkpoint(step), lambda step: ag.checkpoint_chain(step, 3)], ids=["checkpoint", "chain"])
@pytest.mark.parametrize("value", [2.0, np.array([2.0])], ids=["number", "array"])
def test_a_parameter_changed_before_the_backward_pass_is_noticed(wrap, value):
    w, x = leaf(value), leaf(np.array([1.5]))
    y = wrap(lambda t: np.sin(t * w))(x).sum()
    w.data = w.data - 0.1
    with pytest.raises(RuntimeError, match=r"refers to a tensor of shape .* that was changed after the forward pass"):
        y.backward()
    y = wrap(lambda t: np.sin(t * w))(x).sum()
    y.backward()
    w.data = w.data - 0.1


def test_complex_and_single_precision_states_keep_their_dtypes():
    for dtype in (np.complex128, np.complex64, np.float32):
        start = np.array([0.5, -0.25], dtype) * (1 + 0.5j if np.dtype(dtype).kind == "c" else 1)
        step = lambda t: t + 0.1 * t * t
        found = []
        for chain in (ag.checkpoint_chain(step, 12, snapshots=3), plain(step, 12)):
            x = leaf(start.astype(dtype))
            np.abs(chain(x) ** 2).sum().backward()
            found.append(x.grad.data)
        assert found[0].dtype == dtype
        assert np.array_equal(found[0], found[1])


def test_debugging_modes_see_the_steps_of_a_chain():
    chain = ag.checkpoint_chain(lambda t: np.log(t) - 1.0, 5, snapshots=2)
    with ag.detect_anomaly(), pytest.raises(ag.AnomalyError, match="log"):
        chain(leaf(2.0)).backward()
    x = leaf(X)
    with ag.profile() as measured, ag.detect_anomaly():
        ag.checkpoint_chain(np.sin, 5, snapshots=2)(x).sum().backward()
    assert {total.name: total.calls for total in measured.totals()}["sin"] == 5
    assert "checkpoint_chain" in str(ag.tape(ag.checkpoint_chain(np.sin, 5)(x)))


@pytest.mark.parametrize("seed", range(8))
def test_random_chains_have_the_gradients_of_the_plain_loop(seed):
    """Steps of random operations on a state of several parts, some of them constant, with parameters and forcing from outside."""
    rng = np.random.default_rng(seed)
    n, width = int(rng.integers(2, 14)), int(rng.integers(1, 4))
    choices = rng.integers(0, 4, (n, width))
    weights = [leaf(rng.normal(size=(3, 3)) / 3) for _ in range(2)]
    forcing = leaf(rng.normal(size=n))
    starts = [ag.tensor(rng.normal(size=3), requires_grad=bool(k == 0 or rng.random() < 0.7)) for k in range(width)]

    def step(i, state):
        parts = list(state)
        for k, choice in enumerate(choices[i]):
            other = parts[(k + 1) % width]
            if choice == 0:
                parts[k] = np.tanh(weights[k % 2] @ parts[k])
            elif choice == 1:
                parts[k] = parts[k] * np.cos(other) + forcing[i]
            elif choice == 2:
                parts[k] = np.where(parts[k] > 0, parts[k], 0.5 * other)
        return tuple(parts)

    def loop(state):
        for i in range(n):
            state = step(i, state)
        return state

    how = {"snapshots": int(rng.integers(1, 6))} if seed % 2 else {"budget": int(rng.integers(5000, 40_000))}
    tracked = [*weights, forcing, *(s for s in starts if s.requires_grad)]

    def found(chain, create_graph):
        y = sum(np.sum(part * part) for part in chain(tuple(starts)))
        gradients = ag.gradient(y, tracked, create_graph=create_graph, allow_unused=True)
        if not create_graph:
            return gradients
        return ag.gradient(sum(np.sum(g * g) for g in gradients if g is not None), tracked, allow_unused=True)

    for create_graph in (False, True):
        chain = ag.checkpoint_chain(step, n, numbered=True, **how)
        for a, b in zip(found(chain, create_graph), found(loop, create_graph), strict=True):
            assert (a is None and (b is None or not np.any(b.data))) or np.allclose(a.data, b.data if b is not None else 0, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("options", [{"snapshots": 2}, {"budget": 4000}], ids=["snapshots", "budget"])
def test_a_step_that_draws_other_numbers_the_second_time_is_an_error_and_listed_generators_mend_it(options):
    def run(**more):
        generator = np.random.default_rng(5)
        x = leaf(np.ones((4, 5)))
        chain = ag.checkpoint_chain(lambda t: t * (1.0 + 0.1 * generator.random(t.shape)), 30, **options, **(more and {"generators": [generator]}))
        chain(x).sum().backward()

    with pytest.raises(RuntimeError, match=r"the second run of step .* gave other values than the first"):
        run()
    run(listed=True)


def test_a_chain_of_plain_arrays_gives_plain_arrays():
    found = ag.checkpoint_chain(lambda t: t * 2.0, 5)(np.ones(3))
    assert type(found) is np.ndarray
    assert np.array_equal(found, np.full(3, 32.0))
    assert isinstance(ag.checkpoint_chain(lambda t: t * 2.0, 5)(ag.tensor(np.ones(3))), ag.Tensor)
