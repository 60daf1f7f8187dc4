"""Normalize bytes: (x / 255 - mean) / std, computed in float32 and rounded once.

>>> import torch
>>> images = torch.full((2, 3, 4, 5), 255, dtype=torch.uint8)
>>> normalize(images, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1.0))[0, :, 0, 0]
tensor([2.0000, 1.0000, 0.5000])
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from perfsuite.transforms.normalization.custom_op import normalize_as_operator
from perfsuite.transforms.normalization.eager import Layout, normalize_eagerly


def normalize(
    images: torch.Tensor,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype = torch.float32,
    layout: Layout = "NCHW",
    memory_format: torch.memory_format = torch.preserve_format,
    out: torch.Tensor | None = None,
    implementation: str | None = None,
) -> torch.Tensor:
    """Normalize a batch (or one image) of bytes, of any strides and on any device.

    `layout` is the order of the input's dimensions; the output is always NCHW. The output keeps the input's
    memory format (an NHWC or channels_last batch gives a channels_last batch) unless `memory_format` is
    given. `out` is filled and returned, whatever its strides. `implementation` selects one of
    `IMPLEMENTATIONS` instead of the fastest. Under torch.compile, torch.export and vmap it is one operator,
    `perfsuite::normalize`.
    """
    if torch.compiler.is_compiling():
        return normalize_as_operator(images, mean, std, dtype, layout, memory_format, out, implementation)
    try:
        return normalize_eagerly(images, mean, std, dtype, layout, memory_format, out, implementation)
    except RuntimeError:
        if not torch._C._functorch.is_functorch_wrapped_tensor(images):
            raise
    # Implementations cannot read the memory of a tensor inside vmap. Checked here, it costs eager nothing.
    return normalize_as_operator(images, mean, std, dtype, layout, memory_format, out, implementation)
