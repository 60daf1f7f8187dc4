"""NumPy, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.normalization.implementations.base import (
    NormalizeImplementation,
    write_image_by_image,
)


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    scale, bias = statistics.scale.astype(np.float32), statistics.bias.astype(np.float32)

    def normalize_image(image: NDArray[np.uint8]) -> NDArray[Any]:
        return np.asarray(image.astype(np.float32) * scale + bias)

    write_image_by_image(images, out, normalize_image)


IMPLEMENTATION = NormalizeImplementation(load=lambda: write)
