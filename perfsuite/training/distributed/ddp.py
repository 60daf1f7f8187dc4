"""DistributedDataParallel: wrapping a model, and counting the all-reduces of its gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from perfsuite.errors import UsageError


def apply_ddp(model: nn.Module, device: torch.device) -> nn.Module:
    """Wrap `model`, so that every rank holds all parameters and the ranks average their gradients."""
    devices = [device.index or 0] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=devices)


def check_layout_before_ddp(model: nn.Module) -> None:
    """Refuse a DistributedDataParallel model whose weights are not channels_last yet.

    DistributedDataParallel records the memory layout of the weights; a later change mixes up gradients.
    """
    if not isinstance(model, nn.parallel.DistributedDataParallel):
        return
    filters = [parameter for parameter in model.parameters() if parameter.ndim == 4]
    if not all(weight.is_contiguous(memory_format=torch.channels_last) for weight in filters):
        raise UsageError(
            "step: channels_last for a model that is already in DistributedDataParallel, expected the layout "
            "before the wrapping; call model.to(memory_format=torch.channels_last), then wrap"
        )


@dataclass
class AllReduceCounter:
    """Counts the all-reduces of a DistributedDataParallel model, and their bytes, from `attach` on."""

    all_reduces: int = 0
    all_reduced_bytes: int = 0

    @staticmethod
    def attach(model: nn.parallel.DistributedDataParallel) -> AllReduceCounter:
        counter = AllReduceCounter()
        # A lambda has no annotations: DDP requires them to be classes, and in this file they are strings.
        model.register_comm_hook(counter, lambda counter, bucket: _counting_allreduce_hook(counter, bucket))
        return counter


def _counting_allreduce_hook(counter: AllReduceCounter, bucket: Any) -> Any:
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

    counter.all_reduces += 1
    counter.all_reduced_bytes += bucket.buffer().numel() * bucket.buffer().element_size()
    return allreduce_hook(None, bucket)  # type: ignore[arg-type]
