"""The models: published numbers of parameters, torchvision's names, torch's values and gradients, and that they learn.

A twin of each model in torch is made from the same source, read with torch's layers in the place of ours: so what is compared
is every layer, and how they are put together. The names and shapes of torchvision's layers are written down here.
"""

from __future__ import annotations

import collections
import importlib
import inspect
import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from nn import models

PUBLISHED = {
    "alexnet": 61_100_840,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "se_resnet50": 28_088_024,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}

# Some of torchvision's names with shapes: first and last layers, and one of each kind between them.
NAMES: dict[str, dict[str, tuple[int, ...]]] = {
    "alexnet": {
        "features.0.weight": (64, 3, 11, 11),
        "features.3.weight": (192, 64, 5, 5),
        "features.10.bias": (256,),
        "classifier.1.weight": (4096, 9216),
        "classifier.4.bias": (4096,),
        "classifier.6.weight": (1000, 4096),
    },
    "vgg11": {
        "features.0.weight": (64, 3, 3, 3),
        "features.18.weight": (512, 512, 3, 3),
        "classifier.0.weight": (4096, 25088),
        "classifier.6.bias": (1000,),
    },
    "vgg16_bn": {
        "features.0.weight": (64, 3, 3, 3),
        "features.1.running_mean": (64,),
        "features.41.num_batches_tracked": (),
        "features.40.weight": (512, 512, 3, 3),
        "classifier.3.weight": (4096, 4096),
    },
    "resnet18": {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_var": (64,),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.bias": (128,),
        "layer4.1.bn2.weight": (512,),
        "fc.weight": (1000, 512),
    },
    "resnet50": {
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer3.5.conv2.weight": (256, 256, 3, 3),
        "layer4.2.bn3.num_batches_tracked": (),
        "fc.weight": (1000, 2048),
    },
    "densenet121": {
        "features.conv0.weight": (64, 3, 7, 7),
        "features.norm0.bias": (64,),
        "features.denseblock1.denselayer6.norm1.weight": (224,),
        "features.denseblock3.denselayer24.conv2.weight": (32, 128, 3, 3),
        "features.transition2.conv.weight": (256, 512, 1, 1),
        "features.transition3.norm.running_mean": (1024,),
        "features.norm5.weight": (1024,),
        "classifier.weight": (1000, 1024),
    },
    "googlenet": {
        "conv1.conv.weight": (64, 3, 7, 7),
        "conv3.bn.running_var": (192,),
        "inception3a.branch1.conv.weight": (64, 192, 1, 1),
        "inception4b.branch2.1.conv.weight": (224, 112, 3, 3),
        "inception5b.branch3.1.conv.weight": (128, 48, 3, 3),
        "inception5b.branch4.1.bn.weight": (128,),
        "aux1.conv.conv.weight": (128, 512, 1, 1),
        "aux2.fc1.weight": (1024, 2048),
        "aux2.fc2.bias": (1000,),
        "fc.weight": (1000, 1024),
    },
}


