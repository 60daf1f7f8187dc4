"""The order of rows in an epoch: a pure function of seed, epoch and rank, for any engine and worker count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import DataError

Rows = NDArray[np.int64]
UnevenPolicy = Literal["pad", "drop", "keep"]


class Sampler(Iterable[int], Protocol):
    """A torch sampler: iterating yields row numbers, `len` is their count."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class SeededSampler:
    """Make a sampler's rows a pure function of seed and epoch, so that an epoch can be resumed.

    torch's samplers draw from torch's global generator. It is seeded while the rows are drawn, and restored
    afterward. `set_epoch` is called if the sampler has it. A sampler with a generator of its own repeats only
    as well as that generator does.
    """

    sampler: Sampler
    source_length: int
    seed: int

    @classmethod
    def wrap(cls, sampler: Sampler, source_length: int, seed: int) -> Self:
        if hasattr(sampler, "num_replicas"):
            raise ValueError(
                "sampler: shards by itself, expected the rows of all ranks; make_loaders shards by rank"
            )
        return cls(sampler, source_length, seed)

    def rows(self, epoch: int) -> Rows:
        import torch

        set_epoch = getattr(self.sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
        with torch.random.fork_rng(devices=[]):
            key = np.array([self.seed, epoch], np.uint64)
            torch.default_generator.manual_seed(int(np.random.Philox(key=key).random_raw() >> 1))
            rows = np.fromiter(self.sampler, np.int64)
        if len(rows) != len(self.sampler):
            raise DataError(f"sampler: gave {len(rows)} rows, expected {len(self.sampler)}, its length")
        if len(rows) and (rows.min() < 0 or rows.max() >= self.source_length):
            raise DataError(
                f"sampler: rows {rows.min()} to {rows.max()}, expected 0 to {self.source_length - 1}"
            )
        return rows


@dataclass(frozen=True, slots=True)
class Order:
    """Batches of row numbers for one rank of `world_size`.

    `uneven` decides what several ranks do with a remainder. `pad` repeats samples from the start, so that all
    ranks take equally many steps. `drop` leaves the remainder out. `keep` uses every sample exactly once,
    with empty batches at the end for ranks that have fewer samples: no rank waits for a step that another
    rank does not take.

    >>> [batch.tolist() for batch in Order(5, 2, shuffle=False).batches(epoch=0)]
    [[0, 1], [2, 3], [4]]
    >>> ranks = [Order(5, 2, shuffle=False, rank=rank, world_size=2, uneven="keep") for rank in (0, 1)]
    >>> [order.batches(0)[-1].tolist() for order in ranks]
    [[4], []]
    """

    samples: int
    batch_size: int
    shuffle: bool = True
    seed: int = 42
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1
    uneven: UnevenPolicy = "pad"
    sampler: SeededSampler | None = None  # replaces `shuffle`

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"order: batch_size {self.batch_size}, expected at least 1")
        if not 0 <= self.rank < self.world_size:
            raise ValueError(
                f"order: rank {self.rank} of {self.world_size}, expected 0 to {self.world_size - 1}"
            )
        if self.uneven not in ("pad", "drop", "keep"):
            raise ValueError(f"order: uneven {self.uneven!r}, expected pad, drop or keep")

    def rows(self, epoch: int) -> Rows:
        """All rows of this rank in this epoch."""
        rows = np.arange(self.samples, dtype=np.int64) if self.sampler is None else self.sampler.rows(epoch)
        if self.shuffle and self.sampler is None:
            key = np.array([self.seed, epoch], np.uint64)
            # The augmentation's streams have the same key and count from 0; this counter avoids them.
            generator = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, 1]))
            generator.shuffle(rows)
        if self.world_size == 1 or self.samples == 0:
            return rows
        if self.uneven == "drop":
            rows = rows[: self.samples - self.samples % self.world_size]
        elif self.uneven == "pad":
            rows = np.resize(rows, -(-self.samples // self.world_size) * self.world_size)
        return rows[self.rank :: self.world_size]

    def batches(self, epoch: int) -> list[Rows]:
        rows = self.rows(epoch)
        return [rows[n * self.batch_size : (n + 1) * self.batch_size] for n in range(len(self))]

    def __len__(self) -> int:
        """Batches per epoch, the same for every rank."""
        if self.uneven == "drop" and self.world_size > 1:
            most = self.samples // self.world_size
        else:
            most = -(-self.samples // self.world_size)
        if self.drop_last:
            least = self.samples // self.world_size if self.uneven == "keep" else most
            return least // self.batch_size
        return -(-most // self.batch_size)
