"""Mean and standard deviation of each channel, in units of 0..1.

>>> CIFAR10.channels
3
>>> ChannelStatistics((121.3,), (0.2,))
Traceback (most recent call last):
    ...
ValueError: normalize: channel 0 has mean 121.3, expected within -2..2; are the statistics in 0..255?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

# Images are in 0..1 here: a mean beyond 2 or a deviation beyond 10 is in the wrong unit.
MAX_ABS_MEAN = 2.0
MAX_STD = 10.0


@dataclass(frozen=True)
class ChannelStatistics:
    """The constants of (x / 255 - mean) / std: a mean and a deviation for each channel, checked."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.mean or len(self.mean) != len(self.std):
            raise ValueError(
                f"normalize: {len(self.mean)} means and {len(self.std)} deviations, "
                "expected one of each for every channel"
            )
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            _check_channel(channel, mean, std)

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> ChannelStatistics:
        """From lists, arrays or tensors."""
        return cls(tuple(map(float, mean)), tuple(map(float, std)))

    @property
    def channels(self) -> int:
        return len(self.mean)

    @cached_property
    def scale(self) -> NDArray[np.float64]:
        """The factor of a byte: 1 / (255 std)."""
        return np.asarray(1.0 / (255.0 * np.array(self.std)))

    @cached_property
    def bias(self) -> NDArray[np.float64]:
        """The term that is added after the factor: -mean / std."""
        return np.asarray(-np.array(self.mean) / np.array(self.std))

    @cached_property
    def lookup_table(self) -> NDArray[np.float64]:
        """The normalized value of each channel and byte, (channels, 256), in float64 by the definition."""
        bytes_ = np.arange(256, dtype=np.float64)
        return np.asarray(
            (bytes_[None, :] / 255.0 - np.array(self.mean)[:, None]) / np.array(self.std)[:, None]
        )


@lru_cache(maxsize=64)
def cached_statistics(mean: tuple[float, ...], std: tuple[float, ...]) -> ChannelStatistics:
    """Cached statistics: they are checked once, not in every batch."""
    return ChannelStatistics(mean, std)


def _check_channel(channel: int, mean: float, std: float) -> None:
    if not (math.isfinite(mean) and math.isfinite(std)):
        raise ValueError(
            f"normalize: channel {channel} has mean {mean} and std {std}, expected finite numbers"
        )
    if std <= 0:
        raise ValueError(f"normalize: channel {channel} has std {std}, expected above 0")
    if abs(mean) > MAX_ABS_MEAN:
        raise ValueError(
            f"normalize: channel {channel} has mean {mean:g}, "
            f"expected within -{MAX_ABS_MEAN:g}..{MAX_ABS_MEAN:g}; are the statistics in 0..255?"
        )
    if std > MAX_STD:
        raise ValueError(
            f"normalize: channel {channel} has std {std:g}, expected at most {MAX_STD:g}; "
            "are the statistics in 0..255?"
        )


IMAGENET = ChannelStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10 = ChannelStatistics((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
CLIP = ChannelStatistics((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF_RANGE = ChannelStatistics((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

NAMED_STATISTICS = {"imagenet": IMAGENET, "cifar10": CIFAR10, "clip": CLIP, "half": HALF_RANGE}
