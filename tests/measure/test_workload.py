from __future__ import annotations

import pytest
import torch

from perfsuite.errors import UsageError
from perfsuite.measure.workload import count_items, make_workload


@pytest.mark.parametrize(
    ("batch", "items"),
    [
        (torch.zeros(4, 3), 4),
        ((torch.zeros(4, 3), torch.zeros(4)), 4),
        ([torch.zeros(4, 3), torch.zeros(4)], 4),
        ({"image": torch.zeros(5, 3), "name": "x"}, 5),
        ([1, 2, 3], 3),
        ("a name", 1),
        (7, 1),
        (torch.tensor(1.0), 1),
    ],
)
def test_items_of_a_batch_are_the_length_of_its_first_part(batch: object, items: int) -> None:
    assert count_items(batch) == items


def test_the_unit_of_a_callable_is_calls_unless_items_are_given() -> None:
    plain = make_workload("w", lambda: None)
    told = make_workload("w", lambda: None, items=32)
    assert (plain.items_per_call, plain.unit) == (1.0, "calls")
    assert (told.items_per_call, told.unit) == (32, "images")


def test_one_call_iterates_over_the_batches_once() -> None:
    seen: list[int] = []

    class Batches:
        def __iter__(self) -> object:
            for batch in ([1, 2], [3]):
                seen.append(len(batch))
                yield batch

    workload = make_workload("w", Batches())
    seen.clear()
    workload.call()
    assert seen == [2, 1]
    assert workload.items_per_call == 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (iter([1, 2]), "reusable iterable"),
        (7, "neither a callable"),
        ("images", "str is neither a callable"),  # a misplaced option, such as unit="images" of a race
        ([], "no items in one pass"),
    ],
)
def test_other_objects_are_refused(given: object, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make_workload("w", given)


def test_no_items_at_all_are_refused() -> None:
    with pytest.raises(UsageError, match="items=0"):
        make_workload("w", lambda: None, items=0)
