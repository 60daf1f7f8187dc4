"""Numba kernels for the CPU: one pass, with one product and one sum for each element and no copies.

fastmath stays off: the compiler must not contract product and sum, so that the result of an element does not
depend on its position in a vector, a row or a batch.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from numba.extending import overload
from numpy.typing import NDArray

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.normalization.implementations import torch_
from perfsuite.transforms.optional_libraries import compile_function

Array = NDArray[Any]

# Below this, starting a second thread costs more than it saves.
MIN_ELEMENTS_PER_THREAD = 1 << 20


# numba widens sums of 32 bits to 64, which halves the elements of a vector, so each is narrowed at once.
_uint32 = np.uint32


@compile_function
def _to_bfloat16(value):
    """Round half to even, by adding just under half of the bits that are dropped."""
    bits = np.float32(value).view(np.uint32)
    odd = _uint32(_uint32(bits >> _uint32(16)) & _uint32(1))
    return np.uint16(_uint32(_uint32(bits + _uint32(0x7FFF)) + odd) >> _uint32(16))


@compile_function
def _to_float16(value):
    """Round half to even; subnormals by adding 0.5, which has the same unit in the last place."""
    bits = np.float32(value).view(np.uint32)
    sign = _uint32(bits & _uint32(0x80000000))
    size = _uint32(bits ^ sign)
    with_half = np.float32(size.view(np.float32) + np.float32(0.5))
    small = _uint32(with_half.view(np.uint32) - _uint32(0x3F000000))
    odd = _uint32(_uint32(size >> _uint32(13)) & _uint32(1))
    normal = _uint32(_uint32(_uint32(size - _uint32(0x38000000) + _uint32(0xFFF)) + odd) >> _uint32(13))
    half = small if size < _uint32(0x38800000) else normal
    half = half if size < _uint32(0x477FF000) else _uint32(0x7C00)
    return np.int16(_uint32(half | _uint32(sign >> _uint32(16))))


def _store_as(out: Array, value: float) -> Any:
    """A float32 as an element of `out`: itself, or its 16 bits (see `_INTEGER_VIEW_DTYPES`)."""


@overload(_store_as, inline="never")
def _store_as_overload(out, value):
    if out.dtype == numba.float32:
        return lambda out, value: value
    if out.dtype == numba.uint16:
        return lambda out, value: _to_bfloat16(value)
    return lambda out, value: _to_float16(value)


_NCHW_TO_NHWC = (0, 2, 3, 1)  # channels last
# numba has no bfloat16: 16-bit floats are written as integers, unsigned for bfloat16 and signed for float16.
_INTEGER_VIEW_DTYPES = {torch.bfloat16: torch.uint16, torch.float16: torch.int16}


# The loops reshape the dense arrays themselves. In Python that costs a quarter of a batch: its code and data
# are cold, because the pixels of the previous batch have displaced them from the caches.
@compile_function
def _planes(images, scale, bias, out, first, last):
    """Images as (images, channels, rows, columns): the planes from `first` to `last`."""
    n, c, h, w = images.shape
    planes, targets = images.reshape(n * c, h * w)[first:last], out.reshape(n * c, h * w)[first:last]
    for row in range(planes.shape[0]):
        s, b = scale[(first + row) % c], bias[(first + row) % c]
        for i in range(planes.shape[1]):
            targets[row, i] = _store_as(out, np.float32(planes[row, i]) * s + b)


@compile_function
def _interleaved(images, scale, bias, out, first, last):
    """Pixels with adjacent channels, in blocks as long as scale and bias; the last block takes the rest."""
    pixels, targets = images.reshape(-1), out.reshape(-1)
    wide = len(scale)
    rows = pixels[first * wide : last * wide].reshape(last - first, wide)
    target_rows = targets[first * wide : last * wide].reshape(last - first, wide)
    for row in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            target_rows[row, i] = _store_as(out, np.float32(rows[row, i]) * scale[i] + bias[i])
    if last == len(pixels) // wide:
        rest, target = pixels[last * wide :], targets[last * wide :]
        for i in range(len(rest)):
            target[i] = _store_as(out, np.float32(rest[i]) * scale[i] + bias[i])


PIXELS_PER_BLOCK = 256
# 16 pixels of 3 channels are three vectors of 64 bytes; scale and bias stay in the same few cache lines.
ELEMENTS_PER_16_PIXELS = 48


@compile_function
def _interleaved_16_pixels(images, scale, bias, out, first, last):
    """`_interleaved` for blocks of `ELEMENTS_PER_16_PIXELS`, a constant for the compiler."""
    pixels, targets = images.reshape(-1), out.reshape(-1)
    start, stop = first * ELEMENTS_PER_16_PIXELS, last * ELEMENTS_PER_16_PIXELS
    rows = pixels[start:stop].reshape(last - first, ELEMENTS_PER_16_PIXELS)
    target_rows = targets[start:stop].reshape(last - first, ELEMENTS_PER_16_PIXELS)
    for row in range(rows.shape[0]):
        for i in range(ELEMENTS_PER_16_PIXELS):
            target_rows[row, i] = _store_as(out, np.float32(rows[row, i]) * scale[i] + bias[i])
    if last == len(pixels) // ELEMENTS_PER_16_PIXELS:
        rest, target = pixels[stop:], targets[stop:]
        for i in range(len(rest)):
            target[i] = _store_as(out, np.float32(rest[i]) * scale[i] + bias[i])


@compile_function
def _nhwc_to_planes(images, scale, bias, out):
    """From (images, rows, columns, channels) to (images, channels, rows, columns)."""
    for n in range(images.shape[0]):
        for row in range(images.shape[1]):
            for c in range(images.shape[3]):
                s, b = scale[c], bias[c]
                for i in range(images.shape[2]):
                    out[n, c, row, i] = _store_as(out, np.float32(images[n, row, i, c]) * s + b)


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    """Normalize into `out`. Strides without a loop go to torch, which gives the same bits."""
    if images.numel() == 0:
        return
    if images.ndim == 3:
        images, out = images[None], out[None]
    planes = out.is_contiguous()
    if planes and images.is_contiguous():
        n, c, _, _ = images.shape
        scale, bias = _tiled_constants(statistics, 1)
        _run_in_threads(_planes, images.numpy(), scale, bias, _integer_view(out).numpy(), n * c)
    elif not images.is_contiguous(memory_format=torch.channels_last):
        torch_.write(images, statistics, out)
    elif planes:
        _nhwc_to_planes(
            images.numpy().transpose(_NCHW_TO_NHWC),
            *_tiled_constants(statistics, 1),
            _integer_view(out).numpy(),
        )
    elif out.is_contiguous(memory_format=torch.channels_last):
        _write_channels_last(
            images.numpy().transpose(_NCHW_TO_NHWC),
            statistics,
            _integer_view(out).numpy().transpose(_NCHW_TO_NHWC),
        )
    else:
        torch_.write(images, statistics, out)


def _write_channels_last(images: Array, statistics: ChannelStatistics, out: Array) -> None:
    """Pixels with adjacent channels, in blocks of whole pixels."""
    kernel, pixels = _interleaved, PIXELS_PER_BLOCK
    if statistics.channels == 3:
        kernel, pixels = _interleaved_16_pixels, ELEMENTS_PER_16_PIXELS // 3
    scale, bias = _tiled_constants(statistics, pixels)
    _run_in_threads(kernel, images, scale, bias, out, images.size // len(scale))


def _integer_view(out: torch.Tensor) -> torch.Tensor:
    return out if out.dtype == torch.float32 else out.view(_INTEGER_VIEW_DTYPES[out.dtype])


@lru_cache(maxsize=64)
def _tiled_constants(statistics: ChannelStatistics, times: int) -> tuple[Array, ...]:
    """Scale and bias, repeated; torch's memory begins at a cache line, where vectors load faster."""
    return tuple(
        torch.from_numpy(np.tile(values.astype(np.float32), times)).clone().numpy()
        for values in (statistics.scale, statistics.bias)
    )


def _run_in_threads(
    kernel: Callable[..., None], images: Array, scale: Array, bias: Array, out: Array, rows: int
) -> None:
    """Divide the rows among as many threads as torch would use."""
    threads = min(torch.get_num_threads(), images.size // MIN_ELEMENTS_PER_THREAD, rows)
    if threads <= 1:
        kernel(images, scale, bias, out, 0, rows)
        return
    bounds = [rows * t // threads for t in range(threads + 1)]

    def run_part(t: int) -> None:
        kernel(images, scale, bias, out, bounds[t], bounds[t + 1])

    list(_thread_pool(os.getpid(), threads).map(run_part, range(threads)))


@lru_cache(maxsize=1)
def _thread_pool(process: int, threads: int) -> ThreadPoolExecutor:
    """The pool of this process: a forked child inherits the pool object without its threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="normalize")
