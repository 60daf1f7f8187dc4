"""albumentations, image by image."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.normalization.implementations.base import (
    NormalizeImplementation,
    write_image_by_image,
)


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    transform = albumentations_normalize(statistics)
    write_image_by_image(images, out, lambda image: transform(image=image)["image"])


@lru_cache(maxsize=16)
def albumentations_normalize(statistics: ChannelStatistics) -> Any:
    """The library's own transform, for bytes."""
    import albumentations

    return albumentations.Normalize(mean=statistics.mean, std=statistics.std, max_pixel_value=255.0, p=1.0)


IMPLEMENTATION = NormalizeImplementation(load=lambda: write, requires="albumentations")
