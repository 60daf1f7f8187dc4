"""Who can normalise, and who is asked: every way in one table, the choice by what was measured.

docs/results/transforms.md has the figures behind the order; benchmarks/test_normalize.py makes them again.

>>> sorted(IMPLEMENTATIONS)
['albumentations', 'compiled', 'numba', 'numpy', 'opencv', 'reference', 'torch', 'triton']
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import torch

from perfsuite.errors import UsageError
from perfsuite.transforms.statistics import Statistics

Write = Callable[[torch.Tensor, Statistics, torch.Tensor], None]


@dataclass(frozen=True, slots=True)
class Implementation:
    """A module with `write(images, statistics, out)`, what it needs installed, and where it runs."""

    module: str
    needs: str | None = None
    devices: tuple[str, ...] = ("cpu",)
    writes: str = "write"

    @property
    def available(self) -> bool:
        return self.needs is None or _installed(self.needs)

    def write(self) -> Write:
        found: Write = getattr(import_module(f"perfsuite.transforms.{self.module}"), self.writes)
        return found


IMPLEMENTATIONS = {
    "numba": Implementation("normalise_numba", needs="numba"),
    "triton": Implementation("kernels", needs="triton", devices=("cuda",)),
    "torch": Implementation("normalise_torch", devices=("cpu", "cuda")),
    "compiled": Implementation("normalise_compiled", devices=("cpu", "cuda")),
    "opencv": Implementation("normalise_others", needs="cv2", writes="write_opencv"),
    "albumentations": Implementation(
        "normalise_others", needs="albumentations", writes="write_albumentations"
    ),
    "numpy": Implementation("normalise_others", writes="write_numpy"),
    "reference": Implementation("reference", devices=("cpu", "cuda")),
}


def writer(images: torch.Tensor, implementation: str | None = None) -> Write:
    """The named implementation, or the fastest that can do this here."""
    if implementation is not None:
        return _named(implementation, images.device.type)
    return _fastest(images.device.type)


@cache
def _fastest(device: str) -> Write:
    name = {"cuda": "triton", "cpu": "numba"}.get(device, "torch")
    if not IMPLEMENTATIONS[name].available:
        return _write_of("torch")
    try:
        return _write_of(name)
    except ImportError as error:
        warnings.warn(f"normalise: {name} is installed but broken ({error}); using torch", stacklevel=4)
        return _write_of("torch")


def _named(name: str, device: str) -> Write:
    found = IMPLEMENTATIONS.get(name)
    if found is None:
        raise UsageError(f"normalise: implementation {name!r}, expected one of {', '.join(IMPLEMENTATIONS)}")
    if not found.available:
        raise UsageError(
            f"normalise: {found.needs} is not installed, {name} needs it; pip install {found.needs}"
        )
    interpreted = name == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    if device not in found.devices and not interpreted:
        raise UsageError(
            f"normalise: {name} was asked for on {device}, expected one of {', '.join(found.devices)}"
        )
    return _write_of(name)


@cache
def _write_of(name: str) -> Write:
    return IMPLEMENTATIONS[name].write()


@cache
def _installed(module: str) -> bool:
    return find_spec(module) is not None


@cache
def has_triton() -> bool:
    return _installed("triton")
