"""What a file of this folder declares: one implementation of normalizing, as `IMPLEMENTATION`.

The registry imports these files, so they import their library only when they are loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.optional_libraries import is_installed

# Normalizes the first tensor into the last.
NormalizeFunction = Callable[[torch.Tensor, ChannelStatistics, torch.Tensor], None]


@dataclass(frozen=True, slots=True)
class NormalizeImplementation:
    """What an implementation needs, where it runs, and how to load it."""

    load: Callable[[], NormalizeFunction]
    requires: str | None = None  # a module that must be installed
    devices: tuple[str, ...] = ("cpu",)

    @property
    def is_available(self) -> bool:
        return self.requires is None or is_installed(self.requires)


def write_image_by_image(
    images: torch.Tensor, out: torch.Tensor, normalize_image: Callable[[NDArray[np.uint8]], NDArray[Any]]
) -> None:
    """Apply a function of height x width x channels to each image, as libraries without batches do."""
    if images.numel() == 0:
        return
    if images.ndim == 3:
        images, out = images[None], out[None]
    for image, target in zip(images.permute(0, 2, 3, 1), out.permute(0, 2, 3, 1), strict=True):
        normalized = normalize_image(np.ascontiguousarray(image.numpy()))
        target.copy_(torch.from_numpy(normalized).reshape(target.shape))
