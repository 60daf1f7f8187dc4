"""How far a normalized value may lie from the float64 definition. It is written out here once more."""

from __future__ import annotations

import torch

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics

# Over 32,000 random statistics and all bytes, the worst of five orders of evaluation needed 1.91.
MAX_FLOAT32_ROUNDINGS = 3.0
# Near zero, float32 has a fixed step.
SMALLEST_FLOAT32 = 2.0**-149


def exact_normalize(images: torch.Tensor, statistics: ChannelStatistics) -> torch.Tensor:
    """The oracle: the definition in float64."""
    mean, std = (
        torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)
        for values in (statistics.mean, statistics.std)
    )
    return (images.cpu().to(torch.float64) / 255 - mean) / std


def error_bound(images: torch.Tensor, statistics: ChannelStatistics, dtype: torch.dtype) -> torch.Tensor:
    """The allowed error of each element: a few float32 roundings of the largest intermediate result, and half
    a unit in the last place of a narrower output."""
    expected = exact_normalize(images, statistics)
    mean, std = (
        torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)
        for values in (statistics.mean, statistics.std)
    )
    largest = (images.cpu().to(torch.float64) / 255 + mean.abs()) / std + expected.abs()
    allowed = MAX_FLOAT32_ROUNDINGS * (2.0**-24 * largest).clamp_min(SMALLEST_FLOAT32)
    return allowed if dtype == torch.float32 else allowed + half_ulp(expected, dtype)


def half_ulp(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Half the distance between neighbors of `dtype` at each value."""
    limits = torch.finfo(dtype)
    exponent = torch.frexp(values.abs().clamp_min(limits.tiny)).exponent - 1
    return torch.ldexp(torch.full_like(values, limits.eps / 2), exponent)


def worst_error_ratio(answer: torch.Tensor, images: torch.Tensor, statistics: ChannelStatistics) -> float:
    """The largest error as a fraction of the allowed one: at most 1 is right; NaN is infinitely wrong."""
    if answer.numel() == 0:
        return 0.0
    error = (answer.cpu().to(torch.float64) - exact_normalize(images, statistics)).abs()
    ratios = torch.where(error == 0, 0, error / error_bound(images, statistics, answer.dtype))
    return float("inf") if bool(ratios.isnan().any()) else float(ratios.max())
