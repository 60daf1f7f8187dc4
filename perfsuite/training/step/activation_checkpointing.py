"""Activation checkpointing: the backward pass recomputes a block's activations instead of storing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from perfsuite.errors import UsageError
from perfsuite.training.models import residual_blocks


def checkpoint_blocks(model: nn.Module) -> int:
    """Recompute each residual block of `model` in the backward pass; return the number of blocks."""
    blocks = residual_blocks(model)
    if not blocks:
        raise UsageError(
            f"activation checkpointing: {type(model).__name__} has no blocks, expected modules with children "
            "inside an nn.Sequential; leave activation_checkpointing out"
        )
    for block in blocks:
        block.forward = partial(_checkpointed_forward, block, block.forward)
    return len(blocks)


def _checkpointed_forward(block: nn.Module, forward: Callable[..., Any], *inputs: Any) -> Any:
    if not block.training:
        return forward(*inputs)
    return checkpoint(
        forward, *inputs, use_reentrant=False, context_fn=partial(_forward_and_recompute_contexts, block)
    )


def _forward_and_recompute_contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    return nullcontext(), _frozen_batchnorm_statistics(block)


@contextmanager
def _frozen_batchnorm_statistics(block: nn.Module) -> Iterator[None]:
    """Keep running statistics unchanged: the recomputation would count the same batch a second time."""
    norms = [norm for norm in block.modules() if isinstance(norm, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, num_batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, num_batches
