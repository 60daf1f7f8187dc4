"""Triton kernels: read bytes once and write floats once, with optional crop, mirror and gather.

What differs between images (row in the set, offset, mirror) is in tensors on the device. No value is copied
back to the host, so a CUDA graph can record a kernel, once a first call has compiled it and copied the
statistics to the device. Fused multiply-adds are written as `tl.fma`; the compiler fuses nothing else.
"""

# ruff: noqa: N803 - constants of a kernel are written in capitals.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import os

import torch
import triton
import triton.language as tl

from perfsuite.transforms.normalization.channel_stats import ChannelStatistics
from perfsuite.transforms.normalization.implementations.torch_ import device_constants

BLOCK = 1024  # elements of a program that gathers pixels
WARPS = 8
TILES = tl.constexpr(4)
# Channels of a dense batch: pixel by pixel, in planes at least as long as a program, or in shorter planes.
BY_PIXEL, LONG_PLANES, SHORT_PLANES = (tl.constexpr(kind) for kind in range(3))
# Triton's interpreter truncates bfloat16 where GPUs round half to even: there the kernel rounds itself.
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@triton.jit
def _round_to_output(y, out, INTERPRETED: tl.constexpr):
    """Round a float32 once, to the output's type."""
    if INTERPRETED and out.dtype.element_ty == tl.bfloat16:
        bits = y.to(tl.uint32, bitcast=True)
        y = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).to(tl.float32, bitcast=True)
    return y.to(out.dtype.element_ty)


@triton.jit
def _channel_value(values, channel, C: tl.constexpr):
    """values[channel]. Up to four are selected in registers: loads for each element would delay others."""
    if C > 4:
        return tl.load(values + channel)
    selected = tl.where(channel == 0, tl.load(values), 0.0)
    for other in tl.static_range(1, C):
        selected = tl.where(channel == other, tl.load(values + other), selected)
    return selected


