"""Libraries that make the transforms faster where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@cache
def is_installed(module: str) -> bool:
    """Whether a top-level module can be imported; it is not imported."""
    return find_spec(module) is not None


def has_triton() -> bool:
    return is_installed("triton")


@cache
def import_opencv() -> Any:
    """OpenCV, or None where it is not installed or does not load; torch then does the same, more slowly."""
    try:
        return import_module("cv2")
    except ImportError:
        return None


def compile_function(function: Callable[..., Any]) -> Any:
    """Compile with Numba at the first call; cache on disk, or only in memory where no folder is writable."""
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
