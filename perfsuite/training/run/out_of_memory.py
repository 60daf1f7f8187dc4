"""Out-of-memory errors that name a batch size that fits; the batch is never reduced silently."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from perfsuite.errors import PerfsuiteError


class BatchTooLargeError(PerfsuiteError):
    """The batch does not fit into the device's memory."""


@contextmanager
def suggest_batch_size_on_oom(batch_size: int, try_step: Callable[[int], object] | None) -> Iterator[None]:
    """If the block runs out of memory, halve the batch until `try_step` fits, and raise with that size.

    Without `try_step` the error names no size.

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
        pass  # the traceback keeps the failed step's tensors alive: try outside this handler
    if try_step is None:
        raise BatchTooLargeError(
            f"train: out of memory at a batch of {batch_size}, expected one that fits; "
            "take a smaller --batch-size"
        )
    fitting = largest_fitting_batch(batch_size // 2, try_step)
    if fitting == 0:
        raise BatchTooLargeError(
            f"train: out of memory at a batch of {batch_size}, and not even one image fitted; "
            "take a smaller model or image size"
        )
    accumulate = -(-batch_size // fitting)
    raise BatchTooLargeError(
        f"train: out of memory at a batch of {batch_size}; a step with {fitting} fitted; "
        f"use --batch-size {fitting}, with --gradient-accumulation-steps {accumulate} for the "
        "same optimizer step"
    )


def try_batch(model: nn.Module, image: Tensor, label: Tensor, size: int) -> None:
    """Run forward and backward on a batch that repeats one image."""
    loss = nn.functional.cross_entropy(model(image.repeat(size, 1, 1, 1)), label.repeat(size))
    loss.backward()  # type: ignore[no-untyped-call]


def largest_fitting_batch(batch_size: int, try_step: Callable[[int], object]) -> int:
    """Halve the batch size until a step fits; 0 if none does."""
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
