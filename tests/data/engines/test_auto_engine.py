"""`auto` chooses threads, or processes where the GIL makes threads wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perfsuite.data.engines import auto
from perfsuite.data.engines.auto import is_gil_bound, preferred_start_method, time_threads
from perfsuite.data.engines.base import WorkerConfig
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.loaders import Loaders, make_loaders
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError

SMALL: dict[str, Any] = {"batch_size": 8, "image_size": 32}
PARALLEL, GIL_BOUND = (0.004, 0.002), (0.004, 0.0041)  # seconds per image alone, and together

PlantTiming = Callable[[tuple[float, float]], list[int]]


class UnpicklableSource(FileSource):
    def __reduce__(self) -> Any:
        raise TypeError("has a lock")


@pytest.fixture
def plant_timing(monkeypatch: pytest.MonkeyPatch) -> PlantTiming:
    """Replace the timing of threads by a given result; the returned list grows with each call."""

    def plant(seconds: tuple[float, float]) -> list[int]:
        calls: list[int] = []

        def timing(*_: object) -> tuple[float, float]:
            calls.append(1)
            return seconds

        monkeypatch.setattr(auto, "time_threads", timing)
        return calls

    return plant


def first_epoch(loaders: Loaders) -> torch.Tensor:
    try:
        return torch.cat([images for images, _ in loaders.train])
    finally:
        loaders.close()


@pytest.mark.parametrize(("seconds", "expected"), [(PARALLEL, "threads"), (GIL_BOUND, "processes")])
def test_processes_are_chosen_only_where_threads_wait(
    folder: Path, plant_timing: PlantTiming, seconds: tuple[float, float], expected: str
) -> None:
    calls = plant_timing(seconds)
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
    assert alone > 0
    assert together > 0
    with pytest.raises(DataError, match=r"broken\.jpg"):
        first_epoch(make_loaders(dict.fromkeys(SPLITS, source), num_workers=2, **SMALL))


def test_threads_are_timed_by_the_given_timer(folder: Path) -> None:
    readings = iter(range(1000))
    seconds = time_threads(
        image_folder(folder), ImageConfig(size=32), WorkerConfig(2), np.arange(4), lambda: next(readings)
    )
    assert seconds == (0.5, 0.5)  # each run takes one tick, for two images


def test_fast_images_are_not_worth_a_process() -> None:
    assert not is_gil_bound(alone=1e-4, together=1e-4)
