"""Normalizing as one operator of torch, for what traces or transforms a function: compile, export and vmap.

Eager calls avoid it: its dispatch costs about as much as normalizing a small image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from perfsuite.transforms.normalization.eager import as_nchw, check_output, empty_output, normalize_eagerly

# An operator's schema has no type for a memory format.
MEMORY_FORMATS = {
    "preserve": torch.preserve_format,
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}
_FORMAT_NAMES = {memory_format: name for name, memory_format in MEMORY_FORMATS.items()}


def normalize_as_operator(
    images: torch.Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
    layout: str,
    memory_format: torch.memory_format,
    out: torch.Tensor | None,
    implementation: str | None,
) -> torch.Tensor:
    """Normalize by `perfsuite::normalize`, with the arguments of `normalize_eagerly`."""
    if out is not None:
        check_output(out, as_nchw(images, layout, len(mean)))
        dtype = out.dtype
    result: torch.Tensor = normalize_operator(
        images, list(mean), list(std), dtype, layout, _FORMAT_NAMES[memory_format], implementation
    )
    return result if out is None else out.copy_(result)


@torch.library.custom_op(
    "perfsuite::normalize",
    mutates_args=(),
    schema="(Tensor images, float[] mean, float[] std, ScalarType dtype, str layout, str memory_format, "
    "str? implementation) -> Tensor",
)
def normalize_operator(
    images: torch.Tensor,
    mean: list[float],
    std: list[float],
    dtype: torch.dtype,
    layout: str,
    memory_format: str,
    implementation: str | None,
) -> torch.Tensor:
    return normalize_eagerly(
        images, mean, std, dtype, layout, MEMORY_FORMATS[memory_format], None, implementation
    )


@normalize_operator.register_fake
def _output_without_values(
    images: torch.Tensor,
    mean: list[float],
    std: list[float],
    dtype: torch.dtype,
    layout: str,
    memory_format: str,
    implementation: str | None,
) -> torch.Tensor:
    return empty_output(as_nchw(images, layout, len(mean)), dtype, MEMORY_FORMATS[memory_format])


def _normalize_batched(
    info: Any, in_dims: tuple[Any, ...], images: torch.Tensor, *arguments: Any
) -> tuple[torch.Tensor, int]:
    """Normalize under vmap: the mapped dimension becomes the first, or a part of the batch."""
    images = images.movedim(in_dims[0], 0)
    if images.ndim < 5:
        return normalize_operator(images, *arguments), 0
    normalized = normalize_operator(images.flatten(0, 1), *arguments)
    return normalized.unflatten(0, images.shape[:2]), 0


normalize_operator.register_vmap(_normalize_batched)
