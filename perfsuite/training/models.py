"""Models by name: a small residual network, torchvision's ResNets, and a ResNet-18 for 32-px images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm, and a shortcut around them."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.first_norm(self.first(images)))
        return torch.relu(self.second_norm(self.second(features)) + self.shortcut(images))


class SmallResNet(nn.Module):
    """Three residual blocks, 0.3 million parameters; trains in seconds on 2 cores with images of 32-96 px.

    >>> SmallResNet(10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, classes: int, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.blocks = nn.Sequential(
            ResidualBlock(width, width, 1),
            ResidualBlock(width, 2 * width, 2),
            ResidualBlock(2 * width, 4 * width, 2),
        )
        self.head = nn.Linear(4 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.blocks(self.stem(images)).mean((2, 3))
        scores: Tensor = self.head(features)
        return scores


def _resnet18(classes: int) -> nn.Module:
    from torchvision.models import resnet18

    model: nn.Module = resnet18(num_classes=classes)
    return model


def _resnet50(classes: int) -> nn.Module:
    from torchvision.models import resnet50

    model: nn.Module = resnet50(num_classes=classes)
    return model


def _resnet18_cifar(classes: int) -> nn.Module:
    """Build a ResNet-18 whose stem does not downsample; the usual one leaves one pixel of 32-px images."""
    model = _resnet18(classes)
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


MODELS: dict[str, Callable[[int], nn.Module]] = {
    "small": SmallResNet,
    "resnet18": _resnet18,
    "resnet18-cifar": _resnet18_cifar,
    "resnet50": _resnet50,
}


def make_model(name: str, classes: int) -> nn.Module:
    """Build a model with random weights for `classes` classes.

    >>> sum(parameter.numel() for parameter in make_model("small", 10).parameters())
    308650
    """
    if name not in MODELS:
        raise UsageError(f"model: {name!r} is not known, expected {', '.join(MODELS)}")
    if classes < 2:
        raise UsageError(
            f"model: {classes} classes, expected at least 2; a classifier needs two to choose from"
        )
    return MODELS[name](classes)


def residual_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the modules with several children inside an `nn.Sequential`: the blocks of a ResNet.

    >>> len(residual_blocks(make_model("resnet18", 10)))
    8
    """
    return [
        block
        for sequence in model.modules()
        if isinstance(sequence, nn.Sequential)
        for block in sequence.children()
        if len(list(block.children())) > 1 and not isinstance(block, nn.Sequential)
    ]
