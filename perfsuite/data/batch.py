"""Memory for one batch: filled by workers through numpy, handed to the caller as tensors."""

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
from perfsuite.errors import DataError

SKIPPED_ROW = -1  # the row of a place whose image was left out
TensorFactory = Callable[..., torch.Tensor]


@dataclass(frozen=True, slots=True)
class BatchTask:
    """One batch to fill. The epoch travels with it, so that workers that live on always know it.

    So does the caller's pixel limit: a spawned process has Pillow's default.
    """

    epoch: int
    rows: NDArray[np.int64]
    max_image_pixels: int | None = field(default_factory=lambda: Image.MAX_IMAGE_PIXELS)


@dataclass(frozen=True, slots=True)
class BatchLayout:
    """What a batch holds of each image: its pixels at `size`, and what labels need to follow it."""

    size: int
    with_geometry: bool = False
    maps: bool = False


@dataclass(frozen=True, slots=True)
class BatchView:
    """Places of a batch for one worker to fill."""

    images: NDArray[np.uint8]  # places x size x size x 3
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]  # which row each place shows, or NOTHING
    affines: NDArray[np.float64] | None  # places x 2 x (2 x 3): from the image to its crop, and as drawn
    original_sizes: NDArray[np.int64] | None  # places x 2: the image's width and height
    maps: NDArray[np.uint8] | None  # places x size x size

    def __getitem__(self, part: slice) -> BatchView:
        return BatchView(**_map_fields(self, lambda held: held[part]))


def _map_fields(of: BatchView | BatchBuffer, change: Callable[[Any], Any]) -> dict[str, Any]:
    held = {each.name: getattr(of, each.name) for each in fields(BatchBuffer)}
    return {name: None if one is None else change(one) for name, one in held.items()}


@dataclass(frozen=True, slots=True)
class BatchBuffer:
    """Memory for one batch, seen by torch and by numpy."""

    images: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor
    affines: torch.Tensor | None = None
    original_sizes: torch.Tensor | None = None
    maps: torch.Tensor | None = None

    @classmethod
    def new(cls, places: int, wanted: BatchLayout, empty: TensorFactory = torch.empty) -> BatchBuffer:
        """`empty` makes its tensors: pinned, shared or on a device, where that is wanted."""
        size = wanted.size
        try:
            return cls(
                empty((places, size, size, 3), dtype=torch.uint8),
                empty((places,), dtype=torch.int64),
                empty((places,), dtype=torch.int64),
                empty((places, 2, 2, 3), dtype=torch.float64) if wanted.with_geometry else None,
                empty((places, 2), dtype=torch.int64) if wanted.with_geometry else None,
                empty((places, size, size), dtype=torch.uint8) if wanted.maps else None,
            )
        except RuntimeError as error:
            if "memory" not in str(error):
                raise
            raise DataError(
                f"loader: {places} images of {size} x {size} do not fit into memory "
                f"({str(error).splitlines()[0]}); lower batch_size, prefetch_factor or image_size"
            ) from error

    def shared(self) -> Self:
        """The same in memory that other processes can see, copied where it is not there yet."""
        return replace(self, **_map_fields(self, _to_shared_memory))

    def pin_memory(self) -> Self:
        """The same in memory that a GPU copies from by itself; what torch's DataLoader asks for."""
        return replace(self, **_map_fields(self, torch.Tensor.pin_memory))

    def view(self, places: int) -> BatchView:
        """The first places, as a worker fills them."""
        return BatchView(**_map_fields(self, lambda held: held[:places].numpy()))

    def to_batch(self, places: int, faults: tuple[Fault, ...]) -> Batch:
        """What the first places show, closed up where something was left out."""
        shown = self.rows[:places] != SKIPPED_ROW
        part = slice(places) if bool(shown.all()) else shown.nonzero()[:, 0]
        return Batch(**_map_fields(self, lambda held: held[part]), faults=faults)


def _to_shared_memory(tensor: torch.Tensor) -> torch.Tensor:
    is_shared = tensor.is_shared()  # type: ignore[no-untyped-call]
    return tensor if is_shared else shared_empty(tuple(tensor.shape), tensor.dtype).copy_(tensor)


def shared_empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Memory that other processes can see; an error where /dev/shm has no room for it."""
    nbytes = math.prod(shape) * dtype.itemsize
    try:
        storage = torch.UntypedStorage._new_shared(max(nbytes, 1))  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise DataError(
            f"loader: {nbytes:,} bytes of a batch, and no room for them in shared memory ({error}); "
            "make /dev/shm larger (docker: --shm-size), lower batch_size, or set engine='threads'"
        ) from error
    return torch.empty(0, dtype=dtype).set_(storage, 0, shape)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True, slots=True)
class Batch(BatchBuffer):
    """A filled batch, and what could not be read of it."""

    faults: tuple[Fault, ...] = ()
