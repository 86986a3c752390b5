"""Activations, as functions and as modules: torch's values and derivatives with every argument, at kinks and in the tails too."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import numpy as np
import pytest
from torch_twins import assert_same_as_torch

import autograd_core as ag
import nn
from nn import functional

# Function, its further arguments, and the places where it has kinks.
ELEMENTWISE: list[tuple[str, dict[str, Any], list[float]]] = [
    ("relu", {}, [0.0]),
    ("relu", {"inplace": False}, [0.0]),
    ("relu6", {}, [0.0, 6.0]),
    ("leaky_relu", {}, [0.0]),
    ("leaky_relu", {"negative_slope": 0.3}, [0.0]),
    ("leaky_relu", {"negative_slope": 0.0}, [0.0]),
    ("rrelu", {}, [0.0]),
    ("rrelu", {"lower": 0.2, "upper": 0.7, "training": False}, [0.0]),
    ("rrelu", {"lower": 0.25, "upper": 0.25, "training": True}, [0.0]),
    ("hardtanh", {}, [-1.0, 1.0]),
    ("hardtanh", {"min_val": -0.3, "max_val": 2.0}, [-0.3, 2.0]),
    ("hardsigmoid", {}, [-3.0, 3.0]),
    ("hardswish", {}, [-3.0, 3.0]),
    ("hardshrink", {}, [-0.5, 0.5]),
    ("hardshrink", {"lambd": 1.25}, [-1.25, 1.25]),
    ("hardshrink", {"lambd": 0.0}, [0.0]),
    ("softshrink", {}, [-0.5, 0.5]),
    ("softshrink", {"lambd": 1.25}, [-1.25, 1.25]),
    ("threshold", {"threshold": 0.5, "value": -3.0}, [0.5]),
    ("threshold", {"threshold": -0.5, "value": 20}, [-0.5]),
    ("sigmoid", {}, []),
    ("logsigmoid", {}, []),
    ("tanh", {}, []),
    ("tanhshrink", {}, []),
    ("softsign", {}, []),
    ("softplus", {}, []),
    ("softplus", {"beta": 2.5, "threshold": 4.0}, []),
    ("softplus", {"beta": 0.5}, []),
    ("elu", {}, []),
    ("elu", {"alpha": 0.4}, [0.0]),
    ("celu", {}, []),
    ("celu", {"alpha": 2.0}, []),
    ("selu", {}, []),
    ("silu", {}, []),
    ("mish", {}, []),
    ("gelu", {}, []),
    ("gelu", {"approximate": "none"}, []),
    ("gelu", {"approximate": "tanh"}, []),
]
every_case = pytest.mark.parametrize(("name", "options", "kinks"), ELEMENTWISE, ids=lambda value: str(value) if value else "-")
POINTS = [-30.0, -9.3, -4.2, -1.7, -0.6, -0.2, 0.1, 0.45, 0.8, 1.4, 2.3, 5.1, 8.8, 19.9, 21.0, 30.0]


def ours(name: str, options: dict[str, Any]) -> Any:
    return lambda x: getattr(functional, name)(x, **options)


def theirs(name: str, options: dict[str, Any]) -> Any:
    torch = pytest.importorskip("torch")
    return lambda x: getattr(torch.nn.functional, name)(x, **options)


@every_case
def test_an_activation_is_torchs_at_kinks_and_in_tails(name: str, options: dict[str, Any], kinks: list[float]) -> None:
    x = np.array([*POINTS, *kinks, *(0.0 for _ in range(not kinks))])
    # torch's hardsigmoid multiplies by a sixth of single precision, and has no second derivative.
    assert_same_as_torch(ours(name, options), theirs(name, options), [x], second=False, rtol=1e-7 if name == "hardsigmoid" else 1e-11)
    assert_same_as_torch(
        ours(name, options), theirs(name, options), [np.array(POINTS)], second=name != "hardsigmoid", rtol=1e-7 if name == "hardsigmoid" else 1e-11
    )


@every_case
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 1, 3)])
def test_an_activation_keeps_shape_and_single_precision(name: str, options: dict[str, Any], kinks: list[float], shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32) * 2
    assert_same_as_torch(ours(name, options), theirs(name, options), [np.asarray(x)], second=name != "hardsigmoid", rtol=2e-5, atol=1e-5)


@every_case
def test_an_activation_passes_the_gradient_checker(name: str, options: dict[str, Any], kinks: list[float]) -> None:
    # vary=False: what the checker makes of these places would meet kinks; test_rules.py does that where there are none.
    assert ag.gradcheck(ours(name, options), np.array([-2.71, -1.13, -0.71, 0.13, 0.41, 0.93, 2.11, 3.7])[::-2], vary=False)


@every_case
def test_an_activation_is_finite_with_finite_gradient_far_out(name: str, options: dict[str, Any], kinks: list[float]) -> None:
    for dtype in (np.float32, np.float64):
        x = ag.tensor(np.array([-1e4, -200.0, 200.0, 1e4], dtype=dtype), requires_grad=True)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            y = ours(name, options)(x)
            y.sum().backward()
        assert np.isfinite(y.detach().numpy()).all()
        assert np.isfinite(x.grad.numpy()).all()


@every_case
def test_half_precision_stays_half_and_finite(name: str, options: dict[str, Any], kinks: list[float]) -> None:
    points = np.array([*POINTS, -300.0, 300.0], np.float16)
    half, double = ag.tensor(points, requires_grad=True), ag.tensor(points.astype(np.float64), requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for x in (half, double):
            ours(name, options)(x).sum().backward()
        y = ours(name, options)(half)
    assert y.dtype == half.grad.dtype == np.float16
    np.testing.assert_allclose(y.detach().numpy().astype(np.float64), ours(name, options)(double).detach().numpy(), rtol=1e-2, atol=2e-3)
    np.testing.assert_allclose(half.grad.numpy().astype(np.float64), double.grad.numpy(), rtol=1e-2, atol=1e-2)


@every_case
def test_an_activation_lets_nan_through(name: str, options: dict[str, Any], kinks: list[float]) -> None:
    assert np.isnan(ours(name, options)(np.array([np.nan]))).all()


@every_case
def test_an_activation_takes_batches(name: str, options: dict[str, Any], kinks: list[float]) -> None:
    x = np.array(POINTS).reshape(4, 4)
    slope = ag.elementwise_grad(ours(name, options))
    np.testing.assert_allclose(ag.vmap(slope)(x), slope(x), rtol=1e-14, atol=1e-15)


def test_gradients_are_zero_where_a_kinked_activation_drops_an_infinite_slope() -> None:
    for function in (functional.relu, functional.relu6, functional.hardshrink, functional.softshrink):
        x = ag.tensor([0.0, 4.0], requires_grad=True)
        function(np.sqrt(x)).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [0.0, 0.25])


# --- along an axis ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((3,), {"dim": 0}),
        ((2, 3), {"dim": 1}),
        ((2, 3), {"dim": -2}),
        ((2, 3, 4), {"dim": 1}),
        ((2, 3, 4, 2), {"dim": -3}),
        ((), {"dim": 0}),
        ((), {"dim": -1}),
        ((0, 3), {"dim": 1}),
        ((3, 0), {"dim": 1}),
        ((3, 0), {"dim": 0}),
    ],
)
def test_softmax_is_torchs(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    x = np.asarray(np.random.default_rng(1).normal(size=shape)) * 3
    assert_same_as_torch(ours(name, options), theirs(name, options), [x])
    assert_same_as_torch(ours(name, options), theirs(name, options), [x.T.copy().T[::-1] if x.ndim > 1 else x])


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_softmax_converts_its_input_to_the_dtype_first(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.array([[0.1, 0.7, -2.0]], dtype=np.float32)
    t = torch.tensor(x, requires_grad=True)
    z = ag.tensor(x, requires_grad=True)
    y, u = getattr(functional, name)(z, 1, np.float64), getattr(torch.nn.functional, name)(t, 1, dtype=torch.float64)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-14)
    (y * y).sum().backward()
    (u * u).sum().backward()
    assert z.grad.dtype == np.float32
    np.testing.assert_allclose(z.grad.numpy(), t.grad.numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 2)])
@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
def test_softmax_without_an_axis_takes_torchs_and_warns_where_that_may_surprise(name: str, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    x = np.asarray(np.random.default_rng(1).normal(size=shape))
    wanted = getattr(torch.nn.functional, name)(torch.tensor(x)).numpy()
    if len(shape) > 2:
        with pytest.warns(UserWarning, match=rf"{name} of shape .* without dim: taken along axis {0 if len(shape) == 3 else 1}"):
            found = getattr(functional, name)(x)
    else:
        found = getattr(functional, name)(x)
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


@pytest.mark.parametrize(("shape", "dim"), [((4,), -1), ((2, 4), -1), ((4, 3), 0), ((2, 6, 3), 1), ((0, 4), 1)])
def test_glu_is_torchs(shape: tuple[int, ...], dim: int) -> None:
    x = np.random.default_rng(1).normal(size=shape) * 3
    assert_same_as_torch(ours("glu", {"dim": dim}), theirs("glu", {"dim": dim}), [x])
    assert ag.gradcheck(lambda x: functional.glu(x, axis=dim), x, vary=False)


def test_glu_and_maxout_refuse_sizes_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match=r"glu: axis 1 of an input of shape \(2, 3\) cannot be halved"):
        functional.glu(np.ones((2, 3)), 1)
    with pytest.raises(ValueError, match=r"maxout: pool_size must divide the 3 elements of axis 1 of an input of shape \(2, 3\), not 2"):
        functional.maxout(np.ones((2, 3)), 2)


@pytest.mark.parametrize(("shape", "dim"), [((2, 6), 1), ((6, 2), 0), ((2, 6, 3), 1), ((2, 3, 4), -1)])
def test_maxout_is_the_largest_of_each_group_of_channels(shape: tuple[int, ...], dim: int, rng: np.random.Generator) -> None:
    x = rng.permutation(np.linspace(-1, 1, int(np.prod(shape)))).reshape(shape)
    y = functional.maxout(x, 2, dim)
    pairs = np.split(x, shape[dim] // 2, axis=dim)
    np.testing.assert_array_equal(y, np.concatenate([pair.max(axis=dim, keepdims=True) for pair in pairs], axis=dim))
    np.testing.assert_array_equal(nn.Maxout(2, dim)(x), y)
    assert ag.gradcheck(lambda x: functional.maxout(x, 2, dim), x, vary=False)


# --- with weights or chance ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "weights"), [((3,), 1), ((), 1), ((2, 3), 3), ((2, 3), 1), ((2, 3, 4), 3), ((2, 3, 4, 2), 3), ((2, 3, 2), 1), ((0, 3), 3)]
)
def test_prelu_is_torchs_in_both_arguments(shape: tuple[int, ...], weights: int, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = np.asarray(rng.normal(size=shape))
    if x.size:
        x[(0,) * x.ndim] = 0.0
    weight = rng.normal(size=weights)
    assert_same_as_torch(functional.prelu, torch.nn.functional.prelu, [x, weight], second=False)
    assert_same_as_torch(functional.prelu, torch.nn.functional.prelu, [x + 0.01, weight])
    assert_same_as_torch(functional.prelu, torch.nn.functional.prelu, [x.astype(np.float32), weight.astype(np.float32)], second=False, rtol=1e-5)
    assert ag.gradcheck(functional.prelu, np.asarray(rng.normal(size=shape)), weight, vary=False)


def test_prelu_refuses_another_number_of_weights() -> None:
    with pytest.raises(ValueError, match=r"prelu: weight of shape \(2,\) for an input of shape \(4, 3\); give one number, or one for each of 3"):
        functional.prelu(np.ones((4, 3)), np.ones(2))


def test_prelu_module_has_torchs_state(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    module, twin = nn.PReLU(3, init=0.1), torch.nn.PReLU(3, init=0.1)
    assert {name: value.shape for name, value in module.state_dict().items()} == {"weight": (3,)}
    module.load_state_dict(twin.state_dict())
    np.testing.assert_array_equal(module.weight.numpy() if not module.weight.requires_grad else module.weight.detach().numpy(), np.float32([0.1] * 3))
    assert repr(module) == repr(twin)


def test_rrelu_draws_slopes_in_its_range_while_training_and_takes_their_mean_after() -> None:
    nn.manual_seed(0)
    layer = nn.RReLU(0.2, 0.6)
    x = ag.tensor(-np.ones(2000), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    slopes = x.grad.numpy()
    np.testing.assert_array_equal(y.detach().numpy(), -slopes)
    assert 0.2 <= slopes.min() < 0.21
    assert 0.59 < slopes.max() < 0.6
    assert abs(slopes.mean() - 0.4) < 0.01
    np.testing.assert_allclose(layer.eval()(-np.ones(2)), [-0.4, -0.4])
    nn.manual_seed(0)
    np.testing.assert_array_equal(layer.train()(-np.ones(2000)), -slopes)
    np.testing.assert_array_equal(layer(np.ones(5)), np.ones(5))


def test_gumbel_softmax_draws_classes_by_their_probabilities() -> None:
    p = np.array([0.1, 0.2, 0.7])
    draws = functional.gumbel_softmax(np.broadcast_to(np.log(p), (20_000, 3)), tau=0.5, hard=True, generator=1)
    assert set(np.unique(draws)) == {0.0, 1.0}
    np.testing.assert_array_equal(draws.sum(axis=1), 1.0)
    np.testing.assert_allclose(draws.mean(axis=0), p, atol=0.01)


def test_gumbel_softmax_is_a_softmax_of_perturbed_logits_and_hard_ones_have_its_gradient(rng: np.random.Generator) -> None:
    logits, g = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    noise = -np.log(np.random.default_rng(5).standard_exponential((4, 3)))
    wanted = functional.softmax((logits + noise) / 0.7, 0)
    gradients = []
    for hard in (False, True):
        x = ag.tensor(logits, requires_grad=True)
        y = functional.gumbel_softmax(x, tau=0.7, hard=hard, dim=0, generator=5)
        if hard:
            np.testing.assert_allclose(y.detach().numpy(), wanted == wanted.max(axis=0), atol=1e-15)
        else:
            np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=1e-14)
        y.backward(g)
        gradients.append(x.grad.numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-13)
    assert ag.gradcheck(lambda x: functional.gumbel_softmax(x, dim=0, generator=5), logits)
    assert functional.gumbel_softmax(logits.astype(np.float32), generator=5).dtype == np.float32
    with pytest.raises(ValueError, match="tau must be > 0"):
        functional.gumbel_softmax(logits, tau=0)


# --- modules ------------------------------------------------------------------------------------------------------------

MODULES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("CELU", (), {}),
    ("CELU", (2.0, True), {}),
    ("ELU", (), {}),
    ("ELU", (), {"alpha": 0.3}),
    ("GELU", (), {}),
    ("GELU", (), {"approximate": "tanh"}),
    ("GLU", (), {}),
    ("GLU", (), {"dim": 1}),
    ("Hardshrink", (), {}),
    ("Hardshrink", (), {"lambd": 0.2}),
    ("Hardsigmoid", (), {}),
    ("Hardswish", (True,), {}),
    ("Hardtanh", (), {}),
    ("Hardtanh", (-0.5, 2.0), {}),
    ("Identity", (), {}),
    ("LeakyReLU", (), {}),
    ("LeakyReLU", (), {"negative_slope": 0.3, "inplace": True}),
    ("LogSigmoid", (), {}),
    ("LogSoftmax", (), {"dim": 1}),
    ("LogSoftmax", (-1,), {}),
    ("Mish", (), {}),
    ("PReLU", (), {}),
    ("PReLU", (), {"num_parameters": 3, "init": 0.1}),
    ("RReLU", (), {}),
    ("RReLU", (), {"lower": 0.1, "upper": 0.2}),
    ("ReLU", (), {}),
    ("ReLU", (), {"inplace": True}),
    ("ReLU6", (), {}),
    ("SELU", (), {}),
    ("SiLU", (), {}),
    ("Sigmoid", (), {}),
    ("Softmax", (), {"dim": 0}),
    ("Softmax", (2,), {}),
    ("Softmax2d", (), {}),
    ("Softmin", (), {"dim": 1}),
    ("Softplus", (), {}),
    ("Softplus", (), {"beta": 2, "threshold": 1}),
    ("Softshrink", (), {}),
    ("Softshrink", (0.8,), {}),
    ("Softsign", (), {}),
    ("Tanh", (), {}),
    ("Tanhshrink", (), {}),
    ("Threshold", (0.3, 7.0), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), MODULES, ids=str)
def test_an_activation_module_is_torchs_of_that_name(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    module, twin = getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    if name == "PReLU":
        module, twin = module.double(), twin.double()
    if name == "RReLU":
        module, twin = module.eval(), twin.eval()
    copied = lambda t: twin(t.clone())  # torch's inplace modules do change their input
    x = rng.normal(size=(2, 3, 4, 6)) if name != "GLU" else rng.normal(size=(2, 4, 4, 6))
    assert_same_as_torch(module, copied, [x], second=name != "Hardsigmoid", rtol=1e-7 if name == "Hardsigmoid" else 1e-11)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in MODULES}))
def test_an_activation_module_has_torchs_arguments_in_its_order(name: str) -> None:
    torch = pytest.importorskip("torch")

    def names(cls: Any) -> list[str]:
        return [p.name for p in inspect.signature(cls).parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD and p.name not in ("device", "dtype")]

    assert names(getattr(nn, name))[: len(names(getattr(torch.nn, name)))] == names(getattr(torch.nn, name))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.GELU("erf"), 'GELU: approximate must be "none" or "tanh"'),
        (lambda: nn.Hardtanh(1.0, -1.0), r"Hardtanh: min_val=1.0 must be below max_val=-1.0"),
        (lambda: nn.RReLU(0.5, 0.1), "RReLU: lower=0.5 must not be above upper=0.1"),
        (lambda: nn.Softshrink(-1.0), "Softshrink: lambd must be >= 0, not -1.0"),
        (lambda: functional.gelu(np.ones(2), "erf"), 'gelu: approximate must be "none" or "tanh"'),
        (lambda: functional.celu(np.ones(2), 0.0), "celu: alpha must not be 0"),
        (lambda: functional.softplus(np.ones(2), 0.0), "softplus: beta must not be 0"),
        (lambda: functional.softshrink(np.ones(2), -1.0), "softshrink: lambd must be >= 0"),
        (lambda: functional.rrelu(np.ones(2), 1.0, 0.0), "rrelu: lower=1.0 must not be above upper=0.0"),
        (lambda: functional.hardtanh(np.ones(2), 1.0, 0.0), "hardtanh: min_val=1.0 must not be above max_val=0.0"),
        (lambda: nn.Softmax2d()(np.ones((2, 3))), r"Softmax2d: needs images \(N, C, H, W\) or \(C, H, W\), not an input of shape \(2, 3\)"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_gelu_needs_no_scipy(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    from nn.functional import gaussian_units

    x = rng.normal(size=(3, 4)) * 3
    wanted = functional.gelu(x)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    gaussian_units._distribution.cache_clear()
    try:
        np.testing.assert_allclose(functional.gelu(x), wanted, rtol=1e-13)
        assert functional.gelu(x.astype(np.float32)).dtype == np.float32
        assert functional.gelu(np.float32(1.0)).dtype == np.float32
        assert ag.gradcheck(functional.gelu, x)
    finally:
        gaussian_units._distribution.cache_clear()


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_of_float32_is_as_accurate_as_float32_allows_in_blocks_too(approximate: str, rng: np.random.Generator) -> None:
    x = np.concatenate((rng.normal(size=60_000) * 3, [0.0, -0.0, 1e-30, 12.0, -12.0, 1e5]))
    single, double = (ag.tensor(x.astype(dtype), requires_grad=True) for dtype in (np.float32, np.float64))
    results = [functional.gelu(t, approximate) for t in (single, double)]
    for y in results:
        y.backward(np.ones(y.shape, y.dtype))
    np.testing.assert_allclose(results[0].data, results[1].data, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(single.grad.data, double.grad.data, rtol=1e-6, atol=4e-6)


def test_gelu_takes_arrays_as_they_lie(rng: np.random.Generator) -> None:
    x = rng.normal(size=(6, 8)).astype(np.float32)
    for view in (x.T, x[::-2], np.asfortranarray(x), np.broadcast_to(x[0], (3, 8))):
        np.testing.assert_array_equal(functional.gelu(view), functional.gelu(np.ascontiguousarray(view)))
        np.testing.assert_array_equal(functional.gelu(view, "tanh"), functional.gelu(np.ascontiguousarray(view), "tanh"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_short_cuts_are_accurate_in_the_tails_too(dtype: Any) -> None:
    x = np.linspace(-12, 12, 100_001).astype(dtype)
    far = x.astype(np.float64)
    few = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(functional.softplus(x), np.logaddexp(0, far), rtol=few)
    np.testing.assert_allclose(functional.logsigmoid(x), -np.logaddexp(0, -far), rtol=few)
    np.testing.assert_allclose(functional.elu(x), np.where(far > 0, far, np.expm1(far)), rtol=few)
    tiny = np.array([-1e-6, -1e-20, 0.0, 1e-20], dtype=dtype)
    np.testing.assert_allclose(functional.elu(tiny), tiny, rtol=1e-5)
