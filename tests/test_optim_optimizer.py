"""The loop around the rules: groups, blocks, states, refusals."""

from __future__ import annotations

import copy
import math
import os
import pickle
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim

RULES = [optim.SGD, optim.Adam]


def with_gradient(data: Any, gradient: Any) -> ag.Tensor:
    tensor = ag.tensor(data, requires_grad=True)
    tensor.grad = ag.tensor(gradient, dtype=tensor.dtype)
    return tensor


@pytest.mark.parametrize("make", RULES)
def test_a_step_goes_downhill_and_maximize_uphill(make: Any) -> None:
    for maximize, sign in ((False, -1), (True, 1)):
        p = with_gradient(np.zeros(3), np.array([1.0, 2.0, -1.0]))
        make([p], lr=0.1, maximize=maximize).step()
        np.testing.assert_array_equal(np.sign(p.data), [sign, sign, -sign])


@pytest.mark.parametrize("make", RULES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_parameters_and_states_keep_their_dtype_even_with_numpy_hyperparameters(make: Any, dtype: Any) -> None:
    p = with_gradient(np.ones(3, dtype=dtype), np.ones(3))
    optimizer = make([p], lr=np.float64(0.1), weight_decay=np.float64(0.1))
    optimizer.step()
    optimizer.step()
    assert p.dtype == dtype
    kept = np.float32 if dtype == np.float16 else dtype  # squares of gradients would be 0 in half precision
    assert all(value.dtype == kept for value in optimizer.state[p].values() if isinstance(value, np.ndarray))


def test_updates_are_in_place_and_a_view_of_the_parameter_sees_them() -> None:
    p = with_gradient(np.ones(3), np.ones(3))
    data = p.data
    optim.SGD([p], lr=0.5).step()
    assert p.data is data
    assert data.tolist() == [0.5, 0.5, 0.5]


def test_state_replaced_by_hand_is_used_by_the_next_step() -> None:
    p = with_gradient(np.zeros(2), np.ones(2))
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    optimizer.step()
    optimizer.state[p]["momentum_buffer"] = np.array([10.0, 20.0])
    optimizer.step()
    np.testing.assert_array_equal(p.data, [-7.0, -12.0])


def test_groups_have_hyperparameters_of_their_own() -> None:
    a, b, c = (with_gradient(0.0, 1.0) for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 2.0})
    optimizer.step()
    assert (a.item(), b.item(), c.item()) == (-0.1, -0.5, -2.0)
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()
    assert a.item() == -1.1


def test_a_hyperparameter_may_be_a_function_of_the_step() -> None:
    p = with_gradient(0.0, 1.0)
    optimizer = optim.SGD([p], lr=lambda step: 10.0**-step)
    for expected in (-1.0, -1.1, -1.11):
        optimizer.step()
        assert p.item() == pytest.approx(expected)
    moments = optim.Adam([p], betas=(lambda step: 0.9 + 0.01 * step, 0.999))
    moments.step()
    assert moments.steps == 1


def test_the_closure_is_run_with_gradients_and_its_loss_returned() -> None:
    p = ag.tensor(2.0, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.25)

    def closure() -> ag.Tensor:
        optimizer.zero_grad()
        loss = p * p
        loss.backward()
        return loss

    with ag.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert p.item() == 1.0


def test_zero_grad_forgets_or_zeroes() -> None:
    p = with_gradient(np.ones(2), np.ones(2))
    optimizer = optim.SGD([p])
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.step()
    assert p.tolist() == [1, 1]


def test_a_gradient_that_is_itself_recorded_can_be_stepped_on() -> None:
    p = ag.tensor([1.0, 2.0], requires_grad=True)
    (p * p).sum().backward(create_graph=True)
    optim.SGD([p], lr=0.5).step()
    assert p.tolist() == [0, 0]


