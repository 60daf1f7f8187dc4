"""Triton kernels: bytes are read once and floats written once, with crop, mirroring and gathering on the way.

A kernel takes what differs between images (row in the set, offset, mirroring) as tensors on the device: no
value comes back to the host, so a CUDA graph may record it, once a first call has compiled the kernel and put
the statistics on the device. What is multiplied and added in one is written as such; nothing else is fused.
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

BLOCK = 1024  # elements of a program that moves pixels
WARPS = 8
TILES = tl.constexpr(4)
# How the channels lie in a dense batch: pixel by pixel, in planes no shorter than a program, in shorter ones.
BY_PIXEL, LONG_PLANES, SHORT_PLANES = (tl.constexpr(kind) for kind in range(3))
# Triton's interpreter cuts bfloat16 off where GPUs round half to even: there the kernel rounds by itself.
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@triton.jit
def _round_to_output(y, out, INTERPRETED: tl.constexpr):
    """A float32 as the output's type, rounded once."""
    if INTERPRETED and out.dtype.element_ty == tl.bfloat16:
        bits = y.to(tl.uint32, bitcast=True)
        y = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).to(tl.float32, bitcast=True)
    return y.to(out.dtype.element_ty)


@triton.jit
def _channel_value(values, channel, C: tl.constexpr):
    """values[channel]; of a few, chosen in registers, where loads for each element would hold up others."""
    if C > 4:
        return tl.load(values + channel)
    found = tl.where(channel == 0, tl.load(values), 0.0)
    for other in tl.static_range(1, C):
        found = tl.where(channel == other, tl.load(values + other), found)
    return found


