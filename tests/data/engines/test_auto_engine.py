from __future__ import annotations

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

SMALL = {"batch_size": 8, "image_size": 32}
FREE, WAITING = (0.004, 0.002), (0.004, 0.0041)


class Unsendable(FileSource):
    def __reduce__(self) -> Any:
        raise TypeError("holds a lock")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say what the timing of threads finds; how often it was asked."""
    asked: list[int] = []

    def say(found: tuple[float, float]) -> list[int]:
        def answer(*_: object) -> tuple[float, float]:
            asked.append(1)
            return found

        monkeypatch.setattr(auto, "time_threads", answer)
        return asked

    return say


def first_epoch(loaders: Loaders) -> torch.Tensor:
    try:
        return torch.cat([images for images, _ in loaders.train])
    finally:
        loaders.close()


@pytest.mark.parametrize(("found", "expected"), [(FREE, "threads"), (WAITING, "processes")])
def test_auto_takes_processes_only_where_threads_wait(
    folder: Path, timed: Any, found: tuple[float, float], expected: str
) -> None:
    asked = timed(found)
    loaders = make_loaders(folder, num_workers=2, **SMALL)
    assert (loaders.train.engine, loaders.info["engine"], asked) == ("auto", "auto", [])
    images = first_epoch(loaders)
    assert (loaders.train.engine, len(asked)) == (expected, 1)
    assert torch.equal(images, first_epoch(make_loaders(folder, num_workers=0, **SMALL)))


def test_nothing_is_timed_where_there_is_nothing_to_choose(folder: Path, timed: Any) -> None:
    asked = timed(WAITING)
    for options in ({"num_workers": 0}, {"num_workers": 1}, {"num_workers": 2, "cache": "ram"}):
        loaders = make_loaders(folder, **SMALL, **options)
        first_epoch(loaders)
        assert loaders.train.engine in ("inline", "threads")
    assert asked == []


def test_what_cannot_be_sent_stays_where_it_is_unless_it_is_forked(folder: Path, timed: Any) -> None:
    timed(WAITING)
    whole = image_folder(folder)
    parts = dict.fromkeys(SPLITS, Unsendable(whole.root, whole.names, whole.labels, whole.class_names))
    for start, expected in (("spawn", "threads"), ("fork", "processes")):
        loaders = make_loaders(parts, num_workers=2, start_method=start, **SMALL)
        first_epoch(loaders)
        assert loaders.train.engine == expected


def test_the_start_that_was_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preferred_start_method("spawn") == "spawn"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert preferred_start_method(None) is None  # a CUDA context does not survive a fork


def test_what_is_damaged_is_not_told_while_timing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    source = image_folder(tmp_path)
    alone, together = time_threads(source, ImageConfig(size=32), WorkerConfig(2), np.zeros(1, np.int64))
    assert alone > 0
    assert together > 0
    with pytest.raises(Exception, match=r"broken\.jpg"):
        first_epoch(make_loaders(dict.fromkeys(SPLITS, source), num_workers=2, **SMALL))


def test_quick_images_are_not_worth_a_process() -> None:
    assert not is_gil_bound(alone=1e-4, together=1e-4)
