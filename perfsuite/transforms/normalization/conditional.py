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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.transforms.normalization.api import normalize
from perfsuite.transforms.normalization.channel_stats import ChannelStatistics, cached_statistics
from perfsuite.transforms.normalization.eager import OUTPUT_DTYPES

# The range of floating-point images: 0..1, 0..255, or normalized already.
FloatRange = Literal["unit", "bytes", "normalized"]
_DIVISORS = {"unit": 1.0, "bytes": 255.0}
_NUMPY_DTYPES = (torch.float32, torch.float16)  # NumPy has no bfloat16


@dataclass(frozen=True)
class ConditionalNormalize:
    """Normalize bytes, and floats whose range is declared by `floats`; refuse other floats.

    A tensor has its channels first, (N,) C, H, W; a NumPy image has them last, (N,) H, W, C. The result is of
    the same kind. In a Compose of albumentations it normalizes `image` and `images`.
    """

    mean: Sequence[float]
    std: Sequence[float]
    floats: FloatRange | None = None
    dtype: torch.dtype = torch.float32

    # What albumentations reads of a transform, beside calling it with targets by name.
    available_keys: ClassVar[frozenset[str]] = frozenset({"image", "images"})
    p: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        if self.floats not in (None, "unit", "bytes", "normalized"):
            raise ValueError(
                f"ConditionalNormalize: floats={self.floats!r}, expected 'unit' (0..1), 'bytes' (0..255) or "
                "'normalized'"
            )
        if self.dtype not in OUTPUT_DTYPES:
            raise TypeError(f"ConditionalNormalize: dtype {self.dtype}, expected one of {OUTPUT_DTYPES}")
        statistics = ChannelStatistics.of(self.mean, self.std)
        object.__setattr__(self, "mean", statistics.mean)
        object.__setattr__(self, "std", statistics.std)

    @overload
    def __call__(self, images: torch.Tensor) -> torch.Tensor: ...
    @overload
    def __call__(self, images: NDArray[Any]) -> NDArray[Any]: ...
    @overload
    def __call__(self, *, force_apply: bool = False, **targets: Any) -> dict[str, Any]: ...

    def __call__(self, images: Any = None, *, force_apply: bool = False, **targets: Any) -> Any:
        """Normalize a tensor or a NumPy image; with targets by name, those that are images."""
        if targets:
            targets |= {} if images is None else {"images": images}
            names = self.available_keys & targets.keys()
            return targets | {name: self._normalize_array(targets[name]) for name in names}
        if isinstance(images, np.ndarray):
            return self._normalize_array(images)
        if isinstance(images, torch.Tensor):
            return self._normalize_tensor(images)
        raise TypeError(f"ConditionalNormalize: {type(images).__name__}, expected a tensor or a NumPy image")

    def set_random_state(self, *generators: object) -> None:
        """Do nothing: albumentations gives each transform its random generators, and none are needed."""

    def _normalize_array(self, image: NDArray[Any]) -> NDArray[Any]:
        channels = len(self.mean)
        if image.ndim not in (3, 4) or image.shape[-1] != channels:
            raise ValueError(
                f"ConditionalNormalize: NumPy image of shape {image.shape}, expected (N,) height, width, "
                f"{channels}; a NumPy image has its channels last"
            )
        if self.dtype not in _NUMPY_DTYPES:
            raise TypeError(
                f"ConditionalNormalize: dtype {self.dtype} for a NumPy image, expected torch.float32 or "
                "torch.float16, which NumPy has"
            )
        # torch has no negative strides, which a mirrored array has.
        tensor = torch.from_numpy(np.ascontiguousarray(image)).movedim(-1, -3)
        normalized = self._normalize_tensor(tensor)
        return image if normalized is tensor else normalized.movedim(-3, -1).numpy()

    def _normalize_tensor(self, images: torch.Tensor) -> torch.Tensor:
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
        statistics = cached_statistics(tuple(self.mean), tuple(self.std))
        if images.ndim < 3 or images.shape[-3] != statistics.channels:
            raise ValueError(
                f"ConditionalNormalize: input of shape {tuple(images.shape)}, "
                f"expected (N,) {statistics.channels}, height, width"
            )
        wide = torch.promote_types(images.dtype, torch.float32)
        mean = torch.tensor(statistics.mean, dtype=wide, device=images.device).view(-1, 1, 1)
        std = torch.tensor(statistics.std, dtype=wide, device=images.device).view(-1, 1, 1)
        return images.to(wide).div(divisor).sub_(mean).div_(std).to(self.dtype)
