"""Normalising as other libraries do it, picture by picture: what ours is compared with."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.transforms.statistics import Statistics

Array = NDArray[Any]


def write_numpy(images: torch.Tensor, statistics: Statistics, out: torch.Tensor) -> None:
    scale, bias = statistics.scale.astype(np.float32), statistics.bias.astype(np.float32)

    def normalised(picture: Array) -> Array:
        return np.asarray(picture.astype(np.float32) * scale + bias)

    _each_picture(images, out, normalised)


def write_opencv(images: torch.Tensor, statistics: Statistics, out: torch.Tensor) -> None:
    """One table of 256 floats for each channel."""
    import cv2

    table = np.ascontiguousarray(statistics.table.T[:, None, :].astype(np.float32))
    _each_picture(images, out, lambda picture: cv2.LUT(picture, table))


def write_albumentations(images: torch.Tensor, statistics: Statistics, out: torch.Tensor) -> None:
    transform = albumentations_normalize(statistics)
    _each_picture(images, out, lambda picture: transform(image=picture)["image"])


@lru_cache(maxsize=16)
def albumentations_normalize(statistics: Statistics) -> Any:
    import albumentations

    return albumentations.Normalize(mean=statistics.mean, std=statistics.std, max_pixel_value=255.0, p=1.0)


def _each_picture(images: torch.Tensor, out: torch.Tensor, normalised: Callable[[Array], Array]) -> None:
    if images.numel() == 0:
        return
    if images.ndim == 3:
        images, out = images[None], out[None]
    for picture, answer in zip(images.permute(0, 2, 3, 1), out.permute(0, 2, 3, 1), strict=True):
        made = normalised(np.ascontiguousarray(picture.numpy()))
        answer.copy_(torch.from_numpy(made).reshape(answer.shape))
