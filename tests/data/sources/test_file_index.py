from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.splits import split_rows


@given(st.lists(st.lists(st.text())))
def test_packed_names_are_unpacked_unchanged(groups: list[list[str]]) -> None:
    groups = [[name for name in group if _can_be_a_name(name)] for group in groups]
    joined = PackedStrings.concatenate(PackedStrings.from_strings(group) for group in groups)
    assert [joined[row] for row in range(len(joined))] == [name for group in groups for name in group]


def _can_be_a_name(name: str) -> bool:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def test_names_that_are_not_utf_8_are_unchanged() -> None:
    name = b"\xff\xfe.jpg".decode("utf-8", "surrogateescape")
    assert PackedStrings.from_strings([name])[0] == name


def test_a_row_outside_is_an_index_error() -> None:
    with pytest.raises(IndexError, match="row 1, expected 0 to 0"):
        PackedStrings.from_strings(["a"])[1]


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.0, 0.0), (0.5, 0.5), (0.25, 0.0)])
def test_every_class_is_split_by_the_same_fractions(val: float, test: float) -> None:
    labels = np.repeat(np.arange(5, dtype=np.int32), [40, 20, 100, 8, 4])
    rng = np.random.default_rng(0)
    parts = split_rows(labels, rng.integers(0, 2**63, len(labels)).astype(np.uint64), val, test)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    for label, count in enumerate([40, 20, 100, 8, 4]):
        assert (labels[parts["val"]] == label).sum() == round(count * val)
        expected = round(count * (val + test)) - round(count * val)
        assert (labels[parts["test"]] == label).sum() == expected


def test_a_split_does_not_depend_on_the_order_of_listing() -> None:
    names = [f"c/{number}.jpg" for number in range(50)]
    labels = np.zeros(50, np.int32)

    def val_names(listed: list[str]) -> set[str]:
        packed = PackedStrings.from_strings(listed)
        return {packed[int(row)] for row in split_rows(labels, packed.hashes(), 0.2, 0.2)["val"]}

    assert val_names(names) == val_names(names[::-1])


def test_forked_workers_copy_no_page_of_an_index() -> None:
    """A list of strings is the negative control: reading it writes its reference counts."""
    listed = [f"class_{number % 100:03}/image_{number:07}.jpg" for number in range(200_000)]
    packed = PackedStrings.from_strings(listed)
    assert private_bytes_gained_by_reading(packed) < 2 << 20
    assert private_bytes_gained_by_reading(listed) > 8 << 20


def private_bytes_gained_by_reading(names: PackedStrings | Sequence[str]) -> int:
    """The unshared memory that a forked process gains by reading every name."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_read_all, args=(names, sender))
    process.start()
    gained: int = receiver.recv()
    process.join()
    return gained


def _read_all(names: Any, pipe: Any) -> None:
    gc.disable()
    before = psutil.Process().memory_full_info().uss
    for row in range(len(names)):
        names[row]
    pipe.send(psutil.Process().memory_full_info().uss - before)
