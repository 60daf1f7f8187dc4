"""Normalizing in eager mode: checks, the memory of the output, and the call of an implementation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from perfsuite.transforms.normalization.channel_stats import cached_statistics
from perfsuite.transforms.normalization.registry import select_implementation

Layout = Literal["NCHW", "NHWC"]
# Smaller outputs usually reuse memory that is already mapped.
HUGE_PAGE_MIN_BYTES = 4 << 20
CACHE_LINE_BYTES = 64
OUTPUT_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def normalize_eagerly(
    images: torch.Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype,
    layout: str,
    memory_format: torch.memory_format,
    out: torch.Tensor | None,
    implementation: str | None,
) -> torch.Tensor:
    """Normalize with the chosen implementation, as `perfsuite.transforms.normalize` describes."""
    statistics = cached_statistics(tuple(map(float, mean)), tuple(map(float, std)))
    images = as_nchw(images, layout, statistics.channels)
    if out is None:
        out = new_output(images, dtype, memory_format)
    else:
        check_output(out, images)
    select_implementation(images, implementation)(images, statistics, out)
    return out


def as_nchw(images: torch.Tensor, layout: str, channels: int) -> torch.Tensor:
    """A view of the same memory as (N,) C, H, W. Raises unless it is a batch of bytes with these channels."""
    if not isinstance(images, torch.Tensor):
        raise TypeError(
            f"normalize: {type(images).__name__}, expected a tensor of bytes; torch.from_numpy makes one of"
            " an array, torchvision's pil_to_tensor of a PIL image"
        )
    if images.dtype != torch.uint8:
        raise TypeError(
            f"normalize: {images.dtype} input, expected torch.uint8; "
            "for floats declare their range with ConditionalNormalize"
        )
    if images.ndim not in (3, 4):
        raise ValueError(f"normalize: input of {images.ndim} dimensions, expected 4 (or 3 for one image)")
    if layout not in ("NCHW", "NHWC"):
        raise ValueError(f"normalize: layout {layout!r}, expected 'NCHW' or 'NHWC'")
    if layout == "NHWC":
        images = images.movedim(-1, -3)
    if images.shape[-3] != channels:
        raise ValueError(
            f"normalize: input of shape {tuple(images.shape)} in NCHW order has {images.shape[-3]} channels, "
            f"expected {channels} (one for each mean); give layout='NHWC' if channels come last"
        )
    return images


def empty_output(
    images: torch.Tensor,
    dtype: torch.dtype,
    memory_format: torch.memory_format,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Return uninitialized memory with the shape and strides of the output."""
    if dtype not in OUTPUT_DTYPES:
        raise TypeError(f"normalize: dtype {dtype}, expected one of {', '.join(map(str, OUTPUT_DTYPES))}")
    if images.ndim == 3 and memory_format != torch.preserve_format:
        return empty_output(images[None], dtype, memory_format, device)[0]
    return torch.empty_like(images, dtype=dtype, memory_format=memory_format, device=device)


def new_output(images: torch.Tensor, dtype: torch.dtype, memory_format: torch.memory_format) -> torch.Tensor:
    """Return `empty_output`, in huge pages if it is large."""
    if images.device.type != "cpu" or images.numel() * dtype.itemsize < HUGE_PAGE_MIN_BYTES:
        return empty_output(images, dtype, memory_format)
    strides = empty_output(images, dtype, memory_format, "meta").stride()
    # numpy requests huge pages and torch does not: 5 page faults instead of 2,700 for an image of 11 MB.
    bytes_ = images.numel() * dtype.itemsize
    memory = np.empty(bytes_ + CACHE_LINE_BYTES, dtype=np.uint8)
    # numpy's memory begins 16 bytes into a cache line, where every vector of 64 bytes would span two lines.
    start = -memory.ctypes.data % CACHE_LINE_BYTES
    dense = torch.from_numpy(memory[start : start + bytes_]).view(dtype)
    return dense.as_strided(images.shape, strides)


def check_output(out: torch.Tensor, images: torch.Tensor) -> None:
    if out.shape != images.shape or out.device != images.device or out.dtype not in OUTPUT_DTYPES:
        raise ValueError(
            f"normalize: out is {out.dtype} {tuple(out.shape)} on {out.device}, expected one of "
            f"{', '.join(map(str, OUTPUT_DTYPES))}, {tuple(images.shape)} on {images.device}"
        )
