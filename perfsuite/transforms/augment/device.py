"""Augment a batch on its own device: uint8 NCHW in and out, parameters for each image.

One kernel warps and one changes colors, where Triton is installed. Nothing
is copied back to the host. `upload_parameters` copies the parameters to the device; a CUDA graph can record
`augment_prepared` and replay it with other parameters.

>>> from perfsuite.transforms.augment.parameters import draw_batch_parameters
>>> batch = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
>>> augment_batch(draw_batch_parameters("moderate", seed=42, epoch=0, indices=[0, 1]), batch).shape
torch.Size([2, 3, 8, 8])
"""

from __future__ import annotations

import torch

from perfsuite.transforms.arrays import GRAY_FILL
from perfsuite.transforms.augment.device_parameters import DeviceParameters, upload_parameters
from perfsuite.transforms.augment.parameters import BatchParameters
from perfsuite.transforms.optional_libraries import has_triton


def augment_batch(parameters: BatchParameters, batch: torch.Tensor, fill: int = GRAY_FILL) -> torch.Tensor:
    """The augmented batch, in new memory. `fill` is in pixel units."""
    check_batch(batch, len(parameters))
    return augment_prepared(
        batch, upload_parameters(parameters, batch.shape[2], batch.shape[3], batch.device), fill
    )


def check_batch(batch: torch.Tensor, rows: int) -> None:
    if batch.dtype != torch.uint8 or batch.ndim != 4 or batch.shape[1] != 3:
        raise ValueError(
            f"augment: batch is {batch.dtype} {tuple(batch.shape)}, expected torch.uint8 (N, 3, H, W)"
        )
    if len(batch) != rows:
        raise ValueError(f"augment: {rows} rows of parameters for {len(batch)} images, expected as many")


def augment_prepared(batch: torch.Tensor, prepared: DeviceParameters, fill: int = GRAY_FILL) -> torch.Tensor:
    """Apply uploaded parameters: only device work, of fixed shapes."""
    if batch.is_cuda and has_triton():
        from perfsuite.transforms.augment import triton_

        return triton_.augment_prepared_triton(batch, prepared.rows, fill)
    return augment_prepared_torch(batch, prepared, fill)


def augment_prepared_torch(
    batch: torch.Tensor, prepared: DeviceParameters, fill: int = GRAY_FILL
) -> torch.Tensor:
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
