"""Batch normalisation multiplied into the layer before it: the same values, and torch's weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nn
from nn.utils import fusion

LAYERS: list[tuple[str, tuple[Any, ...], str, tuple[int, ...]]] = [
    ("Linear", (3, 4), "BatchNorm1d", (5, 3)),
    ("Conv1d", (3, 4, 2), "BatchNorm1d", (2, 3, 5)),
    ("Conv2d", (2, 4, 3), "BatchNorm2d", (1, 2, 5, 5)),
    ("ConvTranspose2d", (2, 4, 3), "BatchNorm2d", (1, 2, 5, 5)),
]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("name", "args", "norm", "shape"), LAYERS)
def test_a_fused_layer_is_the_layer_and_its_normalisation(
    name: str, args: Any, norm: str, shape: Any, bias: bool, affine: bool, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    layer, bn = getattr(nn, name)(*args, bias=bias).double(), getattr(nn, norm)(4, affine=affine, eps=1e-3).double()
    for value in (*bn.parameters(), *bn.buffers()):
        value.data[...] = rng.uniform(1, 2, size=value.shape)
    layer.eval()
    bn.eval()
    transposed = "Transpose" in name
    fused = fusion.fuse_linear_bn_eval(layer, bn) if name == "Linear" else fusion.fuse_conv_bn_eval(layer, bn, transposed)
    x = rng.normal(size=shape)
    np.testing.assert_allclose(fused(x).detach().numpy(), bn(layer(x)).detach().numpy(), rtol=1e-10, atol=1e-12)
    if name == "Linear" and not affine:
        return  # which torch's function does not take
    peer, peer_bn = getattr(torch.nn, name)(*args, bias=bias).double().eval(), getattr(torch.nn, norm)(4, affine=affine, eps=1e-3).double().eval()
    for ours, theirs in ((layer, peer), (bn, peer_bn)):
        theirs.load_state_dict({key: torch.tensor(value.numpy()) for key, value in ours.state_dict().items()})
    library = torch.nn.utils.fusion
    expected = library.fuse_linear_bn_eval(peer, peer_bn) if name == "Linear" else library.fuse_conv_bn_eval(peer, peer_bn, transposed)
    assert list(fused.state_dict()) == list(expected.state_dict())
    for key, value in expected.state_dict().items():
        np.testing.assert_allclose(fused.state_dict()[key].numpy(), value.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fusion.fuse_linear_bn_eval(nn.Linear(2, 3), nn.BatchNorm1d(3)), "both modules must be in evaluation mode"),
        (
            lambda: fusion.fuse_linear_bn_eval(nn.Linear(2, 3).eval(), nn.BatchNorm1d(2).eval()),
            "has 3 outputs, but BatchNorm1d num_features=2",
        ),
        (lambda: fusion.fuse_conv_bn_eval(nn.Conv1d(2, 3, 1).eval(), nn.BatchNorm1d(3, track_running_stats=False).eval()), "no running statistics"),
    ],
)
def test_what_does_not_fit_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
