"""A user's sampler: its rows are reproducible per epoch and shared among ranks; invalid ones are errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DistributedSampler, RandomSampler, WeightedRandomSampler

from perfsuite.data.loaders import make_loaders
from perfsuite.data.order import Order, SeededSampler
from perfsuite.errors import DataError


class Rows:
    def __init__(self, *rows: int, length: int | None = None) -> None:
        self.rows, self.length, self.epochs = rows, length, list[int]()

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows) if self.length is None else self.length


def order(sampler: object, batch_size: int = 4, **more: int) -> Order:
    sampled = SeededSampler.wrap(sampler, 40, seed=42)  # type: ignore[arg-type]
    return Order(len(sampler), batch_size, sampler=sampled, **more)  # type: ignore[arg-type]


def test_rows_are_the_samplers_and_set_epoch_is_called() -> None:
    rows = Rows(5, 3, 3, 9, 1)
    assert [batch.tolist() for batch in order(rows).batches(7)] == [[5, 3, 3, 9], [1]]
    assert rows.epochs == [7]


def test_torchs_samplers_depend_on_seed_and_epoch_and_torchs_generator_is_restored() -> None:
    for sampler in (RandomSampler(range(40)), WeightedRandomSampler([1.0] * 40, 40)):
        before = torch.get_rng_state()
        first, again, other = (order(sampler).rows(epoch).tolist() for epoch in (0, 0, 1))
        assert first == again != other
        assert torch.equal(torch.get_rng_state(), before)


def test_ranks_share_the_samplers_rows() -> None:
    rows = [order(Rows(*range(9, 0, -1)), rank=rank, world_size=3).rows(0).tolist() for rank in range(3)]
    assert rows == [[9, 6, 3], [8, 5, 2], [7, 4, 1]]


def test_a_sampled_epoch_can_be_resumed(folder: Path) -> None:
    def fresh() -> object:
        sampler = RandomSampler(range(32), replacement=True, num_samples=20)
        return make_loaders(folder, 4, 2, image_size=32, sampler=sampler)

    first, second = fresh(), fresh()
    batches = iter(first.train)  # type: ignore[attr-defined]
    given = [labels for _, labels in (next(batches), next(batches))]
    second.train.load_state_dict(first.train.state_dict())  # type: ignore[attr-defined]
    rest = [labels for _, labels in second.train]  # type: ignore[attr-defined]
    whole = torch.cat([labels for _, labels in fresh().train])  # type: ignore[attr-defined]
    assert torch.equal(torch.cat([*given, *rest]), whole)
    assert len(whole) == 20
    assert len(second.val) == len(make_loaders(folder, 4, 0, image_size=32).val)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (Rows(1, 40), "rows 1 to 40, expected 0 to 39"),
        (Rows(-1, 3), "rows -1 to 3, expected 0 to 39"),
        (Rows(1, 2, length=3), "gave 2 rows, expected 3, its length"),
    ],
)
def test_rows_outside_of_the_source_are_an_error(sampler: Rows, message: str) -> None:
    with pytest.raises(DataError, match=message):
        order(sampler).rows(0)


def test_a_sampler_that_shards_is_an_error(folder: Path) -> None:
    sharding: Any = DistributedSampler(range(32), num_replicas=2, rank=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="make_loaders shards by rank"):
        make_loaders(folder, 4, 0, image_size=32, sampler=sharding)
