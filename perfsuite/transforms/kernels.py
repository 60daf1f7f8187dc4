"""Triton kernels: bytes are read once and floats written once, with crop, mirroring and gathering on the way.

A kernel takes what differs between pictures (row in the set, offset, mirroring) as tensors on the device: no
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

from perfsuite.transforms.normalise_torch import constants
from perfsuite.transforms.statistics import Statistics

BLOCK = 4096
# Triton's interpreter cuts bfloat16 off where GPUs round half to even: there the kernel rounds by itself.
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@triton.jit
def _rounded(y, out, INTERPRETED: tl.constexpr):
    """A float32 as the output's type, rounded once."""
    if INTERPRETED and out.dtype.element_ty == tl.bfloat16:
        bits = y.to(tl.uint32, bitcast=True)
        y = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).to(tl.float32, bitcast=True)
    return y.to(out.dtype.element_ty)


@triton.jit
def _planes(
    images, out, scale, bias, size, blocks, C: tl.constexpr, BLOCK: tl.constexpr, INTERPRETED: tl.constexpr
):
    """Dense NCHW: a program stays within one channel of one picture."""
    program = tl.program_id(0)
    plane = program // blocks
    i = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    start = plane.to(tl.int64) * size
    x = tl.load(images + start + i, mask=i < size, other=0).to(tl.float32)
    y = tl.fma(x, tl.load(scale + plane % C), tl.load(bias + plane % C))
    tl.store(out + start + i, _rounded(y, out, INTERPRETED), mask=i < size)


@triton.jit
def _interleaved(
    images, out, scale, bias, total, C: tl.constexpr, BLOCK: tl.constexpr, INTERPRETED: tl.constexpr
):
    """Dense NHWC: the channel is the remainder of the position."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(images + i, mask=i < total, other=0).to(tl.float32)
    y = tl.fma(x, tl.load(scale + i % C), tl.load(bias + i % C))
    tl.store(out + i, _rounded(y, out, INTERPRETED), mask=i < total)


@triton.jit
def _picked(
    images, out, scale, bias, rows, tops, lefts, mirrors,
    in_h, in_w, in_n_stride, in_c_stride, in_h_stride, in_w_stride,
    h, w, out_n_stride, out_c_stride, out_h_stride, out_w_stride, fill, blocks,
    C: tl.constexpr, CHANNELS_LAST: tl.constexpr, BLOCK: tl.constexpr, INTERPRETED: tl.constexpr,
):  # fmt: skip
    """Any strides: picture `rows[n]`, cut at (tops[n], lefts[n]), mirrored if mirrors[n]; `fill` outside."""
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
    answer = tl.fma(
        value, tl.load(scale + c, mask=written, other=0.0), tl.load(bias + c, mask=written, other=0.0)
    )
    target = n.to(tl.int64) * out_n_stride
    target += c.to(tl.int64) * out_c_stride + y.to(tl.int64) * out_h_stride + x.to(tl.int64) * out_w_stride
    tl.store(out + target, _rounded(answer, out, INTERPRETED), mask=written)


def write(images: torch.Tensor, statistics: Statistics, out: torch.Tensor) -> None:
    """Normalise `images` into `out`, whatever the strides of either."""
    if images.numel() == 0:
        return
    if images.ndim == 3:
        images, out = images[None], out[None]
    n, c, h, w = images.shape
    scale, bias = constants(statistics, images.device, 1)
    if images.is_contiguous() and out.is_contiguous():
        blocks = triton.cdiv(h * w, BLOCK)
        _planes[(n * c * blocks,)](
            images,
            out,
            scale,
            bias,
            h * w,
            blocks,
            C=c,
            BLOCK=BLOCK,
            INTERPRETED=INTERPRETED,
            enable_fp_fusion=False,
        )
    elif _channels_last(images) and _channels_last(out):
        total = images.numel()
        _interleaved[(triton.cdiv(total, BLOCK),)](
            images, out, scale, bias, total, C=c, BLOCK=BLOCK, INTERPRETED=INTERPRETED, enable_fp_fusion=False
        )
    else:
        zeros = torch.zeros(n, dtype=torch.int32, device=images.device)
        rows = torch.arange(n, dtype=torch.int32, device=images.device)
        write_picked(images, statistics, out, rows, zeros, zeros, zeros, fill=0)


def write_picked(
    images: torch.Tensor,
    statistics: Statistics,
    out: torch.Tensor,
    rows: torch.Tensor,
    tops: torch.Tensor,
    lefts: torch.Tensor,
    mirrors: torch.Tensor,
    fill: int,
) -> None:
    """out[n] = normalised cut of images[rows[n]] at (tops[n], lefts[n]), mirrored where mirrors[n]; the four
    are integer tensors on the device."""
    if out.numel() == 0:
        return
    n, c, h, w = out.shape
    scale, bias = constants(statistics, images.device, 1)
    blocks = triton.cdiv(c * h * w, BLOCK)
    _picked[(n * blocks,)](
        images, out, scale, bias, rows, tops, lefts, mirrors,
        images.shape[2], images.shape[3], *images.stride(),
        h, w, *out.stride(), float(fill), blocks,
        C=c, CHANNELS_LAST=_channels_last(out), BLOCK=BLOCK, INTERPRETED=INTERPRETED, enable_fp_fusion=False,
    )  # fmt: skip


def _channels_last(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last)
