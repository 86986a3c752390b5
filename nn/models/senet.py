"""SE-ResNet: a residual network whose blocks weigh their channels by what the whole image says.

Hu et al. 2018, "Squeeze-and-excitation networks", figure 3 and table 1.
"""

from __future__ import annotations

from typing import Any

from nn.models.resnet import BasicBlock, Bottleneck, ResNet
from nn.module import Module
from nn.squeeze_excitation import SqueezeExcitation

__all__ = ["SEBasicBlock", "SEBottleneck", "se_resnet18", "se_resnet34", "se_resnet50"]


class SEBasicBlock(BasicBlock):
    """A `BasicBlock` with squeeze-and-excitation, by a sixteenth of the channels, of what it adds to its input."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        super().__init__(inplanes, planes, stride, downsample)
        self.se = SqueezeExcitation(planes * self.expansion, planes * self.expansion // 16)

    def residual(self, input: Any) -> Any:
        """What is added to the input."""
        return self.se(super().residual(input))


class SEBottleneck(Bottleneck):
    """A `Bottleneck` with squeeze-and-excitation of what it adds to its input."""

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        super().__init__(inplanes, planes, stride, downsample)
        self.se = SqueezeExcitation(planes * self.expansion, planes * self.expansion // 16)

    def residual(self, input: Any) -> Any:
        """What is added to the input."""
        return self.se(super().residual(input))


def se_resnet18(num_classes: int = 1000) -> ResNet:
    """ResNet-18 with squeeze-and-excitation."""
    return ResNet(SEBasicBlock, (2, 2, 2, 2), num_classes)


def se_resnet34(num_classes: int = 1000) -> ResNet:
    """ResNet-34 with squeeze-and-excitation."""
    return ResNet(SEBasicBlock, (3, 4, 6, 3), num_classes)


def se_resnet50(num_classes: int = 1000) -> ResNet:
    """ResNet-50 with squeeze-and-excitation: 28,088,024 parameters."""
    return ResNet(SEBottleneck, (3, 4, 6, 3), num_classes)
