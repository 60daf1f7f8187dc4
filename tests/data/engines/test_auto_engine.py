"""`auto` chooses threads, or processes where the GIL makes threads wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perfsuite.data.engines import auto
from perfsuite.data.engines.auto import ThreadUse, is_gil_bound, preferred_start_method, time_threads
from perfsuite.data.engines.base import WorkerConfig
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.loaders import Loaders, make_loaders
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError

SMALL: dict[str, Any] = {"batch_size": 8, "image_size": 32}
ALONE = ThreadUse(images=10, seconds=0.04, busy_seconds=0.04)
PARALLEL, GIL_BOUND = (ALONE, ThreadUse(10, 0.02, 0.04)), (ALONE, ThreadUse(10, 0.04, 0.042))

Times = tuple[ThreadUse, ThreadUse]
PlantTiming = Callable[[Times], list[int]]


class UnpicklableSource(FileSource):
    def __reduce__(self) -> Any:
        raise TypeError("has a lock")


@pytest.fixture
def plant_timing(monkeypatch: pytest.MonkeyPatch) -> PlantTiming:
    """Replace the timing of threads by a given result; the returned list grows with each call."""

    def plant(times: Times) -> list[int]:
        calls: list[int] = []

        def timing(*_: object) -> Times:
            calls.append(1)
            return times

        monkeypatch.setattr(auto, "time_threads", timing)
        return calls

    return plant


def first_epoch(loaders: Loaders) -> torch.Tensor:
    try:
        return torch.cat([images for images, _ in loaders.train])
    finally:
        loaders.close()


@pytest.mark.parametrize(("times", "expected"), [(PARALLEL, "threads"), (GIL_BOUND, "processes")])
def test_processes_are_chosen_only_where_threads_wait(
    folder: Path, plant_timing: PlantTiming, times: Times, expected: str
) -> None:
    calls = plant_timing(times)
    loaders = make_loaders(folder, num_workers=2, **SMALL)
    assert (loaders.train.engine, loaders.info["engine"], calls) == ("auto", "auto", [])
    images = first_epoch(loaders)
    assert (loaders.train.engine, len(calls)) == (expected, 1)
    assert torch.equal(images, first_epoch(make_loaders(folder, num_workers=0, **SMALL)))


def test_nothing_is_timed_without_a_choice(folder: Path, plant_timing: PlantTiming) -> None:
    calls = plant_timing(GIL_BOUND)
    cases: list[dict[str, Any]] = [
        {"num_workers": 0},
        {"num_workers": 1},
        {"num_workers": 2, "cache": "ram"},
        {"num_workers": 2, "cache": "ram", "cache_epochs": 1},
    ]
    for options in cases:
        loaders = make_loaders(folder, **SMALL, **options)
        first_epoch(loaders)
        assert loaders.train.engine in ("inline", "threads")
    assert calls == []


def test_a_source_that_cannot_be_pickled_uses_threads_unless_it_is_forked(
    folder: Path, plant_timing: PlantTiming
) -> None:
    plant_timing(GIL_BOUND)
    files = image_folder(folder)
    source = UnpicklableSource(files.root, files.names, files.labels, files.class_names)
    for start_method, expected in (("spawn", "threads"), ("fork", "processes")):
        loaders = make_loaders(
            dict.fromkeys(SPLITS, source), num_workers=2, start_method=start_method, **SMALL
        )
        first_epoch(loaders)
        assert loaders.train.engine == expected


def test_a_given_start_method_is_used_and_cuda_is_never_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preferred_start_method("spawn") == "spawn"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert preferred_start_method(None) is None


def test_a_damaged_image_is_no_error_while_timing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    source = image_folder(tmp_path)
    alone, together = time_threads(source, ImageConfig(size=32), WorkerConfig(2), np.zeros(1, np.int64))
    assert alone.seconds > 0
    assert together.seconds > 0
    with pytest.raises(DataError, match=r"broken\.jpg"):
        first_epoch(make_loaders(dict.fromkeys(SPLITS, source), num_workers=2, **SMALL))


def time_by(folder: Path, seconds: Iterator[float], busy_seconds: Iterator[float]) -> Times:
    return time_threads(
        image_folder(folder),
        ImageConfig(size=32),
        WorkerConfig(2),
        np.arange(4),
        lambda: next(seconds),
        lambda: next(busy_seconds),
    )


@pytest.mark.parametrize(("tick", "turns"), [(1 / 64, 5), (1.0, 1)])
def test_threads_are_timed_by_the_given_timers_and_slow_images_once(
    folder: Path, tick: float, turns: int
) -> None:
    busy_seconds = count(0, 3)
    times = time_by(folder, count(0, tick), busy_seconds)
    assert times == (ThreadUse(2, tick, 3), ThreadUse(2, tick, 3))  # a tick for each turn of two images
    assert next(busy_seconds) == 3 * 2 * (3 + 2 * turns)  # two readings of three warm-ups, and of every turn


def test_a_turn_in_which_a_kernel_is_compiled_decides_nothing(folder: Path) -> None:
    parallel, compiling = [0, 1, 0, 2], [0, 500, 0, 500]  # busy before and after one thread, and two
    busy_seconds = iter([*[0, 1] * 3, *parallel, *compiling, *parallel * 3])
    assert not is_gil_bound(*time_by(folder, count(0, 1 / 64), busy_seconds))


def test_a_clock_too_coarse_to_show_work_is_no_reason_for_processes() -> None:
    assert not is_gil_bound(ThreadUse(2, 0.03, 0.0), ThreadUse(2, 0.03, 0.03))


def test_fast_images_are_not_worth_a_process() -> None:
    assert not is_gil_bound(ThreadUse(10, 1e-3, 1e-3), ThreadUse(10, 1e-3, 1e-3))


def test_time_taken_by_other_processes_decides_nothing() -> None:
    """Beside others, two threads that never wait for each other may be no faster than one was."""
    alone, together = ThreadUse(10, 0.08, 0.08), ThreadUse(10, 0.09, 0.17)
    assert not is_gil_bound(alone, together)


def test_threads_that_wait_for_storage_are_no_reason_for_processes() -> None:
    assert not is_gil_bound(ThreadUse(10, 0.2, 0.02), ThreadUse(10, 0.1, 0.02))
