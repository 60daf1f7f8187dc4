"""Triton; the kernels live in `triton_kernels`, so that Triton is imported only where it is used."""

from __future__ import annotations

from perfsuite.transforms.normalization.implementations.base import NormalizeFunction, NormalizeImplementation


def _load() -> NormalizeFunction:
    from perfsuite.transforms.normalization.triton_kernels import write

    return write


IMPLEMENTATION = NormalizeImplementation(load=_load, requires="triton", devices=("cuda",))
