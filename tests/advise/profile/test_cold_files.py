"""Cold files: what a system does not drop is said, not measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from perfsuite.advise.confidence import MIN_BLOCKS
from perfsuite.advise.profile.cold_files import (
    ColdFileTimes,
    NoColdFiles,
    SystemPageCache,
    measure_cold_files,
)


class InventedCache:
    def __init__(self, answer: Callable[[Path], bool | None]) -> None:
        self._answer = answer
        self.dropped: list[Path] = []

    def drop(self, path: Path) -> None:
        self.dropped.append(path)

    def holds(self, path: Path) -> bool | None:
        return self._answer(path)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{index}.jpg" for index in range(5)]
    for path in paths:
        path.write_bytes(b"x" * 5000)
    return paths


def test_cold_and_warm_files_are_read_in_the_same_blocks(files: list[Path]) -> None:
    cache = InventedCache(lambda path: False)
    times = measure_cold_files(files, 0.0, cache)
    assert isinstance(times, ColdFileTimes)
    assert len(times.cold_seconds) == len(times.warm_seconds) == MIN_BLOCKS
    assert len(cache.dropped) == len(files) * (1 + 2 * MIN_BLOCKS)  # to check, then in two turns a block


@pytest.mark.parametrize(
    ("holds", "reason"),
    [(lambda path: True, "keeps 5 of 5 files"), (lambda path: None, "does not say whether")],
)
def test_files_that_stay_warm_are_not_called_cold(
    files: list[Path], holds: Callable[[Path], bool | None], reason: str
) -> None:
    answer = measure_cold_files(files, 0.0, InventedCache(holds))
    assert isinstance(answer, NoColdFiles)
    assert reason in answer.reason


def test_without_files_there_is_a_reason() -> None:
    assert isinstance(measure_cold_files([], 0.0), NoColdFiles)


def test_shares_and_slowdown_follow_from_the_times() -> None:
    times = ColdFileTimes(10, (0.004,) * 8, (0.001,) * 8)
    assert times.slowdown.value == pytest.approx(4)
    assert times.share(0.004) == pytest.approx(0.5)
    assert times.warm.value == pytest.approx(0.001)


def test_this_systems_cache_says_that_a_file_just_read_is_warm(files: list[Path]) -> None:
    cache = SystemPageCache()
    files[0].read_bytes()
    assert cache.holds(files[0]) in (True, None)
    cache.drop(files[0])
    assert cache.holds(files[0]) in (True, False, None)  # some file systems keep it
