"""torch.compile: the same arithmetic as `torch_`, as one generated loop."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.normalization.implementations.base import NormalizeImplementation
from perfsuite.transforms.normalization.implementations.torch_ import device_constants


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    if images.numel() == 0:
        return
    scale, bias = device_constants(statistics, images.device, 1)
    out.copy_(_compiled_scale_and_shift()(images, scale.view(-1, 1, 1), bias.view(-1, 1, 1), out.dtype))


def _scale_and_shift(
    images: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    return (images.to(torch.float32) * scale + bias).to(dtype)


@cache
def _compiled_scale_and_shift() -> Any:
    return torch.compile(_scale_and_shift, dynamic=True)


IMPLEMENTATION = NormalizeImplementation(load=lambda: write, devices=("cpu", "cuda"))
