"""Numba; the kernels live in `numba_kernels`, so that Numba is imported only where it is used."""

from __future__ import annotations

from perfsuite.transforms.normalization.implementations.base import NormalizeFunction, NormalizeImplementation


def _load() -> NormalizeFunction:
    from perfsuite.transforms.normalization.numba_kernels import write

    return write


IMPLEMENTATION = NormalizeImplementation(load=_load, requires="numba", devices=("cpu",))