@pytest.mark.parametrize("make", RULES)
def test_training_fits_a_line(make: Any, rng: np.random.Generator) -> None:
    model = nn.Linear(3, 1, dtype=np.float64, generator=0)
    x = rng.normal(size=(50, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 3.0
    optimizer = make(model.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    np.testing.assert_allclose(model.weight.data, [[1.0, -2.0, 0.5]], atol=1e-3)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (optim.SGD, {"lr": -1.0}, "SGD: lr must be a finite number >= 0, not -1.0"),
        (optim.SGD, {"lr": math.nan}, "SGD: lr must be"),
        (optim.SGD, {"lr": "0.1"}, "SGD: lr must be"),
        (optim.SGD, {"momentum": -0.1}, "SGD: momentum must be"),
        (optim.SGD, {"nesterov": True}, "SGD: nesterov needs momentum > 0"),
        (optim.SGD, {"nonfinite": "stop"}, 'SGD: nonfinite must be "raise", "skip" or "ignore"'),
        (optim.Adam, {"betas": (0.9, 1.0)}, r"Adam: betas must be two numbers in \[0, 1\), not \(0.9, 1.0\)"),
        (optim.Adam, {"betas": 0.9}, "Adam: betas must be"),
        (optim.Adam, {"eps": math.inf}, "Adam: eps must be"),
        (optim.Adam, {"weight_decay": math.nan}, "Adam: weight_decay must be"),
        (optim.Adam, {"amsgrad": 1}, "Adam: amsgrad must be True or False"),
    ],
)
def test_bad_hyperparameters_are_named(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make([ag.tensor(1.0, requires_grad=True)], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.1}, "SGD: unknown hyperparameter 'learning_rate'; there are lr, momentum,"),
        ({"momentun": 0.1}, "unknown hyperparameter 'momentun'; did you mean momentum?"),
        ({"non_finite": "skip"}, "unknown hyperparameter 'non_finite'; did you mean nonfinite?"),
        ({"foreach": True}, "foreach says how torch runs a rule; leave it out"),
    ],
)
def test_an_unknown_argument_is_refused_with_the_name_that_was_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        optim.SGD([ag.tensor(1.0, requires_grad=True)], **options)
    with pytest.raises(TypeError, match=re.escape(message)):
        optim.SGD([{"params": [ag.tensor(1.0, requires_grad=True)], **options}])


def test_a_hyperparameter_that_becomes_bad_is_named_before_anything_changes() -> None:
    p = with_gradient(1.0, 1.0)
    optimizer = optim.SGD([p], lr=lambda step: 0.5 - step)
    optimizer.step()
    with pytest.raises(ValueError, match=r"SGD: lr must be a finite number >= 0, not -0.5"):
        optimizer.step()
    assert p.item() == 0.5


def test_bad_parameters_are_named() -> None:
    p = ag.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="got no parameters"):
        optim.SGD([])
    with pytest.raises(TypeError, match="put the tensor into a list"):
        optim.SGD(p)
    with pytest.raises(TypeError, match="parameter 1 of group 0 is a ndarray"):
        optim.SGD([p, np.ones(2)])
    with pytest.raises(TypeError, match="parameter 0 of group 0 has dtype int64; only floating-point tensors"):
        optim.SGD([ag.tensor(np.arange(3))])
    with pytest.raises(ValueError, match=r"parameter 0 of group 0 was computed .*only leaves"):
        optim.SGD([p * 2])
    with pytest.raises(ValueError, match="parameter 1 of group 0 was given before"):
        optim.SGD([p, p])
    with pytest.raises(ValueError, match="parameter 0 of group 1 was given before"):
        optim.SGD([p]).add_param_group({"params": [p]})


def test_a_read_only_parameter_is_named_before_anything_changes() -> None:
    p, q = with_gradient(np.ones(2), np.ones(2)), with_gradient(np.ones(2), np.ones(2))
    q.data = np.broadcast_to(np.ones(1), (2,))
    with pytest.raises(ValueError, match="SGD: parameter 1 of group 0 is a read-only array"):
        optim.SGD([p, q]).step()
    np.testing.assert_array_equal(p.data, [1.0, 1.0])


