"""Normalisation: closed forms, numeric derivatives, and torch over all arguments and their combinations."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import functional


def compare(ours: Any, theirs: Any, arrays: dict[str, Any], rng: np.random.Generator) -> None:
    """The value, and the gradients of all `arrays` (name -> array or None), of two functions that take them by keyword."""
    torch = pytest.importorskip("torch")
    x = {name: None if a is None else ag.tensor(a, requires_grad=True) for name, a in arrays.items()}
    t = {name: None if a is None else torch.tensor(a, requires_grad=True) for name, a in arrays.items()}
    y, u = ours(**x), theirs(**t)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-11, atol=1e-12)
    g = rng.normal(size=y.shape)
    y.backward(g)
    u.backward(torch.tensor(g))
    for name, a in x.items():
        if a is not None:
            np.testing.assert_allclose(a.grad.data, t[name].grad.numpy(), rtol=1e-10, atol=1e-11, err_msg=name)


def parameters(rng: np.random.Generator, shape: Any, weight: bool, bias: bool) -> dict[str, Any]:
    return {"weight": rng.normal(size=shape) if weight else None, "bias": rng.normal(size=shape) if bias else None}


BOTH = list(itertools.product([False, True], repeat=2))


# --- functions against torch ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "bias"), BOTH)
@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize(
    ("shape", "normalized"), [((5,), (5,)), ((4, 5), (5,)), ((2, 3, 5), (3, 5)), ((2, 1, 3, 4), (4,)), ((3, 1), (1,)), ((0, 4), (4,))]
)
def test_layer_norm_agrees_with_torch(shape: Any, normalized: Any, eps: float, weight: bool, bias: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    compare(
        lambda x, weight, bias: functional.layer_norm(x, normalized, weight, bias, eps),
        lambda x, weight, bias: torch.nn.functional.layer_norm(x, normalized, weight, bias, eps),
        {"x": rng.normal(size=shape) + 3, **parameters(rng, normalized, weight, bias)},
        rng,
    )


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("eps", [None, 0.5])
@pytest.mark.parametrize(("shape", "normalized"), [((5,), (5,)), ((4, 5), (5,)), ((2, 3, 5), (3, 5)), ((0, 4), (4,))])
def test_rms_norm_agrees_with_torch(shape: Any, normalized: Any, eps: Any, weight: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    compare(
        lambda x, weight: functional.rms_norm(x, normalized, weight, eps),
        lambda x, weight: torch.nn.functional.rms_norm(x, normalized, weight, eps),
        {"x": rng.normal(size=shape), "weight": rng.normal(size=normalized) if weight else None},
        rng,
    )


@pytest.mark.parametrize(("weight", "bias"), BOTH)
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("shape", [(3, 6), (3, 6, 4), (2, 6, 3, 2), (1, 6, 2, 1, 2), (0, 6, 2)])
def test_group_norm_agrees_with_torch(shape: Any, groups: int, weight: bool, bias: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    if bias and not weight:  # torch's own backward pass fails: "tensor does not have a device"
        x, b = rng.normal(size=shape), rng.normal(size=6)
        found, expected = functional.group_norm(x, groups, None, b), functional.group_norm(x, groups, np.ones(6), b)
        np.testing.assert_allclose(found, expected, rtol=1e-13)
        return
    compare(
        lambda x, weight, bias: functional.group_norm(x, groups, weight, bias, 1e-3),
        lambda x, weight, bias: torch.nn.functional.group_norm(x, groups, weight, bias, 1e-3),
        {"x": rng.normal(size=shape) * 2 + 1, **parameters(rng, 6, weight, bias)},
        rng,
    )


@pytest.mark.parametrize(("weight", "bias"), BOTH)
@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (2, 3, 2, 4), (1, 3, 2, 1, 2), (0, 3)])
def test_batch_norm_agrees_with_torch(shape: Any, training: bool, running: bool, weight: bool, bias: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    if not (training or running):
        pytest.importorskip("torch")
        with pytest.raises(ValueError, match="running_mean and running_var must be given"):
            functional.batch_norm(np.ones(shape), None, None)
        return
    own: list[Any] = [rng.normal(size=3), rng.uniform(0.5, 2, size=3)] if running else [None, None]
    theirs = [None if a is None else torch.tensor(a) for a in own]
    compare(
        lambda x, weight, bias: functional.batch_norm(x, own[0], own[1], weight, bias, training, 0.3, 1e-3),
        lambda x, weight, bias: torch.nn.functional.batch_norm(x, theirs[0], theirs[1], weight, bias, training, 0.3, 1e-3),
        {"x": rng.normal(size=shape) * 2 + 1, **parameters(rng, 3, weight, bias)},
        rng,
    )
    for a, t in zip(own, theirs, strict=True):
        if a is not None:
            np.testing.assert_allclose(a, t.numpy(), rtol=1e-12)


@pytest.mark.parametrize(("weight", "bias"), BOTH)
@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("use_input_stats", [False, True])
@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 3, 2, 4), (2, 3, 2, 1, 2)])
def test_instance_norm_agrees_with_torch(
    shape: Any, use_input_stats: bool, running: bool, weight: bool, bias: bool, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    if not (use_input_stats or running):
        with pytest.raises(ValueError, match="running_mean and running_var must be given"):
            functional.instance_norm(np.ones(shape), use_input_stats=False)
        return
    own: list[Any] = [rng.normal(size=3), rng.uniform(0.5, 2, size=3)] if running else [None, None]
    theirs = [None if a is None else torch.tensor(a) for a in own]
    compare(
        lambda x, weight, bias: functional.instance_norm(x, own[0], own[1], weight, bias, use_input_stats, 0.3, 1e-3),
        lambda x, weight, bias: torch.nn.functional.instance_norm(x, theirs[0], theirs[1], weight, bias, use_input_stats, 0.3, 1e-3),
        {"x": rng.normal(size=shape) * 2 + 1, **parameters(rng, 3, weight, bias)},
        rng,
    )
    for a, t in zip(own, theirs, strict=True):
        if a is not None:
            np.testing.assert_allclose(a, t.numpy(), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 5, 2, 3), (1, 3, 2, 2, 2), (0, 4, 2)])
def test_local_response_norm_agrees_with_torch(shape: Any, size: int, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    if 0 in shape:  # torch gives an empty input back, unrecorded
        assert functional.local_response_norm(np.ones(shape), size).shape == shape
        return
    compare(
        lambda x: functional.local_response_norm(x, size, 0.3, 0.6, 1.5),
        lambda x: torch.nn.functional.local_response_norm(x, size, 0.3, 0.6, 1.5),
        {"x": rng.normal(size=shape)},
        rng,
    )


# --- derivatives -------------------------------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, Any] = {
    "layer_norm": lambda x, w, b: functional.layer_norm(x, (2,), w[:2], b[:2]),
    "rms_norm": lambda x, w, b: functional.rms_norm(x, (3, 2), w.reshape(-1, 1) * b[:2], 0.1),
    "group_norm": lambda x, w, b: functional.group_norm(x, 1, w, b),
    "batch_norm": lambda x, w, b: functional.batch_norm(x, None, None, w, b, training=True),
    "batch_norm with running statistics": lambda x, w, b: functional.batch_norm(x, np.zeros(3), np.ones(3), w, b, training=True),
    "batch_norm in evaluation": lambda x, w, b: functional.batch_norm(x, np.full(3, 0.5), np.full(3, 2.0), w, b),
    "instance_norm": lambda x, w, b: functional.instance_norm(x, None, None, w, b),
    "local_response_norm": lambda x, w, b: functional.local_response_norm(x, 2, 0.5) * w[:, None] + b[:, None],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_normalisations_differentiate_twice_in_all_arguments(name: str, rng: np.random.Generator) -> None:
    assert ag.gradcheck(FUNCTIONS[name], rng.normal(size=(2, 3, 2)), rng.normal(size=3), rng.normal(size=3))


def test_the_statistics_have_gradients_too() -> None:
    assert ag.gradcheck(functional.normalisation._normalise_with_statistics)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_are_torchs(name: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    theirs: dict[str, Any] = {
        "layer_norm": lambda x, w, b: torch.nn.functional.layer_norm(x, (2,), w[:2], b[:2]),
        "rms_norm": lambda x, w, b: torch.nn.functional.rms_norm(x, (3, 2), w.reshape(-1, 1) * b[:2], 0.1),
        "group_norm": lambda x, w, b: torch.nn.functional.group_norm(x, 1, w, b),
        "batch_norm": lambda x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, True),
        "instance_norm": lambda x, w, b: torch.nn.functional.instance_norm(x, None, None, w, b),
    }
    if name not in theirs:
        name = "batch_norm"
    arrays = rng.normal(size=(2, 3, 2)), rng.normal(size=3), rng.normal(size=3)
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    peers = [torch.tensor(a, requires_grad=True) for a in arrays]
    first = ag.gradient((FUNCTIONS[name](*ours) ** 3).sum(), ours, create_graph=True)
    sum((g * g).sum() for g in first).backward()
    second = torch.autograd.grad((theirs[name](*peers) ** 3).sum(), peers, create_graph=True)
    sum((g * g).sum() for g in second).backward()
    for a, t in zip(ours, peers, strict=True):
        np.testing.assert_allclose(a.grad.data, t.grad.numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_normalisations_work_in_forward_mode_and_over_batches(name: str, rng: np.random.Generator) -> None:
    w, b, v = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(2, 3, 2))
    x = rng.normal(size=(4, 2, 3, 2))

    def f(x: Any) -> Any:
        return FUNCTIONS[name](x, w, b)

    jacobian = ag.jacobian(f)(x[0])
    np.testing.assert_allclose(ag.jvp(f, (x[0],), (v,))[1], np.tensordot(jacobian, v, 3), rtol=1e-10, atol=1e-12)
    if "running" in name:
        return  # one batch after the other would move them
    np.testing.assert_allclose(ag.vmap(f)(x), [f(a) for a in x], rtol=1e-12)
    gradient = ag.grad(lambda x: (f(x) ** 3).sum())
    np.testing.assert_allclose(ag.vmap(gradient)(x), [gradient(a) for a in x], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtypes_are_kept_and_float16_is_computed_in_float32(name: str, dtype: Any, rng: np.random.Generator) -> None:
    arrays = [rng.normal(size=(2, 3, 2)), rng.normal(size=3), rng.normal(size=3)]
    low = [ag.tensor(a.astype(dtype), requires_grad=True) for a in arrays]
    high = [ag.tensor(a.data.astype(np.float64), requires_grad=True) for a in low]
    y, exact = FUNCTIONS[name](*low), FUNCTIONS[name](*high)
    y.backward(np.ones(y.shape, dtype))
    exact.backward(np.ones(y.shape))
    assert y.dtype == dtype
    np.testing.assert_allclose(y.detach().numpy(), exact.detach().numpy(), atol=0.03 if dtype == np.float16 else 1e-4)
    for a, b in zip(low, high, strict=True):
        assert a.grad.dtype == dtype
        if dtype == np.float32:
            np.testing.assert_allclose(a.grad.data, b.grad.data, atol=1e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_strided_inputs_and_gradients_give_what_contiguous_ones_do(name: str, rng: np.random.Generator) -> None:
    w, b = rng.normal(size=3), rng.normal(size=3)
    x, g = rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 3, 2))
    found = []
    for strided in (lambda a: a, np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2], lambda a: a[::-1].copy()[::-1]):
        z = ag.tensor(strided(x).swapaxes(0, 2), requires_grad=True)
        FUNCTIONS[name](z.swapaxes(0, 2), w, b).backward(strided(g))
        found.append(z.grad.data)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-12, atol=1e-14)


def test_layer_norm_of_values_with_a_large_mean_keeps_its_precision(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 64)) + 1e8
    y = functional.layer_norm(x, 64)
    np.testing.assert_allclose(y, (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5), rtol=1e-6, atol=1e-7)


# --- modules ---------------------------------------------------------------------------------------------------------------------------

CHANNELS: list[tuple[str, list[dict[str, Any]], list[tuple[int, ...]]]] = [
    ("BatchNorm1d", [{}, {"eps": 0.1, "momentum": None}, {"affine": False}, {"momentum": 0.5, "bias": False}], [(4, 3), (4, 3, 5)]),
    ("BatchNorm1d", [{"track_running_stats": False}], [(4, 3)]),
    ("BatchNorm2d", [{}, {"momentum": None, "affine": False}], [(2, 3, 4, 5)]),
    ("BatchNorm3d", [{}], [(2, 3, 2, 2, 3)]),
    (
        "InstanceNorm1d",
        [{}, {"affine": True}, {"affine": True, "bias": False}, {"track_running_stats": True, "momentum": 0.4, "eps": 0.1}],
        [(4, 3, 5), (3, 5)],
    ),
    ("InstanceNorm2d", [{"affine": True, "track_running_stats": True}], [(2, 3, 4, 5), (3, 4, 5)]),
    ("InstanceNorm3d", [{"affine": True}], [(2, 3, 2, 4, 5), (3, 2, 4, 5)]),
]
SHAPES: list[dict[str, Any]] = [{"normalized_shape": shape} for shape in (3, [3], (4, 3))]
GROUPS: list[dict[str, Any]] = [{"num_groups": groups, "num_channels": 4} for groups in (1, 2, 4)]
MODULES: list[tuple[str, dict[str, Any], list[tuple[int, ...]]]] = [
    *((name, {"num_features": 3, **options}, shapes) for name, choices, shapes in CHANNELS for options in choices),
    *(
        ("LayerNorm", shape | options, [(2, 4, 3)])
        for shape in SHAPES
        for options in ({}, {"elementwise_affine": False, "eps": 0.1}, {"bias": False})
    ),
    *(("RMSNorm", shape | options, [(2, 4, 3)]) for shape in SHAPES for options in ({}, {"eps": 0.1}, {"elementwise_affine": False})),
    *(("GroupNorm", groups | options, [(2, 4, 3), (3, 4)]) for groups in GROUPS for options in ({}, {"affine": False}, {"bias": False})),
    ("LocalResponseNorm", {"size": 3, "alpha": 0.1, "beta": 0.5, "k": 2.0}, [(2, 4, 3)]),
]


@pytest.mark.parametrize(("name", "options", "shapes"), MODULES)
def test_modules_agree_with_torch_in_training_and_evaluation(name: str, options: dict[str, Any], shapes: Any, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    theirs, ours = getattr(torch.nn, name)(**options).double(), getattr(nn, name)(**options).double()
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[key].numpy(), value.numpy())
        assert str(ours.state_dict()[key].dtype) == str(value.dtype).removeprefix("torch.")
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.tensor(rng.normal(size=p.shape)))
    ours.load_state_dict(theirs.state_dict())
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        for shape in shapes:
            ours.zero_grad()
            theirs.zero_grad()
            compare(lambda x: ours(x), lambda x: theirs(x), {"x": rng.normal(size=shape) * 2 + 1}, rng)
            for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
                np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-10, atol=1e-11)
            for p, q in zip(ours.buffers(), theirs.buffers(), strict=True):
                np.testing.assert_allclose(p.data, q.numpy(), rtol=1e-12)


def test_an_empty_batch_leaves_the_running_statistics_alone() -> None:
    norm = nn.BatchNorm1d(3)
    assert norm(np.zeros((0, 3), np.float32)).shape == (0, 3)
    np.testing.assert_array_equal(norm.running_mean.data, np.zeros(3))
    np.testing.assert_array_equal(norm.running_var.data, np.ones(3))


def test_running_statistics_can_be_reset_and_are_not_trained() -> None:
    norm = nn.BatchNorm1d(2)
    norm(np.arange(6, dtype=np.float32).reshape(3, 2))
    assert norm.num_batches_tracked.item() == 1
    norm.reset_running_stats()
    assert norm.num_batches_tracked.item() == 0
    assert [name for name, _ in norm.named_parameters()] == ["weight", "bias"]
    assert [name for name, _ in norm.named_buffers()] == ["running_mean", "running_var", "num_batches_tracked"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.BatchNorm1d(3)(np.ones((2, 4))), r"BatchNorm1d: input of shape \(2, 4\) has 4 channels, expected num_features=3"),
        (lambda: nn.BatchNorm1d(3)(np.ones((1, 3))), r"more than one value per channel, but input has shape \(1, 3\)"),
        (lambda: nn.BatchNorm1d(3)(np.ones((1, 3, 1))), "more than one value per channel"),
        (lambda: nn.BatchNorm2d(3)(np.ones((2, 3))), r"BatchNorm2d: input must be \(N, C, H, W\), but has shape \(2, 3\)"),
        (lambda: nn.BatchNorm3d(3)(np.ones((2, 3))), r"BatchNorm3d: input must be \(N, C, D, H, W\), but has shape \(2, 3\)"),
        (lambda: nn.InstanceNorm1d(3, affine=True)(np.ones((2, 4, 5))), "InstanceNorm1d: .* has 4 channels, expected num_features=3"),
        (lambda: nn.InstanceNorm1d(3)(np.ones((2, 3, 1))), r"more than one place per channel, but input has shape \(2, 3, 1\)"),
        (lambda: nn.InstanceNorm2d(3)(np.ones((2, 3))), r"InstanceNorm2d: input must be \(C, H, W\) or \(N, C, H, W\)"),
        (lambda: nn.LayerNorm((3, 4))(np.ones((2, 4))), r"input of shape \(2, 4\) does not end in normalized_shape \(3, 4\)"),
        (lambda: nn.RMSNorm(3)(np.ones((2, 4))), r"input of shape \(2, 4\) does not end in normalized_shape \(3,\)"),
        (lambda: nn.GroupNorm(2, 4)(np.ones((2, 5))), r"GroupNorm: input has shape \(2, 5\), expected \(N, num_channels=4, ...\)"),
        (lambda: nn.GroupNorm(3, 4), "num_channels=4 cannot be divided into num_groups=3"),
        (lambda: nn.GroupNorm(4, 4)(np.ones((1, 4))), "one value per group"),
        (lambda: nn.BatchNorm1d(0), "num_features must be an integer >= 1, not 0"),
        (lambda: nn.LayerNorm([3, 0]), "normalized_shape must be an integer >= 1, not 0"),
        (lambda: nn.LocalResponseNorm(2)(np.ones((2, 3))), r"at least 3 axes, but has shape \(2, 3\)"),
        (lambda: functional.layer_norm(np.ones((2, 3)), 3, np.ones(2)), r"weight has shape \(2,\), expected normalized_shape \(3,\)"),
        (lambda: functional.batch_norm(np.ones((2, 3)), np.ones(2), np.ones(3)), r"running_mean has shape \(2,\), but input .* has 3 channels"),
        (lambda: functional.group_norm(np.ones((2, 5)), 2), "5 channels of an input of shape .* cannot be divided into num_groups=2"),
    ],
)
def test_what_does_not_fit_is_named_with_both_shapes(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.BatchNorm1d(3)([[1.0, 2.0, 3.0]]), "BatchNorm1d: input must be a tensor or an array, not list"),
        (lambda: nn.LayerNorm(3)([[1.0, 2.0, 3.0]]), "layer_norm: input must be a tensor or an array, not list"),
        (lambda: functional.layer_norm(np.ones((2, 3), int), 3), "layer_norm: input has dtype int64"),
    ],
)
def test_what_is_no_floating_point_array_is_refused(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_a_wrong_number_of_channels_that_has_no_effect_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="has 4 channels, expected num_features=3, which has no effect"):
        nn.InstanceNorm1d(3)(np.arange(40.0).reshape(2, 4, 5))
