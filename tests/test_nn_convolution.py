"""Convolution, its transpose, unfold and fold: torch over all arguments, numeric derivatives, and bad input."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from against_torch import agree, layers_agree, same_arguments

import autograd_core as ag
import nn
from nn import functional

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

SIZES = {1: (7,), 2: (6, 5), 3: (5, 4, 5)}
LAYERS = [f"Conv{kind}{n}d" for kind in ("", "Transpose") for n in (1, 2, 3)]


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_convolutions_agree_with_torch_in_all_combinations_of_arguments(ndim: int, rng: np.random.Generator) -> None:
    taken = 0
    kernels, batches = ((1, 3), [(2,), ()]) if ndim == 2 else ((1, 2), [(2,)])
    for stride, padding, dilation, groups, kernel, batch in itertools.product(
        (1, 2), (0, 1, 2, "same", "valid"), (1, 2), (1, 2, 4), kernels, batches
    ):
        x, w = rng.normal(size=(*batch, 4, *SIZES[ndim])), rng.normal(size=(8, 4 // groups, *(kernel,) * ndim))
        arrays = [x, w, rng.normal(size=8)][: 2 + (groups != 2)]
        keywords = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        taken += agree(f"conv{ndim}d", arrays, rng=rng, **keywords)
    assert taken > 60


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_transposed_convolutions_agree_with_torch_in_all_combinations_of_arguments(ndim: int, rng: np.random.Generator) -> None:
    taken = 0
    kernels, batches = ((1, 3), [(2,), ()]) if ndim == 1 else ((2,), [(2,)])
    for stride, padding, more, dilation, groups, kernel, batch in itertools.product((1, 2, 3), (0, 1), (0, 1, 2), (1, 2), (1, 2), kernels, batches):
        x, w = rng.normal(size=(*batch, 4, *(n - 2 for n in SIZES[ndim]))), rng.normal(size=(4, 3, *(kernel,) * ndim))
        arrays = [x, w, rng.normal(size=3 * groups)][: 2 + (stride != 2)]
        keywords = {"stride": stride, "padding": padding, "output_padding": more, "groups": groups, "dilation": dilation}
        taken += agree(f"conv_transpose{ndim}d", arrays, rng=rng, **keywords)
    assert taken > 40


def test_each_axis_has_numbers_of_its_own(rng: np.random.Generator) -> None:
    for _ in range(60):
        k, s, p, d = (tuple(int(n) for n in rng.integers(low, high, size=2)) for low, high in ((1, 5), (1, 4), (0, 4), (1, 4)))
        x, w = rng.normal(size=(2, 3, 9, 11)), rng.normal(size=(2, 3, *k))
        agree("conv2d", [x, w], rng=rng, stride=s, padding=p, dilation=d)
        agree("conv_transpose2d", [x, rng.normal(size=(3, 2, *k))], rng=rng, stride=s, padding=p, dilation=d)
        agree("unfold", [x], rng=rng, kernel_size=k, stride=s, padding=p, dilation=d)


def test_many_output_channels_of_few_and_few_of_many_agree_with_torch(rng: np.random.Generator) -> None:
    # The gradient of the input is computed in one of two ways, by which side has more channels.
    for inputs, outputs in ((1, 16), (16, 1), (3, 3)):
        agree("conv2d", [rng.normal(size=(3, inputs, 5, 6)), rng.normal(size=(outputs, inputs, 3, 3)), rng.normal(size=outputs)], rng=rng, padding=1)


@pytest.mark.parametrize(("stride", "channels"), [(1, 2), (2, 2), (1, 9), (1, 30)])
def test_images_in_blocks_and_in_parts_are_the_same_as_at_once(stride: int, channels: int, rng: np.random.Generator, monkeypatch: Any) -> None:
    x, w, b = rng.normal(size=(7, 2, 6, 5)), rng.normal(size=(channels, 2, 3, 3)), rng.normal(size=channels)
    g = rng.normal(size=functional.conv2d(x, w, b, stride, 1).shape)

    def step() -> list[Any]:
        arrays = [ag.tensor(a, requires_grad=True) for a in (x, w, b)]
        out = functional.conv2d(*arrays, stride=stride, padding=1)
        out.backward(g)
        return [out.detach().numpy(), *(a.grad.numpy() for a in arrays)]

    at_once = step()
    of_an_image = 8 * 2 * 9 * g.shape[2] * g.shape[3]
    for size in (2 * of_an_image, of_an_image // 2, 1):  # two images and one that is left; two or three parts of one; single rows
        monkeypatch.setattr("nn.functional.convolution_columns.BLOCK", size)
        monkeypatch.setattr("nn.functional.convolution_maps.BLOCK", size)
        for one, other in zip(at_once, step(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


# --- many small images, which lie with the batch innermost ------------------------------------------------------------------------

ROWS_OF_WINDOWS = (2**20, 4000, 1)  # bytes of columns at a time: all rows, some, one


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_convolutions_of_many_images_agree_with_torch(ndim: int, rng: np.random.Generator, monkeypatch: Any) -> None:
    blocks, taken = itertools.cycle(ROWS_OF_WINDOWS), 0
    for stride, padding, dilation, groups, kernel in itertools.product((1, 2), (0, 1, 3), (1, 2), (1, 2), (1, 3)):
        monkeypatch.setattr("nn.functional.convolution_innermost.BLOCK", next(blocks))
        x, w = rng.normal(size=(17, 4, *SIZES[ndim])), rng.normal(size=(6, 4 // groups, *(kernel,) * ndim))
        arrays = [x, w, rng.normal(size=6)][: 2 + (stride == 1)]
        taken += agree(f"conv{ndim}d", arrays, rng=rng, stride=stride, padding=padding, dilation=dilation, groups=groups)
        w = rng.normal(size=(4, 3, *(kernel,) * ndim))
        arrays = [x, w, rng.normal(size=3 * groups)][: 2 + (stride == 1)]
        agree(f"conv_transpose{ndim}d", arrays, rng=rng, stride=stride, padding=min(padding, 1), dilation=dilation, groups=groups)
    assert taken > 20


def test_a_network_of_many_images_is_torchs(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    layers = [nn.Conv2d(2, 6, 3, padding=1, dtype=np.float64), nn.BatchNorm2d(6, dtype=np.float64), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(6, 4, 3, stride=2, bias=False, dtype=np.float64), nn.AvgPool2d(2, 1), nn.Flatten(), nn.Linear(16, 3, dtype=np.float64)]
    theirs = [torch.nn.Conv2d(2, 6, 3, padding=1), torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    theirs += [torch.nn.Conv2d(6, 4, 3, stride=2, bias=False), torch.nn.AvgPool2d(2, 1), torch.nn.Flatten(), torch.nn.Linear(16, 3)]
    model, twin = nn.Sequential(*layers), torch.nn.Sequential(*theirs).double()
    twin.load_state_dict({name: torch.tensor(value.numpy()) for name, value in model.state_dict().items()})
    images = rng.normal(size=(32, 2, 14, 14))
    x, their_x = ag.tensor(images, requires_grad=True), torch.tensor(images, requires_grad=True)
    loss, their_loss = (model(x) ** 2).sum(), (twin(their_x) ** 2).sum()
    assert model[0](x).detach().numpy().strides[0] == 8  # the batch is innermost
    loss.backward()
    their_loss.backward()
    np.testing.assert_allclose(loss.item(), their_loss.item(), rtol=1e-10)
    np.testing.assert_allclose(x.grad.numpy(), their_x.grad.numpy(), rtol=1e-10, atol=1e-10)
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(own.grad.numpy(), other.grad.numpy(), rtol=1e-10, atol=1e-10)
    for (name, own), other in zip(model.named_buffers(), twin.buffers(), strict=True):
        np.testing.assert_allclose(own.numpy(), other.numpy(), rtol=1e-10, err_msg=name)


def test_second_derivatives_of_many_images_are_right(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(16, 1, 2, 3)), rng.normal(size=(2, 1, 2, 2))
    for stride in (1, 2):
        assert ag.gradcheck(lambda w, s=stride: functional.conv2d(x, w, stride=s, padding=1) ** 2, w)
        assert ag.gradcheck(lambda x, s=stride: (functional.conv2d(x, w, stride=s, padding=1) ** 2)[:2, :, :1, :1], x)


def test_unfold_and_fold_agree_with_torch_in_all_combinations_of_arguments(rng: np.random.Generator) -> None:
    for kernel, dilation, padding, stride, batch in itertools.product((1, 2, (3, 2)), (1, 2), (0, 1), (1, (2, 3)), [(2,), ()]):
        x = rng.normal(size=(*batch, 3, 6, 5))
        agree("unfold", [x], (kernel, dilation, padding, stride), rng)
        columns = functional.unfold(x, kernel, dilation, padding, stride)
        agree("fold", [rng.normal(size=columns.shape)], ((6, 5), kernel, dilation, padding, stride), rng)


# --- layers -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_convolution_layers_agree_with_torchs(padding_mode: str, ndim: int, rng: np.random.Generator) -> None:
    for padding, dilation, groups, bias in itertools.product((0, 1, 2, "same", "valid"), (1, 2), (1, 2), (True, False)):
        for stride in (1, 2)[: 1 + (padding != "same")]:
            keywords = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": bias, "padding_mode": padding_mode}
            arguments = {"in_channels": 2, "out_channels": 4, "kernel_size": 2, **keywords}
            layers_agree(f"Conv{ndim}d", arguments, [rng.normal(size=(2, *SIZES[ndim]) if bias else (2, 2, *SIZES[ndim]))], rng=rng)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_transposed_convolution_layers_agree_with_torchs(ndim: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 4, *SIZES[ndim]))
    for stride, padding, dilation, groups, bias in itertools.product((1, 2), (0, 1), (1, 2), (1, 2), (True, False)):
        arguments = {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "stride": stride, "padding": padding, "dilation": dilation}
        arguments |= {"groups": groups, "bias": bias}
        layers_agree(f"ConvTranspose{ndim}d", arguments | {"output_padding": stride - 1}, [x], rng=rng)
        smallest = [(n - 1) * stride - 2 * padding + dilation * 2 + 1 for n in SIZES[ndim]]
        for more in range(stride):
            layers_agree(f"ConvTranspose{ndim}d", arguments, [x], {"output_size": [n + more for n in smallest]}, rng)
            layers_agree(f"ConvTranspose{ndim}d", arguments, [x], {"output_size": [2, 6, *(n + more for n in smallest)]}, rng)


def test_unfold_and_fold_layers_agree_with_torchs(rng: np.random.Generator) -> None:
    layers_agree("Unfold", {"kernel_size": (2, 3), "dilation": 2, "padding": 1, "stride": 2}, [rng.normal(size=(2, 3, 8, 9))], rng=rng)
    layers_agree("Fold", {"output_size": (4, 5), "kernel_size": (2, 2), "padding": 1, "stride": 1}, [rng.normal(size=(2, 12, 30))], rng=rng)


@pytest.mark.parametrize("name", [*LAYERS, "Unfold", "Fold"])
def test_layers_take_torchs_arguments_in_its_order(name: str) -> None:
    torch = pytest.importorskip("torch")
    same_arguments(getattr(nn, name), getattr(torch.nn, name))


@pytest.mark.parametrize("name", LAYERS)
def test_fresh_parameters_have_torchs_bounds_and_spread(name: str) -> None:
    torch = pytest.importorskip("torch")
    sizes = {"in_channels": 32, "out_channels": 16, "kernel_size": 3, "groups": 2}
    ours, theirs = getattr(nn, name)(**sizes, generator=0), getattr(torch.nn, name)(**sizes)
    bound = 1 / math.sqrt(math.prod(theirs.weight.shape[1:]))
    for parameter in (ours.weight, ours.bias):
        values = parameter.detach().numpy()
        assert values.dtype == np.float32
        assert 0.5 * bound < abs(values).max() <= bound
    assert ours.weight.detach().numpy().std() == pytest.approx(theirs.weight.detach().numpy().std(), rel=0.1)
    again = getattr(nn, name)(**sizes, generator=0)
    np.testing.assert_array_equal(ours.weight.detach().numpy(), again.weight.detach().numpy())


# --- derivatives --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keywords", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": "same"}, {"groups": 2}], ids=str)
def test_convolution_differentiates_twice_in_all_arguments(keywords: dict[str, Any], rng: np.random.Generator) -> None:
    x, w, b = rng.normal(size=(2, 2, 3, 4)), rng.normal(size=(2, 2 // keywords.get("groups", 1), 2, 2)), rng.normal(size=2)
    assert ag.gradcheck(lambda x, w, b: functional.conv2d(x, w, b, **keywords), x, w, b, order=2)


@pytest.mark.parametrize("keywords", [{}, {"stride": 2, "output_padding": 1}, {"dilation": 2, "padding": 1}, {"groups": 2}], ids=str)
def test_transposed_convolution_differentiates_twice_in_all_arguments(keywords: dict[str, Any], rng: np.random.Generator) -> None:
    x, w, b = rng.normal(size=(2, 2, 2, 3)), rng.normal(size=(2, 1, 2, 2)), rng.normal(size=keywords.get("groups", 1))
    assert ag.gradcheck(lambda x, w, b: functional.conv_transpose2d(x, w, b, **keywords), x, w, b, order=2)


def test_second_derivatives_agree_with_torch(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x, w, v = rng.normal(size=(2, 2, 5, 5)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=(3, 2, 3, 3))

    def loss(module: Any, x: Any, w: Any) -> Any:
        return (module.conv2d(x, w, stride=2, padding=1) ** 3).sum()

    a, b = ag.tensor(x, requires_grad=True), ag.tensor(w, requires_grad=True)
    gradient = ag.gradient(loss(functional, a, b), [b], create_graph=True)[0]
    (gradient * v).sum().backward()
    s, t = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
    (torch.autograd.grad(loss(torch.nn.functional, s, t), t, create_graph=True)[0] * torch.tensor(v)).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), s.grad.numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(b.grad.numpy(), t.grad.numpy(), rtol=1e-10, atol=1e-10)


def test_complex_images_agree_with_torch(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x = rng.normal(size=(2, 2, 6)) + 1j * rng.normal(size=(2, 2, 6))
    w = rng.normal(size=(3, 2, 3)) + 1j * rng.normal(size=(3, 2, 3))
    a, b = ag.tensor(x, requires_grad=True), ag.tensor(w, requires_grad=True)
    s, t = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
    y, z = functional.conv1d(a, b, padding=1), torch.nn.functional.conv1d(s, t, padding=1)
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-12)
    (abs(y) ** 2).sum().backward()
    (abs(z) ** 2).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), s.grad.numpy(), rtol=1e-11)
    np.testing.assert_allclose(b.grad.numpy(), t.grad.numpy(), rtol=1e-11)


def test_gradients_per_image_are_those_of_each_image_alone(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(3, 2, 5, 5)), rng.normal(size=(2, 2, 3, 3))

    def loss(w: Any, image: Any) -> Any:
        return (functional.conv2d(image, w, padding=1) ** 2).sum()

    together = ag.vmap(ag.grad(loss), in_axes=(None, 0))(w, x)
    np.testing.assert_allclose(together, np.stack([ag.grad(loss)(w, image) for image in x]), rtol=1e-12)
    _, slope = ag.jvp(lambda w: loss(w, x[0]), (w,), (np.ones_like(w),))
    np.testing.assert_allclose(slope, ag.grad(loss)(w, x[0]).sum(), rtol=1e-11)


@pytest.mark.parametrize("name", LAYERS)
def test_float32_stays_float32(name: str) -> None:
    layer = getattr(nn, name)(2, 4, 3, stride=2)
    x = ag.tensor(np.ones((2, 2, *SIZES[layer.ndim]), dtype=np.float32), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert {y.dtype, x.grad.dtype, *(p.grad.dtype for p in layer.parameters())} == {np.dtype(np.float32)}


def test_strided_images_and_an_empty_batch(rng: np.random.Generator) -> None:
    x, w, b = rng.normal(size=(6, 5, 4, 2)), rng.normal(size=(2, 4, 3, 3)), rng.normal(size=2)
    swapped = np.asfortranarray(x).transpose(3, 2, 0, 1)[:, :, ::-1]
    np.testing.assert_allclose(functional.conv2d(swapped, w, b), functional.conv2d(swapped.copy(), w, b), rtol=1e-13)
    agree("conv2d", [np.ones((0, 4, 5, 5)), w, b])
    agree("conv_transpose2d", [np.ones((0, 2, 5, 5)), w])


# --- bad input ----------------------------------------------------------------------------------------------------------------------

X, W = np.ones((2, 3, 5, 5)), np.ones((4, 3, 3, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.conv2d([[1.0]], W), "conv2d: input must be a tensor or an array, not list"),
        (lambda: functional.conv2d(X, [[1.0]]), "conv2d: weight must be a tensor or an array, not list"),
        (lambda: functional.conv2d(X, W, [0.0] * 4), "conv2d: bias must be a tensor or an array, not list"),
        (lambda: functional.conv2d(X[0, 0], W), r"conv2d: input must have 4 axes, .* not shape \(5, 5\)"),
        (lambda: functional.conv2d(X, W[0]), r"conv2d: weight must have 4 axes, .* not shape \(3, 3, 3\)"),
        (lambda: functional.conv2d(X[:, :2], W), r"input of shape \(2, 2, 5, 5\) has 2 channels, but the weight of shape \(4, 3, 3, 3\) .* needs 3"),
        (lambda: functional.conv2d(X, W, groups=2), r"has 3 channels, but the weight of shape \(4, 3, 3, 3\) with groups=2 needs 6"),
        (lambda: functional.conv2d(np.ones((1, 9, 5, 5)), W, groups=3), "groups=3 does not divide the 4 output channels"),
        (lambda: functional.conv2d(X, W, np.ones(3)), r"bias has shape \(3,\), expected \(4,\)"),
        (lambda: functional.conv2d(X[..., :2], W), r"windows that reach over \(3, 3\) .* input of size \(5, 2\) .* have size \(3, 0\)"),
        (lambda: functional.conv2d(X, W, stride=0), "conv2d: stride must be >= 1, not 0"),
        (lambda: functional.conv2d(X, W, stride=(1, 2, 3)), r"conv2d: stride must be one integer or 2, one per axis, not \(1, 2, 3\)"),
        (lambda: functional.conv2d(X, W, padding=-1), "conv2d: padding must be >= 0, not -1"),
        (lambda: functional.conv2d(X, W, padding=1.5), "conv2d: padding must be an integer or 2 of them, not 1.5"),
        (lambda: functional.conv2d(X, W, padding="full"), 'conv2d: padding must be "same", "valid", a number'),
        (lambda: functional.conv2d(X, W, padding="same", stride=2), 'conv2d: padding="same" keeps the size, which a stride of'),
        (lambda: functional.conv2d(X, W, groups=0), "conv2d: groups must be an integer >= 1, not 0"),
        (lambda: functional.conv_transpose2d(X, W), r"conv_transpose2d: input of shape \(2, 3, 5, 5\) has 3 channels, but the weight .* needs 4"),
        (lambda: functional.conv_transpose2d(X, np.ones((3, 1, 1, 1)), padding=3), r"conv_transpose2d: .* would give an output of size \(-1, -1\)"),
        (lambda: functional.conv_transpose2d(X, np.ones((3, 1, 1, 1)), output_padding=1), "output_padding=.* must be smaller than the stride"),
        (lambda: functional.conv_transpose2d(X, np.ones((3, 1, 1, 1)), groups=2), "groups=2 does not divide the 3 input channels"),
        (lambda: functional.fold(np.ones((1, 9, 5)), (4, 4), 3), r"fold: input has shape \(1, 9, 5\); an image of size \(4, 4\) has 4 windows"),
        (lambda: functional.unfold(X, 6), r"unfold: windows that reach over \(6, 6\) elements do not fit into an input of size \(5, 5\)"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "Conv2d: groups=2 must divide in_channels=3 and out_channels=4"),
        (lambda: nn.Conv2d(0, 4, 3), "Conv2d: in_channels must be an integer >= 1, not 0"),
        (lambda: nn.Conv2d(3, 4, 0), "Conv2d: kernel_size must be >= 1, not 0"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "Conv2d: padding_mode must be one of 'zeros', 'reflect', 'replicate', 'circular'"),
        (lambda: nn.Conv2d(3, 4, 3, padding="full"), 'Conv2d: padding must be "same", "valid"'),
        (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), 'Conv2d: padding="same" keeps the size'),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), 'ConvTranspose2d: padding_mode must be "zeros"'),
        (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2)(X, output_size=(20, 20)), r"output_size=.* is out of reach of an input of size \(5, 5\)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
