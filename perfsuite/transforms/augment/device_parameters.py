"""The parameters of a batch on its device, in the layout that the torch and Triton implementations read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from perfsuite.errors import UsageError
from perfsuite.transforms.arrays import FloatArray
from perfsuite.transforms.augment.operations.base import PixelOperation
from perfsuite.transforms.augment.operations.registry import PIXEL_OPERATIONS
from perfsuite.transforms.augment.parameters import BatchParameters

AFFINE_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class DeviceParameters:
    """The parameters of a batch on its device: one float32 tensor with a row for each image.

    A row holds the inverse affine map (from output pixels to input pixels), then the parameters of each pixel
    operation in order.
    """

    rows: torch.Tensor

    def copy_(self, other: DeviceParameters) -> None:
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


# Where in a row of `DeviceParameters` each pixel operation's parameters lie: operation, first column, count.
PIXEL_PARAMETER_COLUMNS = tuple(_pixel_parameter_columns())


def upload_parameters(
    parameters: BatchParameters, height: int, width: int, device: torch.device | str = "cpu"
) -> DeviceParameters:
    """Compute maps and parameters in float64 on the host, then copy them to the device at once."""
    check_batch_can_turn(parameters.column("quarter_turns"), height, width)
    maps = parameters.affine.inverse_coefficients_batch(height, width).reshape(-1, AFFINE_COLUMNS)
    columns = [
        operation.device_parameters(parameters.values_of(operation), height, width)
        for operation in PIXEL_OPERATIONS
    ]
    return DeviceParameters(_copy_to_device(np.concatenate([maps, *columns], axis=1), device))


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
