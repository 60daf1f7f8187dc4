"""OpenCV, image by image: a lookup table of 256 floats for each channel."""

from __future__ import annotations

import numpy as np
import torch

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.normalization.implementations.base import (
    NormalizeImplementation,
    write_image_by_image,
)


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    import cv2

    table = np.ascontiguousarray(statistics.lookup_table.T[:, None, :].astype(np.float32))
    write_image_by_image(images, out, lambda image: cv2.LUT(image, table))


IMPLEMENTATION = NormalizeImplementation(load=lambda: write, requires="cv2")
