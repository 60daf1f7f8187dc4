"""Normalize images that may be normalized already, by type and declared range, never by their values.

>>> already = ConditionalNormalize(mean=(0.5,), std=(0.5,), floats="normalized")
>>> image = torch.tensor([[[[-1.0, 1.0]]]])
>>> already(image) is image
True
>>> in_unit = ConditionalNormalize(mean=(0.5,), std=(0.5,), floats="unit")
>>> in_unit(torch.tensor([[[[0.0, 1.0]]]]))
tensor([[[[-1.,  1.]]]])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from perfsuite.transforms.normalization.api import OUTPUT_DTYPES, normalize
from perfsuite.transforms.normalization.channel_stats import ChannelStatistics, cached_statistics

# The range of floating-point images: 0..1, 0..255, or normalized already.
FloatRange = Literal["unit", "bytes", "normalized"]
_DIVISORS = {"unit": 1.0, "bytes": 255.0}


@dataclass(frozen=True)
class ConditionalNormalize:
    """Normalize bytes, and floats whose range is declared by `floats`; refuse other floats."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    floats: FloatRange | None = None
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.floats not in (None, "unit", "bytes", "normalized"):
            raise ValueError(
                f"ConditionalNormalize: floats={self.floats!r}, expected 'unit' (0..1), 'bytes' (0..255) or "
                "'normalized'"
            )
        if self.dtype not in OUTPUT_DTYPES:
            raise TypeError(f"ConditionalNormalize: dtype {self.dtype}, expected one of {OUTPUT_DTYPES}")
        ChannelStatistics(self.mean, self.std)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if images.dtype == torch.uint8:
            return normalize(images, mean=self.mean, std=self.std, dtype=self.dtype)
        if not images.is_floating_point():
            raise TypeError(f"ConditionalNormalize: {images.dtype} input, expected torch.uint8 or floats")
        if self.floats is None:
            raise TypeError(
                f"ConditionalNormalize: {images.dtype} input whose range was not declared; "
                "give floats='unit' (0..1), 'bytes' (0..255) or 'normalized'"
            )
        if self.floats == "normalized":
            return images if images.dtype == self.dtype else images.to(self.dtype)
        return self._normalize_floats(images, _DIVISORS[self.floats])

    def _normalize_floats(self, images: torch.Tensor, divisor: float) -> torch.Tensor:
        """Compute in float32 at least, operation by operation as in the definition, and round once."""
        statistics = cached_statistics(self.mean, self.std)
        if images.ndim < 3 or images.shape[-3] != statistics.channels:
            raise ValueError(
                f"ConditionalNormalize: input of shape {tuple(images.shape)}, "
                f"expected (N,) {statistics.channels}, height, width"
            )
        wide = torch.promote_types(images.dtype, torch.float32)
        mean = torch.tensor(statistics.mean, dtype=wide, device=images.device).view(-1, 1, 1)
        std = torch.tensor(statistics.std, dtype=wide, device=images.device).view(-1, 1, 1)
        return images.to(wide).div(divisor).sub_(mean).div_(std).to(self.dtype)
