"""Gradient checkpointing: a block's activations are made again in the backward pass instead of kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from perfsuite.errors import UsageError


def residual_blocks(model: nn.Module) -> list[nn.Module]:
    """The modules with children inside an `nn.Sequential`: what ResNets are made of.

    >>> from perfsuite.training.models import make_model
    >>> len(residual_blocks(make_model("resnet18", 10)))
    8
    """
    return [
        block
        for sequence in model.modules()
        if isinstance(sequence, nn.Sequential)
        for block in sequence.children()
        if len(list(block.children())) > 1 and not isinstance(block, nn.Sequential)
    ]


def checkpoint_blocks(model: nn.Module) -> int:
    """Recompute each residual block of `model` in the backward pass; returns how many blocks there are."""
    blocks = residual_blocks(model)
    if not blocks:
        raise UsageError(
            f"checkpointing: {type(model).__name__} has no blocks (modules with children inside "
            "an nn.Sequential); leave checkpointing out"
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
    """BatchNorm would count the same batch twice: once going forward, once when it is made again."""
    norms = [norm for norm in block.modules() if isinstance(norm, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
