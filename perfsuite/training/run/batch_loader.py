"""What the trainer needs of a loader: batches, the epoch to draw them for, and a position to resume at."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import torch

from perfsuite.errors import DataError
from perfsuite.training.devices import TensorBatch

# The entry of a resumable loader's state that counts the batches already taken from the epoch.
BATCHES_GIVEN = "batches_given"


class BatchLoader(Protocol):
    """A loader of batches of images and labels.

    To draw each epoch reproducibly, a loader has one of: `set_epoch(epoch)`; a `sampler` with `set_epoch`; a
    `generator`, which the trainer seeds. A loader with none of them draws from torch's global RNG, which the
    trainer seeds too.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


@runtime_checkable
class ResumableLoader(Protocol):
    """A loader that can start in the middle of an epoch without loading the batches before.

    Its state has the entry `batches_given`.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def set_loader_epoch(loader: BatchLoader, seed: int, epoch: int) -> None:
    """Set a loader's epoch by its `set_epoch`, its sampler's, or a seed for its generator."""
    candidate: Any
    for candidate in (loader, getattr(loader, "sampler", None)):
        if hasattr(candidate, "set_epoch"):
            candidate.set_epoch(epoch)
            return
    generator = getattr(loader, "generator", None)
    if isinstance(generator, torch.Generator):
        generator.manual_seed(random.Random(f"{seed}/{epoch}/loader").getrandbits(63))


def skip_batches(loader: BatchLoader, count: int) -> Iterator[Any]:
    """Iterate over the loader's batches without the first `count`.

    A ResumableLoader does not load them; another loader loads them, and they are discarded.

    >>> list(skip_batches(["a", "b", "c"], 1))
    ['b', 'c']
    """
    if count and isinstance(loader, ResumableLoader):
        state = loader.state_dict()
        if BATCHES_GIVEN in state:
            loader.load_state_dict({**state, BATCHES_GIVEN: count})
            return iter(loader)
    batches: Iterator[Any] = iter(loader)
    skipped = sum(1 for _ in islice(batches, count))
    if skipped < count:
        raise DataError(
            f"train: the data have {skipped} batches, expected at least the {count} that the run to resume "
            "has trained on; resume with the same data"
        )
    return batches


def refuse_empty_batches(batches: Sequence[TensorBatch], *, epoch: int, first: int, rank: int) -> None:
    """Raise a DataError for a batch without images, whose mean loss would be NaN; the first has that index.

    >>> refuse_empty_batches([(torch.zeros(0, 3, 8, 8), torch.zeros(0))], epoch=0, first=4, rank=1)
    Traceback (most recent call last):
    perfsuite.errors.DataError: train: batch 5 of epoch 1 has no images on rank 1, expected at least one on \
every rank; let the training loader fill its batches (uneven='pad' or 'drop', not 'keep')
    """
    for number, (_, labels) in enumerate(batches, start=first + 1):
        if not len(labels):
            raise DataError(
                f"train: batch {number} of epoch {epoch + 1} has no images on rank {rank}, expected at least "
                "one on every rank; let the training loader fill its batches (uneven='pad' or 'drop', not "
                "'keep')"
            )
