from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfsuite.data.order import Order


def rows(order: Order, epoch: int = 0) -> list[int]:
    return [int(row) for batch in order.batches(epoch) for row in batch]


def test_an_epoch_is_a_permutation_by_seed_and_epoch() -> None:
    order = Order(100, 7, seed=1)
    assert sorted(rows(order)) == list(range(100))
    assert rows(order) == rows(Order(100, 33, seed=1))
    assert rows(order) != rows(order, 1) != rows(Order(100, 7, seed=2), 1)


@pytest.mark.parametrize("samples", [0, 1, 2, 7, 64, 101])
@pytest.mark.parametrize("world", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
def test_every_rank_takes_the_same_number_of_steps(
    samples: int, world: int, drop_last: bool, uneven: str
) -> None:
    orders = [
        Order(samples, 4, rank=rank, world_size=world, drop_last=drop_last, uneven=uneven)  # type: ignore[arg-type]
        for rank in range(world)
    ]
    steps = {len(order.batches(0)) for order in orders}
    assert steps == {len(orders[0])}
    used = np.concatenate([np.concatenate([*order.batches(0), np.empty(0, int)]) for order in orders])
    if drop_last:
        assert all(len(batch) == 4 for order in orders for batch in order.batches(0)) or uneven == "keep"
    elif uneven == "pad":
        assert set(used.astype(int)) == set(range(samples))
        assert len(used) - samples < world
    elif uneven == "drop" and world > 1:
        assert len(set(used)) == len(used) == samples - samples % world
    else:
        assert sorted(used) == list(range(samples))


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"rank": 2, "world_size": 2}, {"rank": -1}, {"uneven": "maybe"}]
)
def test_invalid_orders_are_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="order: "):
        Order(**{"samples": 4, "batch_size": 2, **options})