@triton.jit
def _normalize_tile(x, scale, bias, start, offset, size, C: tl.constexpr, KIND: tl.constexpr):
    """Normalize the bytes at `start + offset` of a dense batch."""
    if KIND == BY_PIXEL:
        channel = ((start % C).to(tl.int32) + offset) % C
        return tl.fma(x.to(tl.float32), _channel_value(scale, channel, C), _channel_value(bias, channel, C))
    plane = start // size
    first = (start - plane * size).to(tl.int32)
    if KIND == SHORT_PLANES:
        channel = ((plane % C).to(tl.int32) + (first + offset) // size) % C
        return tl.fma(x.to(tl.float32), _channel_value(scale, channel, C), _channel_value(bias, channel, C))
    # A program is no longer than a plane, so it spans two at most.
    channel, next_channel = plane % C, (plane + 1) % C
    is_next = offset >= size - first
    s = tl.where(is_next, tl.load(scale + next_channel), tl.load(scale + channel))
    b = tl.where(is_next, tl.load(bias + next_channel), tl.load(bias + channel))
    return tl.fma(x.to(tl.float32), s, b)


# Otherwise a batch of one element would be compiled with a constant, which has no dtype.
@triton.jit(do_not_specialize=["total"])
def _dense_kernel(
    images, out, scale, bias, size, total,
    C: tl.constexpr, KIND: tl.constexpr, TILE: tl.constexpr, INTERPRETED: tl.constexpr,
):  # fmt: skip
    """A range of a dense batch, across the ends of planes, so that each access is aligned. Four tiles are all
    loaded before the first is stored. `total` is an int64 where the batch needs 64-bit offsets."""
    start = tl.program_id(0).to(total.dtype) * (TILES * TILE)
    left = total - start
    offset = tl.arange(0, TILE)
    images, out = images + start, out + start
    if left >= TILES * TILE:
        x0 = tl.load(images + offset)
        x1 = tl.load(images + TILE + offset)
        x2 = tl.load(images + 2 * TILE + offset)
        x3 = tl.load(images + 3 * TILE + offset)
        y0 = _normalize_tile(x0, scale, bias, start, offset, size, C, KIND)
        y1 = _normalize_tile(x1, scale, bias, start, offset + TILE, size, C, KIND)
        y2 = _normalize_tile(x2, scale, bias, start, offset + 2 * TILE, size, C, KIND)
        y3 = _normalize_tile(x3, scale, bias, start, offset + 3 * TILE, size, C, KIND)
        tl.store(out + offset, _round_to_output(y0, out, INTERPRETED))
        tl.store(out + TILE + offset, _round_to_output(y1, out, INTERPRETED))
        tl.store(out + 2 * TILE + offset, _round_to_output(y2, out, INTERPRETED))
        tl.store(out + 3 * TILE + offset, _round_to_output(y3, out, INTERPRETED))
    else:
        for tile in tl.static_range(TILES):
            tile_offset = offset + tile * TILE
            x = tl.load(images + tile_offset, mask=tile_offset < left, other=0)
            y = _normalize_tile(x, scale, bias, start, tile_offset, size, C, KIND)
            tl.store(out + tile_offset, _round_to_output(y, out, INTERPRETED), mask=tile_offset < left)


@triton.jit
def _gather_kernel(
    images, out, scale, bias, rows, tops, lefts, mirrors,
    in_h, in_w, in_n_stride, in_c_stride, in_h_stride, in_w_stride,
    h, w, out_n_stride, out_c_stride, out_h_stride, out_w_stride, fill, blocks,
    C: tl.constexpr, CHANNELS_LAST: tl.constexpr, DENSE: tl.constexpr, BLOCK: tl.constexpr,
    INTERPRETED: tl.constexpr,
):  # fmt: skip
    """Any strides: crop image `rows[n]` at (tops[n], lefts[n]), mirror if mirrors[n]; `fill` outside."""
    program = tl.program_id(0)
    n = program // blocks
    i = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    if CHANNELS_LAST:
        c, x, y = i % C, (i // C) % w, i // (C * w)
    else:
        c, x, y = i // (h * w), i % w, (i // w) % h
    written = i < C * h * w
    mirror = tl.load(mirrors + n)
    from_x = tl.where(mirror != 0, w - 1 - x, x) + tl.load(lefts + n)
    from_y = y + tl.load(tops + n)
    inside = written & (from_x >= 0) & (from_x < in_w) & (from_y >= 0) & (from_y < in_h)
    source = tl.load(rows + n).to(tl.int64) * in_n_stride
    source += (
        c.to(tl.int64) * in_c_stride + from_y.to(tl.int64) * in_h_stride + from_x.to(tl.int64) * in_w_stride
    )
    value = tl.where(inside, tl.load(images + source, mask=inside, other=0).to(tl.float32), fill)
    normalized = tl.fma(value, _channel_value(scale, c % C, C), _channel_value(bias, c % C, C))
    target = n.to(tl.int64) * out_n_stride
    if DENSE:
        tl.store(out + target + i, _round_to_output(normalized, out, INTERPRETED), mask=written)
    else:
        target += (
            c.to(tl.int64) * out_c_stride + y.to(tl.int64) * out_h_stride + x.to(tl.int64) * out_w_stride
        )
        tl.store(out + target, _round_to_output(normalized, out, INTERPRETED), mask=written)


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    """Normalize `images` into `out`; either may have any strides."""
    if images.numel() == 0:
        return
    if images.ndim == 3:
        images, out = images[None], out[None]
    n, _, h, w = images.shape
    if images.is_contiguous() and out.is_contiguous():
        is_long = h * w >= TILES.value * tile_elements(out.dtype)
        _write_dense(images, statistics, out, LONG_PLANES if is_long else SHORT_PLANES)
    elif _is_channels_last(images) and _is_channels_last(out):
        _write_dense(images, statistics, out, BY_PIXEL)
    else:
        zeros = torch.zeros(n, dtype=torch.int32, device=images.device)
        rows = torch.arange(n, dtype=torch.int32, device=images.device)
        write_gathered(images, statistics, out, rows, zeros, zeros, zeros, fill=0)


def tile_elements(dtype: torch.dtype) -> int:
    """As many elements as give each thread 16 bytes to store, the most that it can store at once. With more,
    loads would be wider than stores, and the values would pass through shared memory."""
    return WARPS * 32 * 16 // dtype.itemsize


def _write_dense(
    images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor, kind: tl.constexpr
) -> None:
    _, c, h, w = images.shape
    scale, bias = device_constants(statistics, images.device, 1)
    programs = triton.cdiv(images.numel(), TILES.value * tile_elements(out.dtype))
    _dense_kernel[(programs,)](
        images, out, scale, bias, h * w, images.numel(),
        C=c, KIND=kind.value, TILE=tile_elements(out.dtype), INTERPRETED=INTERPRETED,
        num_warps=WARPS, enable_fp_fusion=False,
    )  # fmt: skip


def write_gathered(
    images: torch.Tensor,
    statistics: ChannelStatistics,
    out: torch.Tensor,
    rows: torch.Tensor,
    tops: torch.Tensor,
    lefts: torch.Tensor,
    mirrors: torch.Tensor,
    fill: int,
) -> None:
    """Crop images[rows[n]] at (tops[n], lefts[n]), mirror where mirrors[n], and normalize into out[n].

    The four are integer tensors on the device.
    """
    if out.numel() == 0:
        return
    n, c, h, w = out.shape
    scale, bias = device_constants(statistics, images.device, 1)
    blocks = triton.cdiv(c * h * w, BLOCK)
    # An image that is dense in both formats (one channel, or one pixel) is read in NCHW order.
    channels_last = _is_channels_last(out) and not out.is_contiguous()
    _gather_kernel[(n * blocks,)](
        images, out, scale, bias, rows, tops, lefts, mirrors,
        images.shape[2], images.shape[3], *images.stride(),
        h, w, *out.stride(), float(fill), blocks,
        C=c, CHANNELS_LAST=channels_last, DENSE=out.is_contiguous() or channels_last, BLOCK=BLOCK,
        INTERPRETED=INTERPRETED,
        enable_fp_fusion=False,
    )  # fmt: skip


def _is_channels_last(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last)
