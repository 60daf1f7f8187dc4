"""Normalising on the CPU as compiled loops: one pass, one product and one sum an element, no copy in between.

Never fastmath: the compiler may not contract product and sum, so an element's answer does not depend on where
in a vector, a row or a batch it stands.
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

from perfsuite.transforms import normalise_torch
from perfsuite.transforms.statistics import Statistics

Array = NDArray[Any]

# Below this the hand-over to a second thread costs more than it saves.
ELEMENTS_WORTH_A_THREAD = 1 << 20


def _loop(function: Callable[..., Any]) -> Any:
    """Compiled at the first call and kept on disk, or only in memory where no folder can be written to."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


@_loop
def _to_bfloat16(value):
    """Round half to even by adding just under half of what is cut off."""
    bits = np.float32(value).view(np.uint32)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@_loop
def _to_float16(value):
    """Round half to even; subnormals by adding 0.5, whose last bit weighs as much as theirs."""
    bits = np.float32(value).view(np.uint32)
    sign = bits & np.uint32(0x80000000)
    size = bits ^ sign
    with_half = np.float32(np.uint32(size).view(np.float32) + np.float32(0.5))
    small = with_half.view(np.uint32) - np.uint32(0x3F000000)
    odd = (size >> np.uint32(13)) & np.uint32(1)
    normal = (size - np.uint32(0x38000000) + np.uint32(0xFFF) + odd) >> np.uint32(13)
    half = small if size < np.uint32(0x38800000) else normal
    half = half if size < np.uint32(0x477FF000) else np.uint32(0x7C00)
    return np.int16(half | (sign >> np.uint32(16)))


def _as(out: Array, value: float) -> Any:
    """A float32 as what `out` holds: itself, or its 16 bits (see `_HELD_AS`)."""


@overload(_as, inline="never")
def _as_typed(out, value):
    if out.dtype == numba.float32:
        return lambda out, value: value
    if out.dtype == numba.uint16:
        return lambda out, value: _to_bfloat16(value)
    return lambda out, value: _to_float16(value)


# numba knows no bfloat16: 16-bit floats are written as integers, and the sign of these tells which they are.
_HELD_AS = {torch.float32: torch.float32, torch.bfloat16: torch.uint16, torch.float16: torch.int16}


@_loop
def _planes(images, scale, bias, out):
    """Rows of one channel each."""
    for row in range(images.shape[0]):
        s, b = scale[row], bias[row]
        for i in range(images.shape[1]):
            out[row, i] = _as(out, np.float32(images[row, i]) * s + b)


@_loop
def _interleaved(images, scale, bias, out):
    """Rows of pixels whose channels lie side by side; scale and bias are as long as a row."""
    for row in range(images.shape[0]):
        for i in range(images.shape[1]):
            out[row, i] = _as(out, np.float32(images[row, i]) * scale[i] + bias[i])


PIXELS_A_ROW = 256
# 16 pixels of 3 channels: three vectors of 64 bytes, whose scale and bias are the same few cache lines.
SIXTEEN_PIXELS = 48


@_loop
def _by_sixteen_pixels(images, scale, bias, out):
    """`_interleaved` for rows of `SIXTEEN_PIXELS`: a width the compiler knows, twice as fast for it."""
    for row in range(images.shape[0]):
        for i in range(SIXTEEN_PIXELS):
            out[row, i] = _as(out, np.float32(images[row, i]) * scale[i] + bias[i])


@_loop
def _split(images, scale, bias, out):
    """From (pictures, rows, columns, channels) to (pictures, channels, rows, columns)."""
    for n in range(images.shape[0]):
        for row in range(images.shape[1]):
            for c in range(images.shape[3]):
                s, b = scale[c], bias[c]
                for i in range(images.shape[2]):
                    out[n, c, row, i] = _as(out, np.float32(images[n, row, i, c]) * s + b)


def _handles(images: torch.Tensor, out: torch.Tensor) -> bool:
    """Dense pictures whose memory stays in its order, or becomes planes."""
    contiguous, channels_last = _order(images)
    out_contiguous, out_channels_last = _order(out)
    return (contiguous and out_contiguous) or (channels_last and (out_channels_last or out_contiguous))


def write(images: torch.Tensor, statistics: Statistics, out: torch.Tensor) -> None:
    """Into `out`; strides that the loops do not know go to plain torch, whose bits are the same."""
    if images.numel() == 0:
        return
    if not _handles(images, out):
        normalise_torch.write(images, statistics, out)
        return
    images, out = (tensor if tensor.ndim == 4 else tensor[None] for tensor in (images, out))
    into = out.view(_HELD_AS[out.dtype]).numpy()
    contiguous, out_contiguous = images.is_contiguous(), out.is_contiguous()
    n, c, h, w = images.shape
    if contiguous and out_contiguous:
        scale, bias = _tiled(statistics, n)
        _in_threads(_planes, images.numpy().reshape(n * c, h * w), scale, bias, into.reshape(n * c, h * w))
        return
    last = images.permute(0, 2, 3, 1).numpy()
    if out_contiguous:
        scale, bias = _tiled(statistics, 1)
        _split(last, scale, bias, into)
        return
    _side_by_side(last.reshape(-1), statistics, c, into.transpose(0, 2, 3, 1).reshape(-1))


def _side_by_side(images: Array, statistics: Statistics, channels: int, out: Array) -> None:
    """Pixels whose channels lie side by side, all in one row: what fills blocks in threads, then the rest."""
    wide = SIXTEEN_PIXELS if channels == 3 else channels * PIXELS_A_ROW
    kernel = _by_sixteen_pixels if channels == 3 else _interleaved
    scale, bias = _tiled(statistics, wide // channels)
    whole = images.size // wide * wide
    _in_threads(
        kernel, images[:whole].reshape(-1, wide), scale, bias, out[:whole].reshape(-1, wide), one_row=True
    )
    if whole < images.size:
        _interleaved(images[None, whole:], scale, bias, out[None, whole:])


def _order(tensor: torch.Tensor) -> tuple[bool, bool]:
    if tensor.ndim == 3:
        tensor = tensor[None]
    return tensor.is_contiguous(), tensor.is_contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=64)
def _tiled(statistics: Statistics, times: int) -> tuple[Array, ...]:
    """Scale and bias, `times` over, in torch's memory: vectors that begin at a cache line load faster."""
    return tuple(
        torch.from_numpy(np.tile(values.astype(np.float32), times)).clone().numpy()
        for values in (statistics.scale, statistics.bias)
    )


def _in_threads(
    kernel: Callable[..., None],
    images: Array,
    scale: Array,
    bias: Array,
    out: Array,
    *,
    one_row: bool = False,
) -> None:
    """Rows shared out among as many threads as torch would use."""
    rows = len(images)
    threads = min(torch.get_num_threads(), images.size // ELEMENTS_WORTH_A_THREAD, rows)
    if threads <= 1:
        kernel(images, scale, bias, out)
        return
    bounds = [rows * t // threads for t in range(threads + 1)]

    def part(t: int) -> None:
        some = slice(bounds[t], bounds[t + 1])
        s, b = (scale, bias) if one_row else (scale[some], bias[some])
        kernel(images[some], s, b, out[some])

    list(_pool(os.getpid(), threads).map(part, range(threads)))


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Of this process: a forked child has its parent's pool and none of its threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="normalise")
