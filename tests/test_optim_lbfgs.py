"""L-BFGS: torch's steps, hard functions, and what it does with values that are not finite."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import optim
from optim.line_search import Point, cubic_minimum, strong_wolfe


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def closure_of(optimizer: Any, loss_of: Any, parameters: list[Any]) -> Any:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = loss_of(*parameters)
        loss.backward()
        return loss

    return closure


def minimise(loss_of: Any, starts: list[Any], steps: int, **options: Any) -> tuple[list[Any], optim.Optimizer]:
    parameters = [ag.tensor(start, requires_grad=True) for start in starts]
    optimizer = optim.LBFGS(parameters, **options)
    for _ in range(steps):
        optimizer.step(closure_of(optimizer, loss_of, parameters))
    return parameters, optimizer


@pytest.mark.parametrize("n", [2, 10, 50])
def test_rosenbrock_is_solved(n: int) -> None:
    (x,), _ = minimise(rosenbrock, [np.full(n, -1.0)], 15, line_search_fn="strong_wolfe")
    np.testing.assert_allclose(x.data, 1, atol=2e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1},
        {"lr": 0.05, "history_size": 3, "max_iter": 5},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "history_size": 2, "max_iter": 7},
        {"line_search_fn": "strong_wolfe", "lr": 0.5, "max_eval": 9},
        {"line_search_fn": "strong_wolfe", "tolerance_grad": 0.1, "tolerance_change": 1e-3},
    ],
)
def test_steps_are_torchs(options: dict[str, Any], rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    a, starts = rng.normal(size=(20, 6)), [rng.normal(size=(2, 3)), rng.normal(size=()), rng.normal(size=(4,))]
    b = rng.normal(size=20)

    def loss_of(w: Any, c: Any, v: Any) -> Any:
        line = a @ w.reshape(6) + c
        return np.logaddexp(line, 0.0).sum() - (b * line).sum() + (v**4 + v**2).sum() + (w**2).sum() + c**2

    def their_closure() -> Any:
        # NumPy's loss for torch too: torch's own differs in the last digit, and twenty iterations make much of that.
        values = [ag.tensor(q.detach().numpy().copy(), requires_grad=True) for q in theirs]
        loss = loss_of(*values)
        loss.backward()
        for q, value in zip(theirs, values, strict=True):
            q.grad = torch.tensor(value.grad.data)
        return torch.tensor(loss.item(), dtype=torch.float64)

    ours = [ag.tensor(s, requires_grad=True) for s in starts]
    theirs = [torch.tensor(s, requires_grad=True) for s in starts]
    mine, peer = optim.LBFGS(ours, **options), torch.optim.LBFGS(theirs, **options)
    for step in range(6):
        first = mine.step(closure_of(mine, loss_of, ours))
        other = peer.step(their_closure)
        np.testing.assert_allclose(first.item(), other.item(), rtol=1e-12)
        for p, q in zip(ours, theirs, strict=True):
            # Later steps begin where dot products of another order of summation have led, and divide by differences of gradients.
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=0, atol=1e-12 if step == 0 else 1e-8, err_msg=f"step {step}")
        mine_memory, peer_memory = mine.state[ours[0]], peer.state[theirs[0]]
        assert (mine_memory["func_evals"], mine_memory["n_iter"]) == (peer_memory["func_evals"], peer_memory["n_iter"])
        if mine_memory["n_iter"] >= 50:
            break


def test_torchs_state_can_be_taken_over(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    start = rng.normal(size=5)
    p, q = ag.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    peer = torch.optim.LBFGS([q], lr=0.01, max_iter=3)
    peer.step(closure_of(peer, rosenbrock, [q]))
    p.data[...] = q.detach().numpy()
    mine = optim.LBFGS([p])
    mine.load_state_dict(copy.deepcopy(peer.state_dict()))
    mine.step(closure_of(mine, rosenbrock, [p]))
    peer.step(closure_of(peer, rosenbrock, [q]))
    np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-10)


def test_a_saved_state_goes_on_bit_for_bit() -> None:
    (x,), optimizer = minimise(rosenbrock, [np.full(4, -1.0)], 2, line_search_fn="strong_wolfe", max_iter=3)
    y = ag.tensor(x.data, requires_grad=True)
    other = optim.LBFGS([y])
    other.load_state_dict(optimizer.state_dict())
    for tensor, opt in ((x, optimizer), (y, other)):
        opt.step(closure_of(opt, rosenbrock, [tensor]))
    np.testing.assert_array_equal(x.data, y.data)


def test_values_that_are_not_finite_on_the_way_are_stepped_back_from() -> None:
    def loss_of(x: Any) -> Any:
        return x - np.log(x)  # nan for x <= 0, where the first long step leads

    with np.errstate(invalid="ignore", divide="ignore"):
        (x,), _ = minimise(loss_of, [np.array(30.0)], 5, lr=100.0, line_search_fn="strong_wolfe")
    assert x.item() == pytest.approx(1.0, abs=1e-5)


def test_a_loss_that_is_not_finite_to_begin_with_is_refused() -> None:
    x = ag.tensor(np.ones(2), requires_grad=True)
    optimizer = optim.LBFGS([x])
    with pytest.raises(FloatingPointError, match="nothing was changed"), np.errstate(invalid="ignore"):
        optimizer.step(closure_of(optimizer, lambda x: (x * np.nan).sum(), [x]))
    assert x.tolist() == [1, 1]


def test_parameters_of_several_shapes_and_layouts_are_one_vector(rng: np.random.Generator) -> None:
    target = rng.normal(size=(3, 2))
    starts = [np.zeros((3, 2), order="F"), np.zeros(()), np.zeros((2, 2), dtype=complex)]
    (a, b, c), _ = minimise(
        lambda a, b, c: ((a - target) ** 2).sum() + (b - 3) ** 2 + (np.abs(c - 1j) ** 2).sum(), starts, 4, line_search_fn="strong_wolfe"
    )
    np.testing.assert_allclose(a.data, target, atol=1e-6)
    assert b.item() == pytest.approx(3)
    np.testing.assert_allclose(c.data, np.full((2, 2), 1j), atol=1e-6)


def test_misuse_is_named() -> None:
    x = ag.tensor(1.0, requires_grad=True)
    with pytest.raises(TypeError, match="LBFGS: step needs a closure"):
        optim.LBFGS([x]).step()
    with pytest.raises(ValueError, match="one group"):
        optim.LBFGS([{"params": [x]}, {"params": [ag.tensor(1.0, requires_grad=True)]}])
    with pytest.raises(ValueError, match='line_search_fn must be None or "strong_wolfe"'):
        optim.LBFGS([x], line_search_fn="armijo")
    with pytest.raises(ValueError, match="max_iter must be an integer >= 1"):
        optim.LBFGS([x], max_iter=0)


@pytest.mark.parametrize("first", [1e-3, 0.5, 1.0, 30.0])
@pytest.mark.parametrize("f", [lambda t: (t - 2) ** 2, lambda t: -t / (t * t + 2), lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4])
def test_the_line_search_ends_with_the_strong_wolfe_conditions(f: Any, first: float) -> None:
    def at(t: float) -> Point:
        x = ag.tensor(t, requires_grad=True)
        y = f(x)
        y.backward()
        return Point(t, y.item(), None, x.grad.item())

    start = at(0.0)
    found, evaluations = strong_wolfe(at, start, first, 1.0, 25)
    assert found.value <= start.value + 1e-4 * found.t * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)
    assert evaluations <= 25


def test_the_cubic_is_exact_for_cubics_in_either_order() -> None:
    a, b = Point(0.0, 0.0, None, -1.0), Point(2.0, 2.0**3 / 3 - 2.0, None, 3.0)  # t^3/3 - t, lowest at 1
    assert cubic_minimum(a, b, 0.0, 2.0) == pytest.approx(1.0)
    assert cubic_minimum(b, a, 0.0, 2.0) == pytest.approx(1.0)
    assert cubic_minimum(b, a, 0.0, 0.5) == 0.5