def test_a_gradient_that_does_not_fit_names_the_parameter() -> None:
    model = nn.Linear(2, 1, generator=0)
    optimizer = optim.SGD(model.named_parameters())
    model.weight.grad = ag.tensor(np.zeros(3, dtype=np.float32))
    with pytest.raises(ValueError, match=r"parameter 'weight' has shape \(1, 2\), but its gradient \(3,\)"):
        optimizer.step()
    model.weight.grad = ag.tensor(np.zeros((1, 2)))
    with pytest.raises(TypeError, match="parameter 'weight' has dtype float32, but its gradient float64"):
        optimizer.step()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_refused_or_skipped_and_never_reaches_the_state(bad: float) -> None:
    a, b = with_gradient(np.ones(2), np.ones(2)), with_gradient(np.ones(3), np.array([0.0, bad, 1.0]))
    optimizer = optim.Adam([("a", a), ("b", b)], lr=0.1)
    with pytest.raises(FloatingPointError, match=r"the gradient of parameter 'b' \(shape \(3,\)\) is not finite"):
        optimizer.step()
    skipping = optim.Adam([a, b], lr=0.1, nonfinite="skip")
    skipping.step()
    assert (skipping.skipped_steps, skipping.steps) == (1, 0)
    assert a.tolist() == [1, 1]
    assert not optimizer.state[a]
    ignoring = optim.Adam([a, b], lr=0.1, nonfinite="ignore")
    with np.errstate(invalid="ignore"):
        ignoring.step()
    assert np.isnan(b.data[1])


def test_a_huge_finite_gradient_is_not_taken_for_an_infinite_one() -> None:
    p = with_gradient(np.zeros(2), np.array([1.7e308, 1.7e308]))
    optim.SGD([p], lr=1e-308).step()
    np.testing.assert_allclose(p.data, [-1.7, -1.7])


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.Adam(p, lr=0.1)])
def test_a_loaded_state_goes_on_bit_for_bit(make: Any, rng: np.random.Generator) -> None:
    steps = [[rng.normal(size=(2, 3)), rng.normal(size=4)] for _ in range(10)]

    def run(optimizer: Any, parameters: list[Any], part: list[list[Any]]) -> None:
        for gradients in part:
            for p, g in zip(parameters, gradients, strict=True):
                p.grad = ag.tensor(g)
            optimizer.step()

    parameters = [ag.tensor(np.zeros((2, 3)), requires_grad=True), ag.tensor(np.zeros(4), requires_grad=True)]
    optimizer = make(parameters)
    run(optimizer, parameters, steps[:5])
    saved, twins = optimizer.state_dict(), copy.deepcopy(parameters)
    run(optimizer, parameters, steps[5:])
    other = make(twins)
    other.load_state_dict(saved)
    run(other, twins, steps[5:])
    for p, q in zip(parameters, twins, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert other.steps == 10


def test_the_state_of_another_model_is_refused_by_name_and_nothing_changes() -> None:
    p, q = with_gradient(np.ones(2), np.ones(2)), with_gradient(np.ones(3), np.ones(3))
    ours, other = optim.Adam([p]), optim.Adam([q])
    ours.step()
    other.step()
    with pytest.raises(ValueError, match=r"parameter 0 of group 0: its state exp_avg has shape \(3,\), but the parameter \(2,\)"):
        ours.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match=r"groups of \[2\] parameters, but this optimizer has groups of \[1\]"):
        ours.load_state_dict(optim.Adam([p, q]).state_dict())
    bad = ours.state_dict()
    bad["param_groups"][0]["lr"] = -1.0
    with pytest.raises(ValueError, match="Adam: lr must be"):
        ours.load_state_dict(bad)
    with pytest.raises(ValueError, match="Adam: the state is of another optimizer: it has dampening, momentum, nesterov, which is unknown here"):
        ours.load_state_dict(optim.SGD([p]).state_dict())
    assert ours.state[p]["step"] == 1
    assert ours.param_groups[0].keys() == optim.Adam([q]).param_groups[0].keys()


def test_repr_lists_groups_and_hyperparameters() -> None:
    text = repr(optim.SGD([ag.tensor(1.0, requires_grad=True)], lr=0.5))
    assert text.startswith("SGD (\nParameter Group 0\n")
    assert "    lr: 0.5\n" in text


