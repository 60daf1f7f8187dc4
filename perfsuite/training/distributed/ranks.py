"""The ranks of a training run: processes that torchrun starts, in one process group."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.training.devices import choose_device
from perfsuite.training.distributed.ddp import apply_ddp
from perfsuite.training.distributed.fsdp import apply_fsdp

# The other ranks give up after this if one hangs; one that dies ends them at once.
COLLECTIVE_TIMEOUT = timedelta(seconds=25)

# A gloo thread releases a tensor shortly after it has reported its work as done. Releasing needs the
# interpreter, and aborts the process if the interpreter is shutting down. DistributedDataParallel keeps these
# threads alive past the end of the group.
GLOO_TEARDOWN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Rank:
    """The rank of this process, the number of ranks, and the device."""

    index: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.index == 0

    def wrap_ddp(self, model: nn.Module) -> nn.Module:
        """Replicate `model` over the ranks; a single process gets `model` itself."""
        return apply_ddp(model, self.device) if self.world_size > 1 else model

    def wrap_fsdp(self, model: nn.Module) -> nn.Module:
        """Shard the parameters of `model` over the ranks, in place."""
        if self.world_size == 1:
            raise UsageError(
                "fsdp: there is one process, expected several to share the parameters; start torchrun"
            )
        return apply_fsdp(model)

    def select_rows(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return this rank's rows.

        The last rows that do not divide evenly are dropped: with one row more, a rank would wait for the
        others in a step that they never take.

        >>> Rank(1, 2, torch.device("cpu")).select_rows(torch.arange(5))
        (tensor([1, 3]),)
        """
        divisible = len(tensors[0]) // self.world_size * self.world_size
        return tuple(tensor[self.index : divisible : self.world_size] for tensor in tensors)


SINGLE_PROCESS = Rank(0, 1, torch.device("cpu"))


def rank_from_torchrun(device: str = "auto") -> Rank:
    """Read this process's rank from torchrun's environment variables; without them it is the only one."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Rank(0, 1, choose_device(device))
    missing = [
        name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ
    ]
    if missing:
        raise UsageError(
            f"distributed: WORLD_SIZE is {world_size} but {', '.join(missing)} unset, expected all of "
            "torchrun's variables; start with torchrun"
        )
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
    return Rank(int(os.environ["RANK"]), world_size, chosen)


@contextmanager
def process_group(rank: Rank) -> Iterator[Rank]:
    """Join the other ranks for the block; does nothing in a single process."""
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
