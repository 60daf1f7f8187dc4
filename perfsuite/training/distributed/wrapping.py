"""How a model is spread over ranks, and what differs between the ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch.distributed as dist
from torch import nn

Wrapping = Literal["none", "ddp", "fsdp"]


def is_distributed() -> bool:
    """Whether this process has joined a process group."""
    return dist.is_available() and dist.is_initialized()


def wrapping_of(model: nn.Module) -> Wrapping:
    """Return how `model` is spread over ranks, by the method that each wrapping adds.

    Checking the classes instead would import torch's sharding, which takes a while.

    >>> wrapping_of(nn.Linear(2, 2))
    'none'
    """
    if hasattr(model, "set_requires_gradient_sync"):
        return "fsdp"
    return "ddp" if hasattr(model, "no_sync") else "none"


def no_gradient_sync(model: nn.Module) -> AbstractContextManager[Any]:
    """Let backward passes in the block accumulate gradients on this rank, without exchanging them."""
    wrapped: Any = model
    wrapping = wrapping_of(model)
    if wrapping == "fsdp":
        return _no_gradient_sync_fsdp(wrapped)
    if wrapping == "ddp":
        no_sync: AbstractContextManager[Any] = wrapped.no_sync()
        return no_sync
    return nullcontext()


@contextmanager
def _no_gradient_sync_fsdp(model: Any) -> Iterator[None]:
    model.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        model.set_requires_gradient_sync(True)
