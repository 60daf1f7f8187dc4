"""Pipelines that a user may have, of several libraries, and what is none."""

from __future__ import annotations

from typing import Any

import albumentations
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision import transforms
from torchvision.transforms import v2

torchvision_compose = transforms.Compose(
    [
        transforms.RandomCrop(32),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
    ]
)
torchvision_v2 = v2.Compose([v2.ToImage(), v2.Resize((32, 32))])
torch_sequential = nn.Sequential(transforms.CenterCrop(32), transforms.Grayscale())
albumentations_compose = albumentations.Compose([albumentations.HorizontalFlip(), albumentations.Normalize()])
albumentations_transform = albumentations.HorizontalFlip()
number = 3
no_steps: list[Any] = []
tensor = torch.zeros(3)


class Uncalled:
    pass


def invert(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return 255 - image


def fails(image: NDArray[np.uint8]) -> float:
    return 1 / 0
