"""Several processes as one training, started by torchrun; what they exchange, counted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.training.devices import choose_device
from perfsuite.training.distributed.fsdp import apply_fsdp, is_sharded

# A rank that hangs, rather than dies, is given up by the others after this.
COLLECTIVE_TIMEOUT = timedelta(seconds=25)

# A thread of gloo's lets go of a tensor a moment after its work is told as done. It needs Python for that,
# and aborts the process where Python is just ending: DistributedDataParallel keeps those threads past the
# end of the group.
GLOO_TEARDOWN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Rank:
    """Which of how many processes this is, and its device."""

    index: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.index == 0

    @property
    def wrap_ddp(self) -> Callable[[nn.Module], nn.Module] | None:
        """What makes a model one of all ranks, each with all parameters; None alone."""
        return self._apply_ddp if self.world_size > 1 else None

    @property
    def wrap_fsdp(self) -> Callable[[nn.Module], nn.Module]:
        """What makes a model one of all ranks, each with a part of every parameter."""
        if self.world_size == 1:
            raise UsageError(
                "fsdp: there is one process, expected several to share the parameters; start torchrun"
            )
        return apply_fsdp

    def _apply_ddp(self, model: nn.Module) -> nn.Module:
        devices = [self.device.index or 0] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=devices)

    def select_rows(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """This rank's rows; the last few that do not divide evenly are left out, so that none waits for ever.

        >>> Rank(1, 2, torch.device("cpu")).select_rows(torch.arange(5))
        (tensor([1, 3]),)
        """
        whole = len(tensors[0]) // self.world_size * self.world_size
        return tuple(tensor[self.index : whole : self.world_size] for tensor in tensors)


SINGLE_PROCESS = Rank(0, 1, torch.device("cpu"))


def rank_from_torchrun(device: str = "auto") -> Rank:
    """This process's place as torchrun's environment variables tell it; alone without them."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Rank(0, 1, choose_device(device))
    missing = [
        name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ
    ]
    if missing:
        raise UsageError(
            f"distributed: WORLD_SIZE is {world_size} but {', '.join(missing)} unset; start with torchrun"
        )
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
    return Rank(int(os.environ["RANK"]), world_size, chosen)


@contextmanager
def process_group(rank: Rank) -> Iterator[Rank]:
    """Meet the other ranks for the block; does nothing alone."""
    if rank.world_size == 1:
        yield rank
        return
    if rank.device.type == "cuda":
        torch.cuda.set_device(rank.device)
    backend = "nccl" if rank.device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=COLLECTIVE_TIMEOUT)
    try:
        yield rank
        if backend == "gloo":
            time.sleep(GLOO_TEARDOWN_SECONDS)
    finally:
        dist.destroy_process_group()


def check_layout_before_ddp(model: nn.Module) -> None:
    """DistributedDataParallel remembers how weights lie; changed later, it mixes their gradients up."""
    if not isinstance(model, nn.parallel.DistributedDataParallel):
        return
    filters = [one for one in model.parameters() if one.ndim == 4]
    if not all(one.is_contiguous(memory_format=torch.channels_last) for one in filters):
        raise UsageError(
            "step: channels_last of a model that is already in DistributedDataParallel, expected before; "
            "call model.to(memory_format=torch.channels_last) and wrap it then"
        )


def no_gradient_sync(model: nn.Module) -> AbstractContextManager[Any]:
    """Gradients of the block's backward passes stay this rank's own until one outside it."""
    if is_sharded(model):
        return _no_gradient_sync_fsdp(model)
    no_sync: Callable[[], AbstractContextManager[Any]] = getattr(model, "no_sync", nullcontext)
    return no_sync()


@contextmanager
def _no_gradient_sync_fsdp(model: Any) -> Iterator[None]:
    model.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        model.set_requires_gradient_sync(True)


def is_finite_on_all_ranks(loss: Tensor, model: nn.Module) -> bool:
    """Whether `loss` is a number on every rank of `model`: a step is taken back by all of them or by none."""
    is_finite = torch.isfinite(loss).to(torch.int32)
    if is_sharded(model) or hasattr(model, "no_sync"):
        dist.all_reduce(is_finite, dist.ReduceOp.MIN)
    return bool(is_finite.item())


@dataclass
class AllReduceCounter:
    """All-reduces that a DistributedDataParallel model has made, and their bytes.

    A communication hook: `AllReduceCounter.by(model)` counts from then on.
    """

    all_reduces: int = 0
    all_reduced_bytes: int = 0

    @staticmethod
    def attach(model: nn.parallel.DistributedDataParallel) -> AllReduceCounter:
        counted = AllReduceCounter()
        # A lambda: the hook's annotations would have to be classes, and here they are strings.
        model.register_comm_hook(counted, lambda counted, bucket: _counting_allreduce_hook(counted, bucket))
        return counted


def _counting_allreduce_hook(counted: AllReduceCounter, bucket: Any) -> Any:
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

    counted.all_reduces += 1
    counted.all_reduced_bytes += bucket.buffer().numel() * bucket.buffer().element_size()
    return allreduce_hook(None, bucket)  # type: ignore[arg-type]
