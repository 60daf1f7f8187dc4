"""Summaries only save time: without them, or with wrong ones, the answer is the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(3):
        RunStore(tmp_path).save(a_run(commit=f"c{number}", seconds={"test": 0.1 + number}), {})
    return tmp_path


def seen(root: Path) -> list[tuple[str, float]]:
    return [(each.commit, each.seconds_per_item["test"]) for each in RunStore(root).history()]


EXPECTED = [("c0", 0.1), ("c1", 1.1), ("c2", 2.1)]


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"null", b'{"version": 99}', b"\xff"])
def test_a_damaged_summary_is_rebuilt(damage: bytes, root: Path) -> None:
    path = root / ".summaries" / "0002_main.json"
    whole = path.read_bytes()
    path.write_bytes(damage)
    assert seen(root) == EXPECTED
    assert path.read_bytes() == whole


def test_missing_summaries_are_rebuilt_and_counted(root: Path) -> None:
    for path in (root / ".summaries").iterdir():
        path.unlink()
    counts: list[tuple[int, int]] = []
    for _ in range(2):
        list(RunStore(root, on_progress=lambda *count: counts.append(count)).history())
    assert counts == [(0, 3), (1, 3), (2, 3), (3, 3)], "the second time there is nothing to rebuild"
    assert seen(root) == EXPECTED
    assert len(list((root / ".summaries").iterdir())) == 3


def test_the_summary_of_a_changed_run_is_not_used(root: Path) -> None:
    path = root / "0002_main.json"
    path.write_bytes(path.read_bytes().replace(b"1.1", b"9.1"))
    os.utime(path, (1, 1))
    messages: list[str] = []
    assert [each.commit for each in RunStore(root, on_message=messages.append).history()] == ["c0", "c2"]
    assert "checksum" in messages[0]


def test_the_summary_of_an_unchanged_run_is_used(root: Path) -> None:
    """The negative control: else every test above would pass without summaries."""
    path = root / ".summaries" / "0002_main.json"
    told = json.loads(path.read_bytes())
    told["seconds_per_item"]["test"] = 7.0
    path.write_text(json.dumps(told))
    assert seen(root)[1] == ("c1", 7.0)


def test_incomplete_runs_are_not_in_the_history(root: Path) -> None:
    RunStore(root).save(a_run(complete=False, seconds={"test": 5.0}), {})
    assert seen(root) == EXPECTED


def test_a_location_that_cannot_be_written_is_readable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".summaries" / "0001_main.json").unlink()

    open_file = os.open

    def fail_to_write(path: str, flags: int, *more: int) -> int:
        if flags & os.O_WRONLY:
            raise PermissionError(13, "read-only")
        return open_file(path, flags, *more)

    monkeypatch.setattr(os, "open", fail_to_write)
    assert seen(root) == EXPECTED


@pytest.mark.parametrize("field", ["name", "created_at", "commit", "dirty", "complete"])
@pytest.mark.parametrize("value", [None, 5, [], {}, {"a": "b"}])
def test_a_summary_with_a_field_of_a_wrong_type_is_rebuilt(field: str, value: object, root: Path) -> None:
    path = root / ".summaries" / "0002_main.json"
    whole = path.read_bytes()
    path.write_text(json.dumps({**json.loads(whole), field: value}))
    assert seen(root) == EXPECTED
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "value", [None, 5, "x", [], {"test": "b"}, {"test": -1}, {"test": [1]}, {"test": 10**400}]
)
def test_a_summary_with_wrong_times_is_rebuilt(value: object, root: Path) -> None:
    path = root / ".summaries" / "0002_main.json"
    whole = path.read_bytes()
    path.write_text(json.dumps({**json.loads(whole), "seconds_per_item": value}))
    assert seen(root) == EXPECTED
    assert path.read_bytes() == whole