@pytest.fixture
def without_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Initial values are not drawn: large models are made for their shapes alone."""
    for name in ("uniform_", "kaiming_normal_", "normal_", "trunc_normal_", "zeros_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("name", sorted({*PUBLISHED, *NAMES}))
def test_a_model_has_the_published_number_of_parameters_under_torchvisions_names(name: str) -> None:
    model = getattr(models, name)()
    if name in PUBLISHED:
        assert sum(p.size for p in model.parameters()) == PUBLISHED[name]
    shapes = {key: value.shape for key, value in model._named_state()}
    assert {key: shapes.get(key) for key in NAMES.get(name, {})} == NAMES.get(name, {})


def test_small_models_have_the_published_number_of_parameters() -> None:
    assert sum(p.size for p in models.LeNet().parameters()) == 61_706
    assert sum(p.size for p in models.googlenet(aux_logits=False).parameters()) == 6_624_904
    assert sum(p.size for p in models.googlenet().parameters()) == 13_004_888
    # As in figure 1 of the paper, and the count of a widely used implementation with batch normalisation.
    convolution = lambda before, after, size=3: before * after * size * size + after
    down = sum(convolution(a, b) + convolution(b, b) for a, b in [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024)])
    up = sum(convolution(2 * b, b, 2) + convolution(2 * b, b) + convolution(b, b) for b in (512, 256, 128, 64))
    assert sum(p.size for p in models.UNet().parameters()) == down + up + convolution(64, 2, 1)
    assert sum(p.size for p in models.UNet(3, 2, batch_norm=True).parameters()) == 31_037_698


# --- against torch --------------------------------------------------------------------------------------------------------


def twin_models() -> Any:
    """The models' source with torch's layers."""
    torch = pytest.importorskip("torch")

    class Sequential(torch.nn.Sequential):  # type: ignore[misc, name-defined]
        def __init__(self, *modules: Any) -> None:
            super().__init__(*(collections.OrderedDict(module) if isinstance(module, dict) else module for module in modules))

    namespace: dict[str, Any] = {name: getattr(torch.nn, name) for name in dir(torch.nn) if name[0].isupper()}
    namespace |= {"functional": torch.nn.functional, "init": torch.nn.init, "Sequential": Sequential, "__name__": "twins"}
    namespace["np"] = SimpleNamespace(concatenate=lambda parts, axis: torch.cat(parts, axis))
    for name in (
        "squeeze_excitation",
        *(f"models.{name}" for name in ("lenet", "alexnet", "vgg", "resnet", "senet", "densenet", "googlenet", "unet")),
    ):
        source = inspect.getsource(importlib.import_module(f"nn.{name}"))
        exec(re.sub(r"^(from nn|import numpy).*\n", "", source, flags=re.MULTILINE), namespace)
    return SimpleNamespace(**namespace)


# A small one of each kind, made of our models or of their twins; and an input's shape.
SMALL: dict[str, tuple[Any, tuple[int, ...]]] = {
    "lenet": (lambda m: m.LeNet(), (3, 1, 28, 28)),
    "alexnet": (lambda m: m.AlexNet(5, dropout=0.0, hidden=32), (2, 3, 63, 63)),
    "vgg": (lambda m: m.VGG(((4,), (8, 8)), False, 5, dropout=0.0, hidden=32), (3, 3, 32, 32)),
    "vgg with batch normalisation": (lambda m: m.VGG(((4,), (8, 8)), True, 5, dropout=0.0, hidden=32), (3, 3, 32, 32)),
    "resnet of basic blocks": (lambda m: m.ResNet(m.BasicBlock, (1, 2, 1), 5, widths=(4, 8, 8)), (3, 3, 40, 40)),
    "resnet of bottlenecks": (lambda m: m.ResNet(m.Bottleneck, (1, 2), 5, widths=(4, 8)), (3, 3, 32, 32)),
    "small resnet": (lambda m: m.small_resnet(widths=(4, 8, 16)), (4, 1, 8, 8)),
    "se-resnet of basic blocks": (lambda m: m.ResNet(m.SEBasicBlock, (1, 1), 5, widths=(16, 32)), (3, 3, 32, 32)),
    "se-resnet of bottlenecks": (lambda m: m.ResNet(m.SEBottleneck, (1, 1), 5, widths=(4, 8)), (3, 3, 32, 32)),
    "densenet": (lambda m: m.DenseNet(4, (2, 1, 2), 8, 2, num_classes=5), (3, 3, 48, 48)),
    "googlenet": (lambda m: m.GoogLeNet(5, True, 0.0, 0.0), (2, 3, 64, 64)),
    "unet": (lambda m: m.UNet(2, 3, 4, 2), (2, 2, 16, 12)),
    "unet without padding": (lambda m: m.UNet(1, 2, 4, 2, padding=0), (1, 1, 44, 44)),
    "unet with batch normalisation": (lambda m: m.UNet(1, 2, 4, 2, batch_norm=True), (2, 1, 16, 16)),
}
every_model = pytest.mark.parametrize("name", SMALL)


def logits_of(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


@every_model
def test_values_and_all_gradients_are_those_of_the_twin_in_torch(name: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    make, shape = SMALL[name]
    torch.manual_seed(0)
    twin, model = make(twin_models()).double(), make(models).double()
    assert [(key, p.shape) for key, p in model.named_parameters()] == [(key, tuple(p.shape)) for key, p in twin.named_parameters()]
    model.load_state_dict(twin.state_dict())
    x = rng.normal(size=shape)
    for mode in ("eval", "train"):
        getattr(model, mode)()
        getattr(twin, mode)()
        ours, theirs = logits_of(model(x)), logits_of(twin(torch.tensor(x)))
        for y, u in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-9, atol=1e-11)
    sum((y * y).sum() for y in ours).backward()  # type: ignore[union-attr]
    sum((u * u).sum() for u in theirs).backward()
    for (key, p), q in zip(model.named_parameters(), twin.parameters(), strict=True):
        scale = q.grad.abs().max().item()
        assert scale > 0, f"no gradient reaches {key}"
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-7, atol=1e-9 * scale + 1e-12, err_msg=key)
    for (key, ours_), theirs_ in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
        np.testing.assert_allclose(ours_.numpy(), theirs_.numpy(), rtol=1e-9, atol=1e-12, err_msg=key)


@every_model
def test_a_few_steps_lower_the_loss(name: str, rng: np.random.Generator) -> None:
    nn.manual_seed(1)
    make, shape = SMALL[name]
    model = make(models)
    x = rng.normal(size=shape).astype(np.float32)
    optimizer = optim.Adam(model.parameters(), lr=2e-2 if "unet" in name else 3e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        outputs = logits_of(model(x))
        classes, places = outputs[0].shape[1], (outputs[0].shape[0], *outputs[0].shape[2:])
        target = np.arange(math.prod(places)).reshape(places) % classes
        loss: Any = sum(nn.functional.cross_entropy(y, target) for y in outputs)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[1:]) < 0.98 * losses[0], losses
    assert all(p.dtype == p.grad.dtype == np.float32 for p in model.parameters())


def test_an_unpadded_unet_has_the_papers_sizes() -> None:
    with ag.no_grad():
        assert models.UNet(1, 2, width=2, padding=0)(np.zeros((1, 1, 572, 572), dtype=np.float32)).shape == (1, 2, 388, 388)


def test_squeeze_and_excitation_weighs_channels_by_numbers_between_0_and_1(rng: np.random.Generator) -> None:
    layer = nn.SqueezeExcitation(8, 2).double()
    x = rng.normal(size=(2, 8, 3, 3))
    ratio = layer(x).detach().numpy() / x
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :, :1, :1], x.shape), rtol=1e-12)
    assert (ratio > 0).all()
    assert (ratio < 1).all()
    assert list(layer.state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert ag.gradcheck(lambda x: layer(x), x[:, :, :2, :2], vary=False)