@triton.jit
def _normalize_tile(x, scale, bias, start, place, size, C: tl.constexpr, KIND: tl.constexpr):
    """The answers for bytes that lie `place` beyond `start` in a dense batch."""
    if KIND == BY_PIXEL:
        channel = ((start % C).to(tl.int32) + place) % C
        return tl.fma(x.to(tl.float32), _channel_value(scale, channel, C), _channel_value(bias, channel, C))
    plane = start // size
    first = (start - plane * size).to(tl.int32)
    if KIND == SHORT_PLANES:
        channel = ((plane % C).to(tl.int32) + (first + place) // size) % C
        return tl.fma(x.to(tl.float32), _channel_value(scale, channel, C), _channel_value(bias, channel, C))
    # No longer than a plane, a program meets two at most.
    here, following = plane % C, (plane + 1) % C
    ends = place >= size - first
    s = tl.where(ends, tl.load(scale + following), tl.load(scale + here))
    b = tl.where(ends, tl.load(bias + following), tl.load(bias + here))
    return tl.fma(x.to(tl.float32), s, b)


# A batch of one element would else be compiled with a constant, which has no type to ask for.
@triton.jit(do_not_specialize=["total"])
def _dense_kernel(
    images, out, scale, bias, size, total,
    C: tl.constexpr, KIND: tl.constexpr, TILE: tl.constexpr, INTERPRETED: tl.constexpr,
):  # fmt: skip
    """A stretch of a dense batch, wherever its planes end, so that each access is aligned; in four tiles, all
    loaded before the first is stored. `total` brings 64 bits where the batch needs them."""
    start = tl.program_id(0).to(total.dtype) * (TILES * TILE)
    left = total - start
    place = tl.arange(0, TILE)
    images, out = images + start, out + start
    if left >= TILES * TILE:
        x0 = tl.load(images + place)
        x1 = tl.load(images + TILE + place)
        x2 = tl.load(images + 2 * TILE + place)
        x3 = tl.load(images + 3 * TILE + place)
        y0 = _normalize_tile(x0, scale, bias, start, place, size, C, KIND)
        y1 = _normalize_tile(x1, scale, bias, start, place + TILE, size, C, KIND)
        y2 = _normalize_tile(x2, scale, bias, start, place + 2 * TILE, size, C, KIND)
        y3 = _normalize_tile(x3, scale, bias, start, place + 3 * TILE, size, C, KIND)
        tl.store(out + place, _round_to_output(y0, out, INTERPRETED))
        tl.store(out + TILE + place, _round_to_output(y1, out, INTERPRETED))
        tl.store(out + 2 * TILE + place, _round_to_output(y2, out, INTERPRETED))
        tl.store(out + 3 * TILE + place, _round_to_output(y3, out, INTERPRETED))
    else:
        for tile in tl.static_range(TILES):
            here = place + tile * TILE
            x = tl.load(images + here, mask=here < left, other=0)
            y = _normalize_tile(x, scale, bias, start, here, size, C, KIND)
            tl.store(out + here, _round_to_output(y, out, INTERPRETED), mask=here < left)


@triton.jit
def _gather_kernel(
    images, out, scale, bias, rows, tops, lefts, mirrors,
    in_h, in_w, in_n_stride, in_c_stride, in_h_stride, in_w_stride,
    h, w, out_n_stride, out_c_stride, out_h_stride, out_w_stride, fill, blocks,
    C: tl.constexpr, CHANNELS_LAST: tl.constexpr, DENSE: tl.constexpr, BLOCK: tl.constexpr,
    INTERPRETED: tl.constexpr,
):  # fmt: skip
    """Any strides: image `rows[n]`, cut at (tops[n], lefts[n]), mirrored if mirrors[n]; `fill` outside."""
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
    answer = tl.fma(value, _channel_value(scale, c % C, C), _channel_value(bias, c % C, C))
    target = n.to(tl.int64) * out_n_stride
    if DENSE:
        tl.store(out + target + i, _round_to_output(answer, out, INTERPRETED), mask=written)
    else:
        target += (
            c.to(tl.int64) * out_c_stride + y.to(tl.int64) * out_h_stride + x.to(tl.int64) * out_w_stride
        )
        tl.store(out + target, _round_to_output(answer, out, INTERPRETED), mask=written)


def write(images: torch.Tensor, statistics: ChannelStatistics, out: torch.Tensor) -> None:
    """Normalize `images` into `out`, whatever the strides of either."""
    if images.numel() == 0:
        return
    if images.ndim == 3:
        images, out = images[None], out[None]
    n, _, h, w = images.shape
    if images.is_contiguous() and out.is_contiguous():
        long = h * w >= TILES.value * tile_elements(out.dtype)
        _write_dense(images, statistics, out, LONG_PLANES if long else SHORT_PLANES)
    elif _is_channels_last(images) and _is_channels_last(out):
        _write_dense(images, statistics, out, BY_PIXEL)
    else:
        zeros = torch.zeros(n, dtype=torch.int32, device=images.device)
        rows = torch.arange(n, dtype=torch.int32, device=images.device)
        write_gathered(images, statistics, out, rows, zeros, zeros, zeros, fill=0)


def tile_elements(dtype: torch.dtype) -> int:
    """As many elements as leave each thread 16 bytes to store, the most that it can at once. With more, loads
    would be wider than stores can take over, and all of it would go through shared memory."""
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
    """out[n] = normalized cut of images[rows[n]] at (tops[n], lefts[n]), mirrored where mirrors[n]; the four
    are integer tensors on the device."""
    if out.numel() == 0:
        return
    n, c, h, w = out.shape
    scale, bias = device_constants(statistics, images.device, 1)
    blocks = triton.cdiv(c * h * w, BLOCK)
    # Dense both ways (one channel, or one pixel), an image is walked as it is stored.
    last = _is_channels_last(out) and not out.is_contiguous()
    _gather_kernel[(n * blocks,)](
        images, out, scale, bias, rows, tops, lefts, mirrors,
        images.shape[2], images.shape[3], *images.stride(),
        h, w, *out.stride(), float(fill), blocks,
        C=c, CHANNELS_LAST=last, DENSE=out.is_contiguous() or last, BLOCK=BLOCK, INTERPRETED=INTERPRETED,
        enable_fp_fusion=False,
    )  # fmt: skip


def _is_channels_last(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last)
