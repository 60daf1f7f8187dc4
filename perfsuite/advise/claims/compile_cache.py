"""A first call that takes as long as the first ever: nothing that was compiled before is found."""

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
    """What is compiled in the block is kept in an empty folder, which goes with it."""
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
    """What making a call and calling it once takes, compiling included."""
    reset_compiler()
    began = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cannot be compiled is refused where its answers are compared
        make()()
    return perf_counter() - began


def reset_compiler() -> None:
    import torch

    torch.compiler.reset()
