"""Measure first calls with an empty compile cache, so that everything is compiled."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from time import perf_counter

CACHE_DIR_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def empty_compile_cache() -> Iterator[None]:
    """Use an empty folder as the compile cache in the block, and remove it afterward."""
    before = os.environ.get(CACHE_DIR_VARIABLE)
    with TemporaryDirectory(prefix="perfsuite-claims-", ignore_cleanup_errors=True) as folder:
        os.environ[CACHE_DIR_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[CACHE_DIR_VARIABLE]
            if before is not None:
                os.environ[CACHE_DIR_VARIABLE] = before


def time_first_call(make: Callable[[], Callable[[], object]]) -> float:
    """Seconds to make a call and call it once, compilation included."""
    reset_compiler()
    begin = perf_counter()
    with warnings.catch_warnings():
        # What cannot be compiled is rejected later, when its results are compared.
        warnings.simplefilter("ignore")
        make()()
    return perf_counter() - begin


def reset_compiler() -> None:
    """Forget everything that this process has compiled."""
    import torch

    torch.compiler.reset()
