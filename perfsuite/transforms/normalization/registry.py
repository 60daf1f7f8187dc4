"""Every implementation of normalizing, and the choice of one. A file in `implementations/` is registered.

docs/results/transforms.md has the figures behind the choice; benchmarks/test_normalize.py repeats them.

>>> {"numba", "torch", "triton"} <= set(IMPLEMENTATIONS)
True
"""

from __future__ import annotations

import os
import warnings
from functools import cache

import torch

from perfsuite.discovery import discover
from perfsuite.errors import UsageError
from perfsuite.transforms.normalization import implementations
from perfsuite.transforms.normalization.implementations.base import NormalizeFunction, NormalizeImplementation

# The fastest for each kind of device that was measured; torch elsewhere, or where a library is missing.
FASTEST = {"cuda": "triton", "cpu": "numba"}
FALLBACK = "torch"


IMPLEMENTATIONS = discover(implementations, "IMPLEMENTATION", NormalizeImplementation)


def select_implementation(images: torch.Tensor, implementation: str | None = None) -> NormalizeFunction:
    """The named implementation, or the fastest that is installed for the images' device."""
    if implementation is not None:
        return _named_implementation(implementation, images.device.type)
    return _fastest_for_device(images.device.type)


@cache
def _fastest_for_device(device: str) -> NormalizeFunction:
    name = FASTEST.get(device, FALLBACK)
    if not IMPLEMENTATIONS[name].is_available:
        return _load_implementation(FALLBACK)
    try:
        return _load_implementation(name)
    except ImportError as error:
        warnings.warn(f"normalize: {name} is installed but broken ({error}); using {FALLBACK}", stacklevel=4)
        return _load_implementation(FALLBACK)


def _named_implementation(name: str, device: str) -> NormalizeFunction:
    implementation = IMPLEMENTATIONS.get(name)
    if implementation is None:
        raise UsageError(f"normalize: implementation {name!r}, expected one of {', '.join(IMPLEMENTATIONS)}")
    if not implementation.is_available:
        library = implementation.requires
        raise UsageError(
            f"normalize: {library} is not installed, expected it for {name}; pip install {library}"
        )
    interpreted = name == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    if device not in implementation.devices and not interpreted:
        raise UsageError(
            f"normalize: {name} on {device}, expected one of {', '.join(implementation.devices)}; "
            "move the images or choose another implementation"
        )
    return _load_implementation(name)


@cache
def _load_implementation(name: str) -> NormalizeFunction:
    return IMPLEMENTATIONS[name].load()
