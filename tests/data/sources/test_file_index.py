from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Sequence
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.data.sources.file_index import PackedStrings


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
