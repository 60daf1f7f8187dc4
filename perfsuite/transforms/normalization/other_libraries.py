"""Normalizing as other libraries do it, image by image: what ours is compared with."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics

Array = NDArray[Any]


def write_numpy(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    scale, bias = statistics.scale.astype(np.float32), statistics.bias.astype(np.float32)

    def normalized(image: Array) -> Array:
        return np.asarray(image.astype(np.float32) * scale + bias)

    _write_image_by_image(images, out, normalized)


def write_opencv(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    """One table of 256 floats for each channel."""
    import cv2

    table = np.ascontiguousarray(statistics.lookup_table.T[:, None, :].astype(np.float32))
    _write_image_by_image(images, out, lambda image: cv2.LUT(image, table))


def write_albumentations(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    transform = albumentations_normalize(statistics)
    _write_image_by_image(images, out, lambda image: transform(image=image)["image"])


@lru_cache(maxsize=16)
def albumentations_normalize(statistics: ChannelStatistics) -> Any:
    import albumentations

    return albumentations.Normalize(mean=statistics.mean, std=statistics.std, max_pixel_value=255.0, p=1.0)


def _write_image_by_image(
    images: torch.Tensor, out: torch.Tensor, normalized: Callable[[Array], Array]
) -> None:
    if images.numel() == 0:
        return
    if images.ndim == 3:
        images, out = images[None], out[None]
    for image, answer in zip(images.permute(0, 2, 3, 1), out.permute(0, 2, 3, 1), strict=True):
        made = normalized(np.ascontiguousarray(image.numpy()))
        answer.copy_(torch.from_numpy(made).reshape(answer.shape))
