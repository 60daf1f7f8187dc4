"""The definition, (x / 255 - mean) / std, in float64.

>>> from perfsuite.transforms.normalization.channel_stats import IMAGENET
>>> white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
>>> [round(v, 4) for v in reference(white, IMAGENET).flatten().tolist()]
[2.2489, 2.4286, 2.64]
"""

from __future__ import annotations

import torch

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.normalization.implementations.base import NormalizeImplementation


def reference(images: torch.Tensor, statistics: ChannelStatistics) -> torch.Tensor:
    """The definition, operation by operation, in float64 on the CPU."""
    mean = torch.tensor(statistics.mean, dtype=torch.float64).view(-1, 1, 1)
    std = torch.tensor(statistics.std, dtype=torch.float64).view(-1, 1, 1)
    return (images.cpu().to(torch.float64) / 255 - mean) / std


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    out.copy_(reference(images, statistics))


IMPLEMENTATION = NormalizeImplementation(load=lambda: write, devices=("cpu", "cuda"))
