"""Connectionist temporal classification against torch, against the sum over all paths, and against numeric derivatives."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from nn import functional

pytestmark = pytest.mark.filterwarnings("ignore:invalid value")

# frames, batch (None: unbatched), targets without the blank, input lengths, target lengths
PROBLEMS: dict[str, tuple[int, int | None, Any, Any, Any]] = {
    "padded targets": (6, 3, [[1, 2], [3, 1], [4, 2]], [6, 5, 4], [2, 1, 2]),
    "targets one after the other": (6, 3, [1, 2, 3], [6, 5, 4], [2, 0, 1]),
    "repeated labels need a blank between": (6, 3, [[1, 1, 1], [2, 2, 3], [4, 4, 4]], [6, 6, 5], [3, 3, 3]),
    "unbatched": (6, None, [1, 3], 6, 2),
    "unbatched and empty": (6, None, [], 6, 0),
    "all empty": (4, 2, [[1], [1]], [4, 2], [0, 0]),
    "too long for their frames": (2, 3, [[1, 1, 3], [3, 1, 1], [4, 4, 4]], [2, 2, 2], [3, 2, 1]),
    "one frame": (1, 2, [[1], [3]], [1, 1], [1, 1]),
    "no frame counts": (3, 2, [[1], [3]], [0, 0], [1, 0]),
}


def _arrays(problem: str, blank: int, rng: np.random.Generator, scale: float = 1.0) -> tuple[Any, Any, Any, Any]:
    frames, batch, targets, input_lengths, target_lengths = PROBLEMS[problem]
    labels = np.array(targets, dtype=int)
    labels = np.where(labels == blank, 0, labels)
    x = scale * rng.normal(size=(frames, 5) if batch is None else (frames, batch, 5))
    return x, labels, np.array(input_lengths), np.array(target_lengths)


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_value_and_gradient_of_the_logits_are_torchs(problem: str, scale: float, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for blank, reduction, zero_infinity in itertools.product([0, 2], ["mean", "sum", "none"], [False, True]):
        x, *rest = _arrays(problem, blank, rng, scale)
        logits, theirs = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        options: Any = {"blank": blank, "reduction": reduction, "zero_infinity": zero_infinity}
        loss = functional.ctc_loss(functional.log_softmax(logits, -1), *rest, **options)
        expected = torch.nn.functional.ctc_loss(torch.log_softmax(theirs, -1), *map(torch.tensor, rest), **options)
        np.testing.assert_allclose(loss.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-15, err_msg=str(options))
        g = rng.normal(size=loss.shape)
        loss.backward(g)
        expected.backward(torch.tensor(g))
        np.testing.assert_allclose(logits.grad.numpy(), theirs.grad.numpy(), rtol=1e-9, atol=1e-11, err_msg=str(options))


def test_the_likelihood_is_the_sum_over_all_paths_that_read_as_the_target(rng: np.random.Generator) -> None:
    log_probs = np.log(rng.dirichlet(np.ones(3), size=(5, 1)))
    for target in ([], [1], [1, 2], [2, 2], [1, 1, 1]):
        total = 0.0
        for path in itertools.product(range(3), repeat=5):
            reads = [label for label, _ in itertools.groupby(path) if label != 0]
            total += np.exp(sum(log_probs[t, 0, c] for t, c in enumerate(path))) if reads == target else 0.0
        loss = functional.ctc_loss(log_probs, np.array([target], dtype=int), [5], [len(target)], reduction="sum")
        assert loss == pytest.approx(-np.log(total), rel=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_gradient_is_the_derivative_also_of_the_second_order(reduction: str, rng: np.random.Generator) -> None:
    log_probs = np.log(rng.dirichlet(np.ones(4), size=(5, 3)))
    targets, input_lengths, target_lengths = np.array([[1, 1], [2, 3], [0, 0]]), [5, 4, 3], [2, 2, 0]
    assert ag.gradcheck(lambda x: functional.ctc_loss(x, targets, input_lengths, target_lengths, reduction=reduction), log_probs)


def test_a_class_of_probability_zero_has_a_finite_gradient() -> None:
    log_probs = np.log(np.full((4, 1, 3), 1 / 3))
    log_probs[1, 0, 1] = -np.inf
    x = ag.tensor(log_probs, requires_grad=True)
    loss = functional.ctc_loss(x, np.array([[1, 2]]), [4], [2])
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.isfinite(x.grad.numpy()).all()
    assert x.grad.numpy()[1, 0, 1] == 0
    np.testing.assert_allclose(x.grad.numpy().sum(axis=2), -0.5, rtol=1e-12)  # at each frame the path is somewhere; over the length 2


def test_float32_stays_float32() -> None:
    x = ag.tensor(np.zeros((4, 2, 3), dtype=np.float32), requires_grad=True)
    for reduction in ("mean", "sum", "none"):
        loss = functional.ctc_loss(functional.log_softmax(x, -1), np.array([[1], [2]]), [4, 3], [1, 1], reduction=reduction)
        loss.sum().backward()
        assert loss.dtype == x.grad.dtype == np.float32


def test_lengths_and_targets_may_be_tensors_lists_and_tuples(rng: np.random.Generator) -> None:
    log_probs = np.log(rng.dirichlet(np.ones(4), size=(5, 2)))
    expected = functional.ctc_loss(log_probs, np.array([[1, 2], [3, 0]]), np.array([5, 4]), np.array([2, 1]))
    assert functional.ctc_loss(log_probs, ag.tensor([[1, 2], [3, 0]]), ag.tensor([5, 4]), (2, 1)) == expected
    assert functional.ctc_loss(log_probs, [1, 2, 3], [5, 4], (2, 1)) == expected


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input_lengths": [5, 4]}, ValueError, r"input_lengths must be in \[0, 4\], but holds 5"),
        ({"input_lengths": [4]}, ValueError, "input_lengths has 1 entries, but the batch has 2"),
        ({"target_lengths": [3, 1]}, ValueError, r"target_lengths must be in \[0, 2\], but holds 3"),
        ({"targets": [1, 2, 1, 1]}, ValueError, r"targets has shape \(4,\).* 2 labels as target_lengths says"),
        ({"targets": [[1, 1], [3, 1]]}, ValueError, r"targets holds class 3, but log_probs of shape \(4, 2, 3\) has classes 0..2"),
        ({"targets": [[1.0, 1.0], [2.0, 1.0]]}, TypeError, "targets must be integers, not float64"),
        ({"blank": 3}, ValueError, r"blank must be in \[0, 2\]"),
        ({"log_probs": np.zeros(3)}, ValueError, r"log_probs has shape \(3,\)"),
        ({"reduction": "average"}, ValueError, "ctc_loss: reduction must be"),
    ],
)
def test_errors_name_the_argument_and_what_was_expected(changes: Any, error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"log_probs": np.zeros((4, 2, 3)), "targets": [[1, 1], [2, 1]], "input_lengths": [4, 4], "target_lengths": [1, 1]}
    with pytest.raises(error, match=message):
        functional.ctc_loss(**(arguments | changes))