def test_a_state_of_groups_of_equal_hyperparameters_can_be_loaded_and_a_bad_one_names_its_group() -> None:
    def make(*shapes: int) -> optim.Adam:
        return optim.Adam([{"params": [with_gradient(np.ones(n), np.ones(n)), with_gradient(np.ones(n), np.ones(n))]} for n in shapes])

    optimizer, other = make(2, 2), make(2, 3)
    optimizer.step()
    other.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert all(entry["step"] == 1 for entry in optimizer.state.values())
    with pytest.raises(ValueError, match=r"parameter 0 of group 1: its state exp_avg has shape \(3,\)"):
        optimizer.load_state_dict(other.state_dict())


def test_gradients_zeroed_in_place_forget_that_they_were_not_finite() -> None:
    p = with_gradient(np.ones(2), np.array([math.nan, math.inf]))
    optimizer = optim.SGD([p], lr=0.5, nonfinite="skip")
    for _ in range(4):
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        p.grad.data[...] += 1.0
    assert (optimizer.skipped_steps, optimizer.steps) == (1, 3)
    assert p.tolist() == [-0.5, -0.5]


FORKED = """
import os, signal, sys
import numpy as np
import autograd_core as ag
import optim

parameters = [ag.tensor(np.ones(1 << 20), requires_grad=True) for _ in range(2)]
for p in parameters:
    p.grad = ag.tensor(np.ones(1 << 20))
optimizer = optim.SGD(parameters, lr=0.5)
optimizer.step()
child = os.fork()
if child == 0:
    signal.alarm(10)  # kills a child that hangs
    optimizer.step()
    os._exit(0 if all(p.data[-1] == 0.0 for p in parameters) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_steps_with_threads_of_its_own() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=True, env={**os.environ, "OMP_NUM_THREADS": "2"})


def test_a_number_in_a_state_does_not_replace_a_schedule_unasked() -> None:
    torch = pytest.importorskip("torch")
    schedule = optim.Cosine(0.5, 10)
    optimizer = optim.SGD([with_gradient(1.0, 1.0)], lr=schedule)
    state = torch.optim.SGD([torch.tensor(1.0, requires_grad=True)], lr=0.1).state_dict()
    with pytest.raises(ValueError, match=r"lr is the schedule Cosine\(.*\) here, but in the state it is 0.1; assign a number to it before"):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] is schedule
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.1
    moments = optim.Adam([with_gradient(1.0, 1.0)], betas=(schedule, 0.999))
    with pytest.raises(ValueError, match="betas is the schedule"):
        moments.load_state_dict(optim.Adam([with_gradient(1.0, 1.0)]).state_dict())


@pytest.mark.parametrize("lr", [ag.tensor(0.5), np.array(0.5)])
def test_a_hyperparameter_that_is_changed_in_place_is_used_by_the_next_step(lr: Any) -> None:
    array = lr.data if isinstance(lr, ag.Tensor) else lr
    p = with_gradient(1.0, 1.0)
    optimizer = optim.SGD([p], lr=lr)
    optimizer.step()
    assert p.item() == 0.5
    saved = optimizer.state_dict()
    array[...] = 10.0
    optimizer.step()
    assert p.item() == -9.5
    assert saved["param_groups"][0]["lr"] == 0.5
    array[...] = -1.0
    with pytest.raises(ValueError, match="SGD: lr must be"):
        optimizer.step()
    array[...] = 0.5


def test_a_list_of_hyperparameters_is_checked_when_it_is_changed_and_saved_as_plain_data() -> None:
    p = with_gradient(1.0, 1.0)
    optimizer = optim.Adam([p], betas=[optim.Linear(0.8, 0.9, 10), 0.999])  # type: ignore[arg-type]
    optimizer.step()
    assert optimizer.state_dict()["param_groups"][0]["betas"][0]["schedule"].startswith("Linear(")
    optimizer.load_state_dict(optimizer.state_dict())
    plain = optim.Adam([p], betas=[0.9, 0.999])  # type: ignore[arg-type]
    plain.step()
    plain.param_groups[0]["betas"][0] = 5.0
    with pytest.raises(ValueError, match="Adam: betas must be two numbers"):
        plain.step()


def test_adamw_stays_itself_with_the_state_of_adam() -> None:
    torch = pytest.importorskip("torch")
    for module, tensor in ((optim, ag.tensor), (torch.optim, torch.tensor)):
        state = module.Adam([tensor(1.0, requires_grad=True)]).state_dict()
        optimizer = module.AdamW([tensor(1.0, requires_grad=True)])
        optimizer.load_state_dict(state)
        assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


WHOLE = {
    "LAMB": lambda p: optim.LAMB([p]),
    "SparseAdam": lambda p: optim.SparseAdam([p]),
    "Adafactor": lambda p: optim.Adafactor([p]),
    "Muon": lambda p: optim.Muon([p]),
    "Shampoo": lambda p: optim.Shampoo([p]),
    "Chain": lambda p: optim.Chain([p], optim.transformations.scale_by_adam(), optim.transformations.clip_by_block_rms(1.0)),
    "Chain, masked": lambda p: optim.Chain([p], optim.transformations.masked(optim.transformations.scale_by_rms(), np.ndim)),
    "Chain, link": lambda p: optim.Chain([p], optim.transformations.link(optim.rules.lamb, lr=1.0)),
}


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_a_rule_that_is_wrong_for_complex_numbers_refuses_them(make: Any) -> None:
    make(ag.tensor(np.ones((2, 2)), requires_grad=True))
    with pytest.raises(TypeError, match=r"parameter 0 of group 0 is complex, .* for real numbers only; give it two real parameters"):
        make(ag.tensor(np.ones((2, 2), dtype=complex), requires_grad=True))


@pytest.mark.parametrize("make", [optim.Adafactor, optim.Muon, optim.Shampoo, optim.LAMB, optim.LARS, optim.SparseAdam, optim.Adam])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_a_parameter_without_elements_is_left_alone(make: Any, shape: tuple[int, int]) -> None:
    p, q = with_gradient(np.ones(shape), np.ones(shape)), with_gradient(np.ones((2, 2)), np.eye(2))
    make([p, q], lr=0.1).step()
    assert p.shape == shape
    assert np.isfinite(q.data).all()
    assert (q.data != 1.0).any()


def test_a_state_that_is_refused_has_changed_no_schedule() -> None:
    def make() -> optim.SGD:
        return optim.SGD([{"params": [with_gradient(1.0, 1.0)], "lr": optim.Plateau(0.1)}, {"params": [with_gradient(1.0, 1.0)]}], lr=0.5)

    optimizer, other = make(), make()
    plateau = other.param_groups[0]["lr"]
    plateau.report(3.0)
    state = other.state_dict()
    bad = copy.deepcopy(state)
    bad["param_groups"][1]["lr"] = -1.0
    with pytest.raises(ValueError, match="SGD: lr must be"):
        optimizer.load_state_dict(bad)
    assert optimizer.param_groups[0]["lr"].best == math.inf
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"].best == 3.0
    with pytest.raises(KeyError, match="SGD: the state lacks param_groups, state; it is not of an optimizer"):
        optimizer.load_state_dict({"weight": np.ones(2)})


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.LAMB])
def test_a_model_may_change_its_dtype_between_steps(make: Any) -> None:
    model = nn.MLP(2, 3, 1, dtype=np.float32, generator=0)
    options = {"momentum": 0.9} if make is optim.SGD else {}
    optimizer = make(model.parameters(), lr=0.1, **options)
    for dtype in (np.float32, np.float64, np.float32):
        model.to(dtype)
        for _ in range(2):
            optimizer.zero_grad()
            model(np.ones((4, 2), dtype=dtype)).sum().backward()
            before = next(model.parameters()).data.copy()
            optimizer.step()
            after = next(model.parameters()).data
            assert after.dtype == dtype
            assert (after != before).any()


def test_a_gradient_that_is_an_array_is_zeroed_as_one_that_is_a_tensor() -> None:
    p = with_gradient(np.ones(2), np.ones(2))
    p.grad = np.ones(2)  # type: ignore[assignment]
    nn.utils.clip_grad_norm_([p], 1.0)
    np.testing.assert_allclose(p.grad, 0.5**0.5, rtol=1e-5)
    nn.utils.clip_grad_value_([p], 0.5)
    nn.utils.clip_grad_adaptive_([p], 0.1)
    optimizer = optim.SGD([p], lr=1.0)
    optimizer.step()
    np.testing.assert_allclose(p.data, 0.9, rtol=1e-5)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is not None
    assert p.grad.tolist() == [0.0, 0.0]


def test_groups_that_are_none_are_named() -> None:
    p = ag.tensor(1.0, requires_grad=True)
    for mixed in ([{"params": [ag.tensor(1.0, requires_grad=True)]}, p], [p, {"params": [p]}]):
        with pytest.raises(TypeError, match="SGD: params has both groups and a Tensor; put it into a group, a dict with 'params'"):
            optim.SGD(mixed)
    with pytest.raises(ValueError, match="SGD: group 0 has no 'params', only 'lr'"):
        optim.SGD([{"lr": 0.1}])
    with pytest.raises(TypeError, match="AdamW: decoupled_weight_decay is no argument of AdamW, which sets it itself"):
        optim.AdamW([p], decoupled_weight_decay=False)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="LBFGS: got no parameters"):
        optim.LBFGS([{"params": []}])


@pytest.mark.parametrize("make", [optim.LBFGS, optim.NewtonCG, optim.LevenbergMarquardt])
def test_a_read_only_parameter_is_named_by_methods_that_take_one_vector(make: Any) -> None:
    p, q = ag.tensor(np.ones(2), requires_grad=True), ag.tensor(np.ones(2), requires_grad=True)
    optimizer = make([p, q])
    q.data = np.broadcast_to(np.ones(1), (2,))
    with pytest.raises(ValueError, match="parameter 1 of group 0 is a read-only array"):
        optimizer.step(lambda: (p * q).sum())
    np.testing.assert_array_equal(p.data, [1.0, 1.0])


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.Adam(p, lr=0.1)])
def test_parameters_that_have_a_gradient_now_and_then_are_stepped_as_each_would_be_alone(make: Any, rng: np.random.Generator) -> None:
    shapes = [(3,), (2, 2), (70_000,), (), (5,), (4,)]
    starts = [rng.normal(size=shape) for shape in shapes]
    together, alone = ([ag.tensor(start.copy(), requires_grad=True) for start in starts] for _ in range(2))
    optimizer, single = make(together), [make([p]) for p in alone]
    for step in range(40):
        # Some always, some every other time, one from step 7 on, one as it comes.
        with_gradients = [True, step % 2 == 0, step % 3 > 0, step >= 7, rng.random() < 0.5, True]
        for p, q, chosen, shape in zip(together, alone, with_gradients, shapes, strict=True):
            g = rng.normal(size=shape)
            p.grad, q.grad = (ag.tensor(g.copy()) if chosen else None for _ in range(2))
        if step == 20:
            optimizer.load_state_dict(optimizer.state_dict())
        if step in (25, 30):
            together, optimizer = copy.deepcopy((together, optimizer)) if step == 25 else pickle.loads(pickle.dumps((together, optimizer)))
        optimizer.step()
        for p, q, own, chosen in zip(together, alone, single, with_gradients, strict=True):
            if chosen:
                own.step()
            np.testing.assert_allclose(p.data, q.data, rtol=1e-13, atol=1e-15, err_msg=f"step {step}")
            assert optimizer.state[p].keys() == own.state[q].keys()
            for name, value in own.state[q].items():
                np.testing.assert_allclose(optimizer.state[p][name], value, rtol=1e-13, atol=1e-15, err_msg=f"step {step}, {name}")


def test_a_module_in_the_place_of_its_parameters_is_refused_with_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"Adam: params must be tensors, not the module Linear itself; write Adam\(model.parameters\(\), ...\)"):
        optim.Adam(nn.Linear(1, 1))
    with pytest.raises(TypeError, match="must be an iterable of tensors"):
        optim.SGD(3)
