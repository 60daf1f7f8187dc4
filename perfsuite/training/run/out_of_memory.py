"""When a batch does not fit: say which one would have, and never shrink it behind the user's back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from perfsuite.errors import PerfsuiteError


class BatchTooLargeError(PerfsuiteError):
    """The batch does not fit into the device's memory."""


@contextmanager
def suggest_batch_size_on_oom(batch_size: int, try_step: Callable[[int], object] | None) -> Iterator[None]:
    """Where the block runs out of memory, find the largest half of the batch that fits, and name it.

    None stands for a step that cannot be tried alone.

    >>> def try_step(size):
    ...     if size > 8: raise torch.OutOfMemoryError("full")
    >>> with suggest_batch_size_on_oom(32, try_step):
    ...     try_step(32)
    Traceback (most recent call last):
    perfsuite.training.run.out_of_memory.BatchTooLargeError: train: out of memory at a batch of 32; \
a step with 8 fitted; use --batch-size 8, with --gradient-accumulation-steps 4 for the same optimizer step
    """
    try:
        yield
        return
    except torch.OutOfMemoryError:
        pass  # what failed holds on to its memory until its traceback is gone: try outside the handler
    if try_step is None:
        raise BatchTooLargeError(
            f"train: out of memory at a batch of {batch_size}, expected one that fits; "
            "take a smaller --batch-size"
        )
    fitted = largest_fitting_batch(batch_size // 2, try_step)
    if fitted == 0:
        raise BatchTooLargeError(
            f"train: out of memory at a batch of {batch_size}, and not even one image fitted; "
            "take a smaller model or image size"
        )
    accumulated = -(-batch_size // fitted)
    raise BatchTooLargeError(
        f"train: out of memory at a batch of {batch_size}; a step with {fitted} fitted; "
        f"use --batch-size {fitted}, with --gradient-accumulation-steps {accumulated} for the same "
        "optimizer step"
    )


def largest_fitting_batch(batch_size: int, try_step: Callable[[int], object]) -> int:
    """Halve until a step fits; 0 where none does."""
    while batch_size >= 1:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            try_step(batch_size)
        except torch.OutOfMemoryError:
            batch_size //= 2
        else:
            return batch_size
    return 0
