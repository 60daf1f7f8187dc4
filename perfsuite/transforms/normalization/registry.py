"""Who can normalize, and who is asked: every way in one table, the choice by what was measured.

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
from perfsuite.transforms.normalization.channel_stats import ChannelStatistics

NormalizeFunction = Callable[[torch.Tensor, ChannelStatistics, torch.Tensor], None]


@dataclass(frozen=True, slots=True)
class NormalizeImplementation:
    """A module with `write(images, statistics, out)`, what it needs installed, and where it runs."""

    module: str
    requires: str | None = None
    devices: tuple[str, ...] = ("cpu",)
    function: str = "write"

    @property
    def is_available(self) -> bool:
        return self.requires is None or _is_installed(self.requires)

    def load(self) -> NormalizeFunction:
        found: NormalizeFunction = getattr(
            import_module(f"perfsuite.transforms.normalization.{self.module}"), self.function
        )
        return found


IMPLEMENTATIONS = {
    "numba": NormalizeImplementation("numba_", requires="numba"),
    "triton": NormalizeImplementation("triton_", requires="triton", devices=("cuda",)),
    "torch": NormalizeImplementation("torch_", devices=("cpu", "cuda")),
    "compiled": NormalizeImplementation("torch_compile", devices=("cpu", "cuda")),
    "opencv": NormalizeImplementation("other_libraries", requires="cv2", function="write_opencv"),
    "albumentations": NormalizeImplementation(
        "other_libraries", requires="albumentations", function="write_albumentations"
    ),
    "numpy": NormalizeImplementation("other_libraries", function="write_numpy"),
    "reference": NormalizeImplementation("reference", devices=("cpu", "cuda")),
}


def select_implementation(images: torch.Tensor, implementation: str | None = None) -> NormalizeFunction:
    """The named implementation, or the fastest that can do this here."""
    if implementation is not None:
        return _named_implementation(implementation, images.device.type)
    return _fastest_for_device(images.device.type)


@cache
def _fastest_for_device(device: str) -> NormalizeFunction:
    name = {"cuda": "triton", "cpu": "numba"}.get(device, "torch")
    if not IMPLEMENTATIONS[name].is_available:
        return _load_implementation("torch")
    try:
        return _load_implementation(name)
    except ImportError as error:
        warnings.warn(f"normalize: {name} is installed but broken ({error}); using torch", stacklevel=4)
        return _load_implementation("torch")


def _named_implementation(name: str, device: str) -> NormalizeFunction:
    found = IMPLEMENTATIONS.get(name)
    if found is None:
        raise UsageError(f"normalize: implementation {name!r}, expected one of {', '.join(IMPLEMENTATIONS)}")
    if not found.is_available:
        raise UsageError(
            f"normalize: {found.requires} is not installed, {name} needs it; pip install {found.requires}"
        )
    interpreted = name == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    if device not in found.devices and not interpreted:
        raise UsageError(
            f"normalize: {name} was asked for on {device}, expected one of {', '.join(found.devices)}"
        )
    return _load_implementation(name)


@cache
def _load_implementation(name: str) -> NormalizeFunction:
    return IMPLEMENTATIONS[name].load()


@cache
def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


@cache
def has_triton() -> bool:
    return _is_installed("triton")
