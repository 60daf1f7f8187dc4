"""Read batches of any form: tensors, arrays, tuples, lists, dicts, named tuples and dataclasses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perfsuite.errors import UsageError

# Names under which data sets commonly hand out images and labels.
IMAGE_NAMES = ("image", "images", "img", "pixel_values", "input", "inputs", "x", "data")
LABEL_NAMES = ("label", "labels", "target", "targets", "class", "classes", "y")
IMAGE_BATCH_DIMENSIONS = 4


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """All tensors and numeric arrays of a batch, as tensors, in order.

    >>> [tuple(tensor.shape) for tensor in tensors_of({"image": torch.zeros(2, 3), "label": [torch.ones(2)]})]
    [(2, 3), (2,)]
    """
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, np.ndarray):
        if batch.dtype.kind in "biuf":
            yield torch.from_numpy(batch)
    else:
        for part in _parts(batch):
            yield from tensors_of(part)


def batch_bytes(batch: Any) -> int:
    """Bytes of all tensors and arrays of a batch.

    >>> batch_bytes((torch.zeros(2, 3), {"label": np.zeros(2)}))
    40
    """
    return sum(tensor.nbytes for tensor in tensors_of(batch))


def first_images(batch: Any) -> Tensor | None:
    """The first tensor with four dimensions; None where there is none."""
    return next((tensor for tensor in tensors_of(batch) if tensor.ndim == IMAGE_BATCH_DIMENSIONS), None)


def update_checksum(checksum: hashlib._Hash, batch: Any) -> None:
    """Add every byte of a batch to a checksum; images in channels_last memory are not copied."""
    for tensor in tensors_of(batch):
        is_channels_last = tensor.ndim == IMAGE_BATCH_DIMENSIONS and tensor.is_contiguous(
            memory_format=torch.channels_last
        )
        rows = tensor.permute(0, 2, 3, 1) if is_channels_last else tensor
        checksum.update(rows.contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data)


def images_and_labels(batch: Any, who: str) -> tuple[Tensor, Tensor]:
    """The images (batch x channels x height x width) and class indices of a batch, for a training step."""
    images, labels = _named_parts(batch, who)
    if not isinstance(images, Tensor) or images.ndim != IMAGE_BATCH_DIMENSIONS:
        raise UsageError(
            f"{who}: images are {_describe(images)}, expected a tensor of batch x channels x height x width"
        )
    if not isinstance(labels, Tensor) or labels.ndim != 1 or labels.is_floating_point():
        raise UsageError(
            f"{who}: labels are {_describe(labels)}, expected a tensor of one class index an image"
        )
    return images, labels


def _named_parts(batch: Any, who: str) -> tuple[Any, Any]:
    if isinstance(batch, list | tuple) and not hasattr(batch, "_fields"):
        if len(batch) < 2:
            raise UsageError(f"{who}: a batch of {len(batch)} parts, expected images and labels")
        return batch[0], batch[1]
    parts = _by_name(batch)
    image = next((name for name in IMAGE_NAMES if name in parts), None)
    label = next((name for name in LABEL_NAMES if name in parts), None)
    if image is None or label is None:
        found = f"{type(batch).__name__} with {', '.join(map(str, parts)) or 'no names'}"
        raise UsageError(
            f"{who}: a batch is {found}, expected images and labels: a pair, or the names "
            f"{'/'.join(IMAGE_NAMES)} and {'/'.join(LABEL_NAMES)}"
        )
    return parts[image], parts[label]


def _by_name(batch: Any) -> Mapping[str, Any]:
    if isinstance(batch, Mapping):
        return batch
    if is_dataclass(batch) and not isinstance(batch, type):
        return {field.name: getattr(batch, field.name) for field in fields(batch)}
    return batch._asdict() if hasattr(batch, "_asdict") else {}


def _parts(batch: Any) -> Iterator[Any]:
    if isinstance(batch, list | tuple):
        yield from batch
    else:
        yield from _by_name(batch).values()


def _describe(value: Any) -> str:
    return (
        f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    )
