"""What is right: (x / 255 - mean) / std in float64, and how far a float32 answer may lie from it.

>>> import torch
>>> from perfsuite.transforms.normalization.channel_stats import IMAGENET
>>> white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
>>> [round(v, 4) for v in reference(white, IMAGENET).flatten().tolist()]
[2.2489, 2.4286, 2.64]
"""

from __future__ import annotations

import torch

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics

# Over 32,000 random statistics and all bytes, the worst of five orders of evaluation needed 1.91.
MAX_FLOAT32_ROUNDINGS = 3.0
# Near zero float32 has fixed steps.
SMALLEST_FLOAT32 = 2.0**-149


def reference(images: torch.Tensor, statistics: ChannelStatistics) -> torch.Tensor:
    """The definition, operation by operation, in float64 on the CPU."""
    mean = torch.tensor(statistics.mean, dtype=torch.float64).view(-1, 1, 1)
    std = torch.tensor(statistics.std, dtype=torch.float64).view(-1, 1, 1)
    return (images.cpu().to(torch.float64) / 255 - mean) / std


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    out.copy_(reference(images, statistics))


def error_bound(images: torch.Tensor, statistics: ChannelStatistics, dtype: torch.dtype) -> torch.Tensor:
    """How far each element may lie from the reference: a few float32 roundings of the largest intermediate,
    and half a unit in the last place of a narrower output."""
    right = reference(images, statistics)
    mean = torch.tensor(statistics.mean, dtype=torch.float64).view(-1, 1, 1)
    std = torch.tensor(statistics.std, dtype=torch.float64).view(-1, 1, 1)
    largest = (images.cpu().to(torch.float64) / 255 + mean.abs()) / std + right.abs()
    allowed = MAX_FLOAT32_ROUNDINGS * (2.0**-24 * largest).clamp_min(SMALLEST_FLOAT32)
    return allowed if dtype == torch.float32 else allowed + half_ulp(right, dtype)


def half_ulp(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Half the distance between neighbors of `dtype` at each value."""
    kind = torch.finfo(dtype)
    exponent = torch.frexp(values.abs().clamp_min(kind.tiny)).exponent - 1
    return torch.ldexp(torch.full_like(values, kind.eps / 2), exponent)


def worst_error_ratio(answer: torch.Tensor, images: torch.Tensor, statistics: ChannelStatistics) -> float:
    """The largest error as a part of what is allowed: right is at most 1; a NaN is infinitely wrong."""
    if answer.numel() == 0:
        return 0.0
    error = (answer.cpu().to(torch.float64) - reference(images, statistics)).abs()
    parts = torch.where(error == 0, 0, error / error_bound(images, statistics, answer.dtype))
    return float("inf") if bool(parts.isnan().any()) else float(parts.max())
