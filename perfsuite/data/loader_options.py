"""The settings of `make_loaders` that decide how batches are ordered, filled and handed over."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from perfsuite.data.engines.base import WorkerConfig
from perfsuite.data.image_config import check_whole_number
from perfsuite.data.loader import Normalize
from perfsuite.data.order import Order, Sampler, SeededSampler, UnevenPolicy
from perfsuite.data.sources.base import ImageSource
from perfsuite.data.sources.splits import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderOptions:
    """One set of options for the three loaders. ImageConfig has those that decide the pixels."""

    batch_size: int
    seed: int
    engine: str
    workers: WorkerConfig
    device: torch.device
    normalize: Normalize
    persistent_workers: bool
    drop_last: bool
    rank: int
    world_size: int
    uneven: UnevenPolicy  # of training; validation and test always use each image once
    sampler: Sampler | None  # of training
    cache_normalized: bool

    def order(self, split: Split, source: ImageSource) -> Order:
        """The order of one split: only training is shuffled, sampled, padded or dropped."""
        is_training = split == "train"
        sampler = self.sampler if is_training else None
        order = Order(
            samples=len(source if sampler is None else sampler),
            batch_size=self.batch_size,
            shuffle=is_training,
            seed=self.seed,
            drop_last=self.drop_last and is_training,
            rank=self.rank,
            world_size=self.world_size,
            uneven=self.uneven if is_training else "keep",
            sampler=None if sampler is None else SeededSampler.wrap(sampler, len(source), self.seed),
        )
        if order.samples and not len(order):
            raise ValueError(
                f"batch_size: {self.batch_size}, expected one that {order.samples} images over "
                f"{self.world_size} ranks can fill; lower it, or leave out drop_last"
            )
        return order


def check_arguments(**counts: object) -> None:
    """Refuse values of `make_loaders` that must be whole numbers and are not."""
    for name, value in counts.items():
        check_whole_number(name, value)


def resolve_rank(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Return rank and world size as given, else torch.distributed's, else those of a single process."""
    if rank is not None and world_size is not None:
        return rank, world_size
    if (rank is None) != (world_size is None):
        raise ValueError(f"make_loaders: rank {rank} and world_size {world_size}, expected both or neither")
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
