"""Models by name: a small one of our own, torchvision's ResNets, and one with a stem for small images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outside)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, images: Tensor) -> Tensor:
        inner = torch.relu(self.first_norm(self.first(images)))
        return torch.relu(self.second_norm(self.second(inner)) + self.shortcut(images))


class SmallResNet(nn.Module):
    """Three residual blocks, about 0.3 million parameters: learns images of 32-96 px on 2 cores in seconds.

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
    """ResNet-18 that keeps 32-px images whole at the start: with the usual stem they end as one pixel."""
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
    """A model with random weights, for `classes` classes.

    >>> sum(one.numel() for one in make_model("small", 10).parameters())
    308650
    """
    if name not in MODELS:
        raise UsageError(f"model: {name!r} is not known, expected {', '.join(MODELS)}")
    if classes < 2:
        raise UsageError(f"model: {classes} classes, expected at least 2; nothing is to be told apart")
    return MODELS[name](classes)
