from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.data.index import Names, split_rows


@given(st.lists(st.lists(st.text())))
def test_names_come_back_as_they_went_in(groups: list[list[str]]) -> None:
    groups = [[name for name in group if _can_be_a_name(name)] for group in groups]
    joined = Names.joined(Names.of(group) for group in groups)
    assert [joined[row] for row in range(len(joined))] == [name for group in groups for name in group]


def _can_be_a_name(name: str) -> bool:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def test_names_that_are_not_utf_8_survive() -> None:
    name = b"\xff\xfe.jpg".decode("utf-8", "surrogateescape")
    assert Names.of([name])[0] == name


def test_a_row_outside_is_an_index_error() -> None:
    with pytest.raises(IndexError, match="row 1 of 1"):
        Names.of(["a"])[1]


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.0, 0.0), (0.5, 0.5), (0.25, 0.0)])
def test_every_class_is_split_in_the_same_shares(val: float, test: float) -> None:
    labels = np.repeat(np.arange(5, dtype=np.int32), [40, 20, 100, 8, 4])
    rng = np.random.default_rng(0)
    parts = split_rows(labels, rng.integers(0, 2**63, len(labels)).astype(np.uint64), val, test)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    for label, count in enumerate([40, 20, 100, 8, 4]):
        assert (labels[parts["val"]] == label).sum() == round(count * val)
        held = round(count * (val + test)) - round(count * val)
        assert (labels[parts["test"]] == label).sum() == held


def test_a_split_does_not_depend_on_the_order_of_listing() -> None:
    names = [f"c/{number}.jpg" for number in range(50)]
    labels = np.zeros(50, np.int32)

    def chosen(listed: list[str]) -> set[str]:
        found = Names.of(listed)
        return {found[int(row)] for row in split_rows(labels, found.ranks(), 0.2, 0.2)["val"]}

    assert chosen(names) == chosen(names[::-1])
