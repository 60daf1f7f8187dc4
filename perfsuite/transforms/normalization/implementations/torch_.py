"""torch alone: any device, any strides; the fallback of every other implementation.

On the CPU it works strip by strip, so that each pass of torch reads a strip that is still in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import torch

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.normalization.implementations.base import NormalizeImplementation

# A strip of float32 this long stays in a core's second-level cache between the passes.
ELEMENTS_PER_STRIP = 1 << 16


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    """Product and sum are rounded separately, so that no layout or vector tail can contract them."""
    if images.numel() == 0:
        return
    if images.device.type != "cpu":
        scale, bias = device_constants(statistics, images.device, 1)
        scale, bias = scale.view(-1, 1, 1), bias.view(-1, 1, 1)
        out.copy_(images.to(torch.float32).mul_(scale).add_(bias))
        return
    if images.ndim == 3:
        images, out = images[None], out[None]
    if out.is_contiguous(memory_format=torch.channels_last) and not out.is_contiguous():
        _write_channels_last(images, statistics, out)
    else:
        _write_contiguous(images, statistics, out)


def _write_channels_last(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    """Rows of whole pixels, with scale and bias as long as a row."""
    w, c = images.shape[3], images.shape[1]
    scale, bias = (row.view(w, c) for row in device_constants(statistics, images.device, w))
    rows = images.permute(0, 2, 3, 1).flatten(0, 1)
    for strip, target in _split_into_strips(rows, out.permute(0, 2, 3, 1).flatten(0, 1)):
        _write_strip(strip, scale, bias, target)


def _write_contiguous(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    if images[0].numel() <= ELEMENTS_PER_STRIP:
        scale, bias = (row.view(-1, 1, 1) for row in device_constants(statistics, images.device, 1))
        for strip, target in _split_into_strips(images, out):
            _write_strip(strip, scale, bias, target)
        return
    for channel in range(images.shape[1]):
        # A float64 scalar beside a float32 tensor is rounded to float32 first.
        channel_scale, channel_bias = float(statistics.scale[channel]), float(statistics.bias[channel])
        for plane, out_plane in zip(images[:, channel], out[:, channel], strict=True):
            for strip, target in _split_into_strips(plane, out_plane):
                _write_strip(strip, channel_scale, channel_bias, target)


def _split_into_strips(
    images: torch.Tensor, out: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    length = max(1, ELEMENTS_PER_STRIP // images[0].numel())
    return zip(torch.split(images, length), torch.split(out, length), strict=True)


def _write_strip(
    images: torch.Tensor, scale: torch.Tensor | float, bias: torch.Tensor | float, out: torch.Tensor
) -> None:
    if out.dtype == torch.float32:
        out.copy_(images).mul_(scale).add_(bias)
    else:
        out.copy_(images.to(torch.float32).mul_(scale).add_(bias))


@lru_cache(maxsize=64)
def device_constants(
    statistics: ChannelStatistics, device: torch.device, times: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and bias in float32 on the device, repeated; cached, so that no later call waits for a copy."""
    scale = torch.as_tensor(statistics.scale, dtype=torch.float32, device=device)
    bias = torch.as_tensor(statistics.bias, dtype=torch.float32, device=device)
    return scale.repeat(times), bias.repeat(times)


IMPLEMENTATION = NormalizeImplementation(load=lambda: write, devices=("cpu", "cuda"))
