"""Draws applied to a whole batch where it lies: uint8 NCHW in and out, another draw for every image.

One sampling for all geometry, one pass for all color, as two Triton kernels where there is Triton. Nothing
comes back to the host: `upload_draws` copies what was drawn to the device, and `augment_prepared` may be
recorded in a CUDA graph and replayed with other numbers.

>>> from perfsuite.transforms.augment.modes import draws
>>> batch = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
>>> augment_batch(draws("moderate", seed=42, epoch=0, indices=[0, 1]), batch).shape
torch.Size([2, 3, 8, 8])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from perfsuite.errors import UsageError
from perfsuite.transforms.augment.cpu import GRAY_FILL, LUMA_WEIGHTS
from perfsuite.transforms.augment.modes import Draws
from perfsuite.transforms.normalization.registry import has_triton


@dataclass(frozen=True, slots=True)
class DeviceDraws:
    """What a batch's draws come to, on the device: float32, a row for each image."""

    inverse_affine: torch.Tensor  # (N, 2, 3): from the answer's pixels back to the image's
    color_factors: torch.Tensor  # (N, 3): brightness, contrast, saturation
    erase_rectangles: torch.Tensor  # (N, 4): top, left, bottom, right in pixels

    def copy_(self, other: DeviceDraws) -> None:
        """Take over another batch's numbers in place: what a recorded graph reads."""
        self.inverse_affine.copy_(other.inverse_affine, non_blocking=True)
        self.color_factors.copy_(other.color_factors, non_blocking=True)
        self.erase_rectangles.copy_(other.erase_rectangles, non_blocking=True)


def augment_batch(drawn: Draws, batch: torch.Tensor, fill: int = GRAY_FILL) -> torch.Tensor:
    """The batch with all that was drawn, in new memory. `fill` is in pixel units."""
    check_batch(batch, len(drawn))
    return augment_prepared(batch, upload_draws(drawn, batch.shape[2], batch.shape[3], batch.device), fill)


def check_batch(batch: torch.Tensor, rows: int) -> None:
    if batch.dtype != torch.uint8 or batch.ndim != 4 or batch.shape[1] != 3:
        raise ValueError(
            f"augment: batch is {batch.dtype} {tuple(batch.shape)}, expected torch.uint8 (N, 3, H, W)"
        )
    if len(batch) != rows:
        raise ValueError(f"augment: {rows} draws for {len(batch)} images, expected as many")


def upload_draws(drawn: Draws, height: int, width: int, device: torch.device | str = "cpu") -> DeviceDraws:
    """Matrices and factors in float64 on the host, then one copy each to the device."""
    if height != width and (drawn.column("quarter_turns") % 2).any():
        raise UsageError(
            f"augment: odd quarter turns in a batch of {height} x {width}, expected square images; "
            "turn them one by one"
        )
    color = np.stack([drawn.column(name) for name in ("brightness", "contrast", "saturation")], axis=1)
    return DeviceDraws(
        _copy_to_device(inverse_coefficients_batch(drawn, height, width), device),
        _copy_to_device(color, device),
        _copy_to_device(_erase_rectangles(drawn, height, width), device),
    )


def inverse_coefficients_batch(drawn: Draws, height: int, width: int) -> NDArray[np.float64]:
    """The inverse of `geometry.affine` for each draw, (N, 2, 3)."""
    radians = np.deg2rad(drawn.column("degrees") + 90 * drawn.column("quarter_turns"))
    cos, sin = drawn.column("zoom") * np.cos(radians), drawn.column("zoom") * np.sin(radians)
    side = 1 - 2 * drawn.column("mirror")
    turn = np.stack([np.stack([side * cos, side * sin], 1), np.stack([-sin, cos], 1)], 1)
    shift = np.stack([drawn.column("shift_x") * width, drawn.column("shift_y") * height], 1)
    center = np.array([width / 2, height / 2])
    back = np.linalg.inv(turn)
    offset = center - np.einsum("nij,nj->ni", back, center + shift)
    return np.concatenate([back, offset[:, :, None]], axis=2)


