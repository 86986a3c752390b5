"""Loss and distance modules: torch's constructors and results, and the adaptive softmax with torch's weights."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import functional, losses

# For each class: constructor options to try, and how the module is called.
X, Y = np.random.default_rng(1).normal(size=(2, 5, 4))
INDEX = np.array([0, 2, 3, 1, 2])
P, Q = 1 / (1 + np.exp(-X)), 1 / (1 + np.exp(-Y))
SIGN = np.where(Y > 0, 1.0, -1.0)
W = np.array([0.5, 1.0, 2.0, 1.5])
LENGTHS = (np.array([[1, 2], [3, 0]]), np.array([5, 4]), np.array([2, 1]))
LOG_PROBS = np.log(np.random.default_rng(2).dirichlet(np.ones(4), size=(5, 2)))
MODULES: dict[str, tuple[list[dict[str, Any]], tuple[Any, ...]]] = {
    "MSELoss": ([{}], (X, Y)),
    "L1Loss": ([{}], (X, Y)),
    "SmoothL1Loss": ([{}, {"beta": 0.3}], (X, Y)),
    "HuberLoss": ([{}, {"delta": 0.3}], (X, Y)),
    "PoissonNLLLoss": ([{}, {"full": True}, {"log_input": False, "eps": 0.1}], (P, np.abs(Y) * 3)),
    "GaussianNLLLoss": ([{}, {"full": True, "eps": 1.0}], (X, Y, P)),
    "CrossEntropyLoss": ([{}, {"weight": W, "ignore_index": 2, "label_smoothing": 0.1}], (X, INDEX)),
    "NLLLoss": ([{}, {"weight": W, "ignore_index": 2}], (X, INDEX)),
    "KLDivLoss": ([{}, {"log_target": True}, {"reduction": "batchmean"}], (X, Q)),
    "BCELoss": ([{}, {"weight": W}], (P, Q)),
    "BCEWithLogitsLoss": ([{}, {"weight": W, "pos_weight": W[::-1].copy()}], (X, Q)),
    "HingeEmbeddingLoss": ([{}, {"margin": 0.4}], (X, SIGN)),
    "MarginRankingLoss": ([{}, {"margin": 0.4}], (X, Y, SIGN)),
    "MultiMarginLoss": ([{}, {"p": 2, "margin": 0.4, "weight": W}], (X, INDEX)),
    "MultiLabelMarginLoss": ([{}], (X, np.array([[1, 3, -1, 0]] * 5))),
    "MultiLabelSoftMarginLoss": ([{}, {"weight": W}], (X, Q)),
    "SoftMarginLoss": ([{}], (X, SIGN)),
    "CosineEmbeddingLoss": ([{}, {"margin": 0.4}], (X, Y, SIGN[:, 0])),
    "TripletMarginLoss": ([{}, {"margin": 2.0, "p": 3.0, "eps": 1e-3, "swap": True}], (X, Y, P)),
    "TripletMarginWithDistanceLoss": ([{}, {"distance_function": lambda a, b: abs(a - b).sum(-1), "margin": 2.0, "swap": True}], (X, Y, P)),
    "CTCLoss": ([{}, {"blank": 1, "zero_infinity": True}], (LOG_PROBS, *LENGTHS)),
    "CosineSimilarity": ([{}, {"dim": 0, "eps": 2.0}], (X, Y)),
    "PairwiseDistance": ([{}, {"p": 1.0, "eps": 0.1, "keepdim": True}], (X, Y)),
}


def _to_torch(torch: Any, value: Any) -> Any:
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_modules_give_what_torchs_give(name: str) -> None:
    torch = pytest.importorskip("torch")
    options, arguments = MODULES[name]
    reductions: list[dict[str, Any]] = (
        [{}] if name in ("CosineSimilarity", "PairwiseDistance") else [{"reduction": r} for r in ("mean", "sum", "none")]
    )
    for given in options:
        for reduction in reductions:
            keywords = reduction | given
            ours = getattr(nn, name)(**keywords)
            theirs = getattr(torch.nn, name)(**{k: _to_torch(torch, v) for k, v in keywords.items()})
            assert list(ours.state_dict()) == list(theirs.state_dict())
            x = ag.tensor(arguments[0], requires_grad=True)
            expected = theirs(*(_to_torch(torch, a) for a in arguments))
            np.testing.assert_allclose(ours(x, *arguments[1:]).detach().numpy(), expected.numpy(), rtol=1e-12, err_msg=str(keywords))
            np.testing.assert_allclose(ours(*arguments), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in losses.__all__ if n not in ("DiceLoss", "SigmoidFocalLoss")])
def test_constructors_have_torchs_arguments_in_torchs_order_with_torchs_defaults(name: str) -> None:
    torch = pytest.importorskip("torch")

    def arguments(cls: Any) -> list[Any]:
        own = ("device", "dtype", "generator", "axis")  # of torch's devices, and ours
        parameters = inspect.signature(cls.__init__).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters if p.name not in own]

    assert arguments(getattr(nn, name)) == arguments(getattr(torch.nn, name))


OF_TORCH = [n for n in functional.losses.__all__ if n not in ("dice_loss", "sigmoid_focal_loss")] + [
    "cosine_similarity",
    "pairwise_distance",
    "pdist",
]


@pytest.mark.parametrize("name", OF_TORCH)
def test_functions_have_torchs_arguments_in_torchs_order_with_torchs_defaults(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, name)
    try:
        expected = inspect.signature(theirs).parameters.values()
    except ValueError:  # written in C++, with its signature in the docstring
        head = theirs.__doc__.split("->")[0].split("(", 1)[1].rsplit(")", 1)[0]
        assert [p for p in inspect.signature(getattr(functional, name)).parameters if p != "axis"] == [
            part.split("=")[0].split(":")[0].strip() for part in head.split(",") if part.strip() != "*"
        ]
        return
    ours = [p for p in inspect.signature(getattr(functional, name)).parameters.values() if p.name != "axis"]
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in expected]


@pytest.mark.parametrize("module", [nn.MSELoss, nn.CrossEntropyLoss, nn.HuberLoss, nn.CTCLoss, nn.KLDivLoss])
def test_modules_refuse_an_unknown_reduction_when_they_are_made(module: Any) -> None:
    with pytest.raises(ValueError, match=f"{module.__name__}: reduction must be"):
        module(reduction="average")


def test_modules_take_the_old_booleans() -> None:
    with pytest.warns(DeprecationWarning, match="write reduction='sum'"):
        loss = nn.MSELoss(size_average=False)
    assert loss(X, Y) == functional.mse_loss(X, Y, reduction="sum")


def test_focal_and_dice_modules_remember_their_options() -> None:
    expected = functional.sigmoid_focal_loss(X, SIGN > 0, 0.4, 1.5, "mean")
    assert nn.SigmoidFocalLoss(0.4, 1.5, "mean")(X, SIGN > 0) == expected
    assert nn.DiceLoss(0.5, squared=True, axis=(0, 1), reduction="sum")(P, SIGN > 0) == functional.dice_loss(P, SIGN > 0, 0.5, True, (0, 1), "sum")
    with pytest.raises(ValueError, match="DiceLoss: reduction must be"):
        nn.DiceLoss(reduction="average")


def test_the_weights_of_a_loss_belong_to_its_state() -> None:
    loss = nn.BCEWithLogitsLoss(pos_weight=W)
    assert list(loss.state_dict()) == ["pos_weight"]
    loss.load_state_dict({"pos_weight": W * 2})
    np.testing.assert_array_equal(loss.pos_weight.numpy(), W * 2)


# --- the adaptive softmax ---------------------------------------------------------------------------------------------------


def _adaptive(torch: Any, bias: bool) -> tuple[Any, Any]:
    ours = nn.AdaptiveLogSoftmaxWithLoss(12, 20, [4, 9], div_value=2.0, head_bias=bias, dtype=np.float64, generator=0)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(12, 20, [4, 9], div_value=2.0, head_bias=bias).double()
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("target", [[0, 5, 19, 3, 9, 4, 8], [1, 2, 3], [10, 19], [7], 3, 15])
def test_the_adaptive_softmax_is_torchs_in_value_and_gradients(target: Any, bias: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = _adaptive(torch, bias)
    labels = np.array(target)
    values = rng.normal(size=(*labels.shape, 12))
    x, t = ag.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    output, loss = ours(x, labels)
    expected = theirs(t, torch.tensor(labels))
    assert output.shape == tuple(expected.output.shape)
    np.testing.assert_allclose(output.detach().numpy(), expected.output.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(loss.detach().numpy(), expected.loss.detach().numpy(), rtol=1e-12)
    loss.backward()
    expected.loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-11, atol=1e-14)
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        expected_grad = np.zeros(p.shape) if q.grad is None else q.grad.numpy()
        np.testing.assert_allclose(np.zeros(p.shape) if p.grad is None else p.grad.numpy(), expected_grad, rtol=1e-11, atol=1e-14, err_msg=name)


def test_the_adaptive_softmax_predicts_the_most_probable_class(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = _adaptive(torch, True)
    x = 3 * rng.normal(size=(40, 12))
    log_probs = ours.log_prob(x).detach().numpy()
    np.testing.assert_allclose(log_probs, theirs.log_prob(torch.tensor(x)).detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(torch.tensor(x)).numpy())
    np.testing.assert_array_equal(ours.predict(ag.tensor(x)), ours.predict(x))


def test_the_adaptive_softmax_draws_its_parameters_from_a_seed() -> None:
    a, b = (nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4], generator=5) for _ in range(2))
    np.testing.assert_array_equal(a.tail[0][1].weight.data, b.tail[0][1].weight.data)
    a.reset_parameters(7)
    assert not np.array_equal(a.head.weight.data, b.head.weight.data)
    b.reset_parameters(7)
    np.testing.assert_array_equal(a.tail[0][1].weight.data, b.tail[0][1].weight.data)


@pytest.mark.parametrize(
    ("x", "target", "error", "message"),
    [
        (np.ones((2, 8)), [0, 20], ValueError, r"AdaptiveLogSoftmaxWithLoss: target holds class 20, but input of shape \(2, 8\) has classes 0..19"),
        (np.ones((2, 7)), [0, 1], ValueError, r"input has shape \(2, 7\); expected \(N, 8\)"),
        (np.ones((2, 8)), [0], ValueError, r"target has shape \(1,\)"),
        (np.ones((2, 8)), [0.0, 1.0], TypeError, "target of dtype float64"),
    ],
)
def test_the_adaptive_softmax_refuses_what_does_not_fit(x: Any, target: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], dtype=np.float64)(x, np.array(target))


@pytest.mark.parametrize("cutoffs", [[], [0, 5], [5, 5], [9, 4], [4, 20]])
def test_cutoffs_must_increase_inside_the_classes(cutoffs: list[int]) -> None:
    with pytest.raises(ValueError, match="cutoffs must be increasing integers between 1 and n_classes - 1 = 19"):
        nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs)
