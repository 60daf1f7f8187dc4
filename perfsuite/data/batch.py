"""Memory for one batch, which workers write through numpy and the caller reads through torch.

A batch is valid until the caller requests the next one: then its memory is written again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from perfsuite.data.faults import Fault
from perfsuite.data.sources.maps import MapOrigin
from perfsuite.errors import DataError

SKIPPED_ROW = -1  # the row of a position without an image
UNKNOWN_SIZE = (0, 0)  # the original size of an image that was substituted
TensorFactory = Callable[..., torch.Tensor]


@dataclass(frozen=True, slots=True)
class BatchTask:
    """One batch to fill.

    It carries the epoch for workers that outlive an epoch, and the caller's pixel limit because a spawned
    process has Pillow's default.
    """

    epoch: int
    rows: NDArray[np.int64]
    max_image_pixels: int | None = field(default_factory=lambda: Image.MAX_IMAGE_PIXELS)


@dataclass(frozen=True, slots=True)
class BatchLayout:
    """What a batch stores per image: pixels at `size`, and geometry and maps for labels that follow it."""

    size: int
    with_geometry: bool = False
    map_dtype: torch.dtype | None = None  # None without maps


@dataclass(frozen=True, slots=True)
class BatchView:
    """Positions of a batch for one worker to fill. The fields are those of `BatchBuffer`."""

    images: NDArray[np.uint8]  # positions x size x size x 3
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]  # the source's row at each position, or SKIPPED_ROW
    affines: NDArray[np.float64] | None  # positions x 2 x (2 x 3): from the image to its crop, then augmented
    original_sizes: NDArray[np.int64] | None  # positions x (width, height) of the image
    maps: NDArray[Any] | None  # positions x size x size
    map_origins: NDArray[np.uint8] | None  # the MapOrigin of each image

    def __getitem__(self, part: slice) -> BatchView:
        return BatchView(**_map_fields(self, lambda array: array[part]))

    def skip(self, position: int) -> None:
        """Leave this position out of the batch."""
        self.rows[position] = SKIPPED_ROW

    def substitute(self, position: int, fill: int) -> None:
        """Fill the image with one value, and map every object to one point so that none remains."""
        self.images[position] = fill
        if self.affines is not None and self.original_sizes is not None:
            self.affines[position], self.original_sizes[position] = 0, UNKNOWN_SIZE
        if self.maps is not None and self.map_origins is not None:
            self.maps[position], self.map_origins[position] = 0, MapOrigin.NONE


@dataclass(frozen=True, slots=True)
class BatchBuffer:
    """Memory for one batch, as tensors. `BatchView` describes the fields."""

    images: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor
    affines: torch.Tensor | None = None
    original_sizes: torch.Tensor | None = None
    maps: torch.Tensor | None = None
    map_origins: torch.Tensor | None = None

    @classmethod
    def new(cls, count: int, layout: BatchLayout, empty: TensorFactory = torch.empty) -> BatchBuffer:
        """Allocate `count` positions; `empty` allocates each tensor, in pinned, shared or device memory."""
        size = layout.size
        geometry, has_maps = layout.with_geometry, layout.map_dtype is not None
        try:
            return cls(
                images=empty((count, size, size, 3), dtype=torch.uint8),
                labels=empty((count,), dtype=torch.int64),
                rows=empty((count,), dtype=torch.int64),
                affines=empty((count, 2, 2, 3), dtype=torch.float64) if geometry else None,
                original_sizes=empty((count, 2), dtype=torch.int64) if geometry else None,
                maps=empty((count, size, size), dtype=layout.map_dtype) if has_maps else None,
                map_origins=empty((count,), dtype=torch.uint8) if has_maps else None,
            )
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            raise DataError(
                f"loader: {count} images of {size} x {size} do not fit into memory "
                f"({str(error).splitlines()[0]}); lower batch_size, prefetch_factor or image_size"
            ) from error

    def shared(self) -> Self:
        """Move to memory that other processes can map; tensors that are shared already are not copied."""
        return replace(self, **_map_fields(self, _to_shared_memory))

    def pin_memory(self) -> Self:
        """Copy to page-locked memory. torch's DataLoader calls this method by its name."""
        return replace(self, **_map_fields(self, torch.Tensor.pin_memory))

    def view(self, count: int) -> BatchView:
        """The first `count` positions, for a worker to fill."""
        return BatchView(**_map_fields(self, lambda tensor: tensor[:count].numpy()))

    def to_batch(self, count: int, faults: tuple[Fault, ...]) -> Batch:
        """The first `count` positions without the skipped ones."""
        used = self.rows[:count] != SKIPPED_ROW
        part = slice(count) if bool(used.all()) else used.nonzero()[:, 0]
        return Batch(**_map_fields(self, lambda tensor: tensor[part]), faults=faults)


@dataclass(frozen=True, slots=True)
class Batch(BatchBuffer):
    """A filled batch, and the images that could not be read."""

    faults: tuple[Fault, ...] = ()


def _map_fields(arrays: BatchView | BatchBuffer, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Apply `change` to every array that is present."""
    values = {field.name: getattr(arrays, field.name) for field in fields(BatchBuffer)}
    return {name: None if value is None else change(value) for name, value in values.items()}


def _to_shared_memory(tensor: torch.Tensor) -> torch.Tensor:
    is_shared = tensor.is_shared()  # type: ignore[no-untyped-call]
    return tensor if is_shared else shared_empty(tuple(tensor.shape), tensor.dtype).copy_(tensor)


def shared_empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Allocate a tensor in shared memory; a DataError if /dev/shm is too small."""
    nbytes = math.prod(shape) * dtype.itemsize
    try:
        storage = torch.UntypedStorage._new_shared(max(nbytes, 1))  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise DataError(
            f"loader: no shared memory for {nbytes:,} bytes of a batch ({error}); "
            "make /dev/shm larger (docker: --shm-size), lower batch_size, or set engine='threads'"
        ) from error
    return torch.empty(0, dtype=dtype).set_(storage, 0, shape)  # type: ignore[call-overload, no-any-return]