def _erase_rectangles(drawn: Draws, height: int, width: int) -> NDArray[np.float64]:
    top, left = drawn.column("erase_top"), drawn.column("erase_left")
    bottom, right = top + drawn.column("erase_height"), left + drawn.column("erase_width")
    return np.rint(np.stack([top * height, left * width, bottom * height, right * width], axis=1))


def _copy_to_device(values: NDArray[np.float64], device: torch.device | str) -> torch.Tensor:
    on_host = torch.from_numpy(values.astype(np.float32))
    if torch.device(device).type == "cuda":
        return on_host.pin_memory().to(device, non_blocking=True)
    return on_host.to(device)


def augment_prepared(batch: torch.Tensor, prepared: DeviceDraws, fill: int = GRAY_FILL) -> torch.Tensor:
    """Geometry, color and erasing by what was prepared; only device work, of fixed shapes."""
    if batch.is_cuda and has_triton():
        from perfsuite.transforms.augment import triton_

        return triton_.augment_prepared_triton(
            batch, prepared.inverse_affine, prepared.color_factors, prepared.erase_rectangles, fill
        )
    return augment_prepared_torch(batch, prepared, fill)


def augment_prepared_torch(batch: torch.Tensor, prepared: DeviceDraws, fill: int = GRAY_FILL) -> torch.Tensor:
    """The same in many small steps, where there is no Triton."""
    moved = warp_batch(batch, prepared.inverse_affine, fill)
    colored = adjust_color_batch(moved, prepared.color_factors)
    return erase_batch(colored, prepared.erase_rectangles, fill).to(torch.uint8)


def warp_batch(batch: torch.Tensor, backward: torch.Tensor, fill: int) -> torch.Tensor:
    """Bilinear, rounded to whole values, as float32. Outside lies `fill`, which the edge blends into."""
    n, _, h, w = batch.shape
    x = torch.arange(w, device=batch.device, dtype=torch.float32) + 0.5
    y = torch.arange(h, device=batch.device, dtype=torch.float32) + 0.5
    # grid_sample counts from -1 to 1 across the image.
    maps = backward.view(n, 2, 3, 1, 1)
    from_x = maps[:, 0, 0] * x + maps[:, 0, 1] * y.view(-1, 1) + maps[:, 0, 2]
    from_y = maps[:, 1, 0] * x + maps[:, 1, 1] * y.view(-1, 1) + maps[:, 1, 2]
    grid = torch.stack((from_x * (2 / w) - 1, from_y * (2 / h) - 1), dim=-1)
    sampled = torch.nn.functional.grid_sample(
        batch.to(torch.float32) - fill, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return (sampled + fill).round_().clamp_(0, 255)


def adjust_color_batch(values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation of whole values in float32."""
    brightness, contrast, saturation = (factors[:, i].view(-1, 1, 1, 1) for i in range(3))
    values = (values * brightness).round_().clamp_(0, 255)
    # Whole values below 2**24 each: float64 sums are exact, so their order does not matter.
    means = values.to(torch.float64).mean((2, 3))
    pivot = (
        means[:, 0] * LUMA_WEIGHTS[0] + means[:, 1] * LUMA_WEIGHTS[1] + means[:, 2] * LUMA_WEIGHTS[2]
    ).to(torch.float32)
    values = (values * contrast + (1 - contrast) * pivot.view(-1, 1, 1, 1)).round_().clamp_(0, 255)
    gray = (
        values[:, :1] * LUMA_WEIGHTS[0] + values[:, 1:2] * LUMA_WEIGHTS[1] + values[:, 2:] * LUMA_WEIGHTS[2]
    )
    mixed = values * saturation + (1 - saturation) * gray
    return mixed.round_().clamp_(0, 255)


def erase_batch(values: torch.Tensor, rectangles: torch.Tensor, fill: int) -> torch.Tensor:
    """The rectangles become `fill`; an empty one changes nothing."""
    h, w = values.shape[2:]
    y = torch.arange(h, device=values.device).view(1, 1, h, 1)
    x = torch.arange(w, device=values.device).view(1, 1, 1, w)
    top, left, bottom, right = (rectangles[:, i].view(-1, 1, 1, 1) for i in range(4))
    inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
    return torch.where(inside, fill, values)
