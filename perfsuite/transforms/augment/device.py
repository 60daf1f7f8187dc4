"""Apply draws to a batch where it lies: uint8 NCHW in and out, a draw for each image.

All geometry is one sampling and all color is one pass: two Triton kernels where Triton is installed. Nothing
is copied back to the host. `upload_draws` copies the parameters to the device; a CUDA graph can record
`augment_prepared` and replay it with other parameters.

>>> from perfsuite.transforms.augment.draws import draws
>>> batch = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
>>> augment_batch(draws("moderate", seed=42, epoch=0, indices=[0, 1]), batch).shape
torch.Size([2, 3, 8, 8])
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from perfsuite.errors import UsageError
from perfsuite.transforms.arrays import GRAY_FILL, FloatArray
from perfsuite.transforms.augment.draws import Draws
from perfsuite.transforms.augment.operations.base import PixelOperation
from perfsuite.transforms.augment.operations.registry import PIXEL_OPERATIONS
from perfsuite.transforms.optional_libraries import has_triton

AFFINE_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class DeviceDraws:
    """The draws of a batch on its device: one float32 tensor with a row for each image.

    A row holds the inverse affine map (from output pixels to input pixels), then the parameters of each pixel
    operation in order.
    """

    rows: torch.Tensor

    def copy_(self, other: DeviceDraws) -> None:
        """Overwrite the parameters in place, for a recorded CUDA graph to read."""
        self.rows.copy_(other.rows, non_blocking=True)

    @property
    def inverse_affine(self) -> torch.Tensor:
        """The inverse affine maps, (N, 2, 3)."""
        return self.rows[:, :AFFINE_COLUMNS].reshape(-1, 2, 3)

    def pixel_operations(self) -> Iterator[tuple[type[PixelOperation], tuple[torch.Tensor, ...]]]:
        """Each pixel operation in order, with its parameters as columns of shape (N, 1, 1, 1)."""
        for operation, first, count in PIXEL_PARAMETER_COLUMNS:
            columns = self.rows[:, first : first + count]
            yield operation, columns[:, :, None, None, None].unbind(1)


def _pixel_parameter_columns() -> Iterator[tuple[type[PixelOperation], int, int]]:
    first = AFFINE_COLUMNS
    for operation in PIXEL_OPERATIONS:
        nothing = np.empty((0, len(operation.parameters)))
        count = operation.device_parameters(nothing, 1, 1).shape[1]
        yield operation, first, count
        first += count


# Where in a row of `DeviceDraws` the parameters of each pixel operation lie: operation, first column, count.
PIXEL_PARAMETER_COLUMNS = tuple(_pixel_parameter_columns())


def augment_batch(drawn: Draws, batch: torch.Tensor, fill: int = GRAY_FILL) -> torch.Tensor:
    """The augmented batch, in new memory. `fill` is in pixel units."""
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
    """Compute maps and parameters in float64 on the host, then copy them to the device at once."""
    check_batch_can_turn(drawn.column("quarter_turns"), height, width)
    maps = drawn.pose.inverse_coefficients_batch(height, width).reshape(-1, AFFINE_COLUMNS)
    parameters = [
        operation.device_parameters(drawn.values_of(operation), height, width)
        for operation in PIXEL_OPERATIONS
    ]
    return DeviceDraws(_copy_to_device(np.concatenate([maps, *parameters], axis=1), device))


def check_batch_can_turn(quarter_turns: FloatArray, height: int, width: int) -> None:
    """Refuse odd quarter turns of images whose sides differ: the images of a batch share one size."""
    if height != width and (quarter_turns % 2).any():
        raise UsageError(
            f"augment: odd quarter turns in a batch of {height} x {width}, expected square images; "
            "turn them one by one"
        )


def _copy_to_device(values: FloatArray, device: torch.device | str) -> torch.Tensor:
    on_host = torch.from_numpy(values.astype(np.float32))
    if torch.device(device).type == "cuda":
        return on_host.pin_memory().to(device, non_blocking=True)
    return on_host.to(device)


def augment_prepared(batch: torch.Tensor, prepared: DeviceDraws, fill: int = GRAY_FILL) -> torch.Tensor:
    """Apply uploaded draws: only device work, of fixed shapes."""
    if batch.is_cuda and has_triton():
        from perfsuite.transforms.augment import triton_

        return triton_.augment_prepared_triton(batch, prepared.rows, fill)
    return augment_prepared_torch(batch, prepared, fill)


def augment_prepared_torch(batch: torch.Tensor, prepared: DeviceDraws, fill: int = GRAY_FILL) -> torch.Tensor:
    """The same in many small steps, where Triton is not installed."""
    values = warp_batch(batch, prepared.inverse_affine, fill)
    for operation, columns in prepared.pixel_operations():
        values = operation.apply_torch(values, columns, fill)
    return values.to(torch.uint8)


def warp_batch(batch: torch.Tensor, inverse_affine: torch.Tensor, fill: int) -> torch.Tensor:
    """All geometry at once, bilinear; whole numbers in float32. At the edge the image blends into `fill`."""
    n, _, h, w = batch.shape
    x = torch.arange(w, device=batch.device, dtype=torch.float32) + 0.5
    y = torch.arange(h, device=batch.device, dtype=torch.float32) + 0.5
    # grid_sample counts from -1 to 1 across the image.
    maps = inverse_affine.view(n, 2, 3, 1, 1)
    from_x = maps[:, 0, 0] * x + maps[:, 0, 1] * y.view(-1, 1) + maps[:, 0, 2]
    from_y = maps[:, 1, 0] * x + maps[:, 1, 1] * y.view(-1, 1) + maps[:, 1, 2]
    grid = torch.stack((from_x * (2 / w) - 1, from_y * (2 / h) - 1), dim=-1)
    sampled = torch.nn.functional.grid_sample(
        batch.to(torch.float32) - fill, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return (sampled + fill).round_().clamp_(0, 255)
