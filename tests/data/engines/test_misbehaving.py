"""A source that misbehaves has the same outcome with every engine, and the next epoch is complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from perfsuite.data.engines.worker_environment import worker_death_advice
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.base import Subset
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.splits import SPLITS
from perfsuite.data.synthetic import dataset
from tests.data.engines.lossy_engine import LossyEngine
from tests.data.engines.misbehaving import (
    BAD_ROW,
    BATCH_SIZE,
    BEHAVIORS,
    HARMLESS,
    HangingSource,
    HarmlessSource,
    KilledSource,
    MisbehavingSource,
    Outcome,
    copy_of,
    cured,
    loader_of,
    run_epoch,
)

IMAGES, BEFORE_THE_BAD_BATCH = 2 * BATCH_SIZE, BATCH_SIZE
ENGINES = [("threads", 0), ("threads", 2), ("processes", 2), ("subprocess", 2), ("device", 2), ("auto", 2)]
WITH_WORKERS = ["threads", "processes", "subprocess", "device"]
WITH_PROCESSES = ["processes", "subprocess"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    folder = tmp_path_factory.mktemp("few") / "p"
    return image_folder(dataset.make_dataset(folder, images=IMAGES, classes=2, size=(32, 32)))


class Loaders:
    """One loader per engine and policy, whose workers serve all tests; each source reads `control`."""

    def __init__(self, files: FileSource, control: Path) -> None:
        self._control = control
        self._source = copy_of(MisbehavingSource, files, control=str(control))
        self._loaders: dict[tuple[str, int, str], Loader] = {}

    def open(self, engine: str, workers: int, policy: str) -> Loader:
        return loader_of(self._source, engine, workers, policy)

    def outcome(self, behavior: str, engine: str, workers: int, policy: str) -> Outcome:
        key = (engine, workers, policy)
        if key not in self._loaders:
            self._loaders[key] = self.open(*key)
        return self.outcome_of(self._loaders[key], behavior)

    def outcome_of(self, loader: Loader, behavior: str) -> Outcome:
        """The outcome of an epoch; the next one, of a well-behaved source, must be complete."""
        self._control.write_text(behavior)
        loader.faults.reasons.clear()
        outcome = run_epoch(loader)
        self._control.write_text("")
        loader.faults.reasons.clear()
        assert run_epoch(loader) == Outcome("", "", IMAGES), (loader.engine, behavior)
        return outcome

    def close(self) -> None:
        for loader in self._loaders.values():
            loader.close()


@pytest.fixture(scope="module")
def loaders(files: FileSource, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaders]:
    before = child_pids()
    opened = Loaders(files, tmp_path_factory.mktemp("control") / "behavior")
    yield opened
    opened.close()
    assert child_pids() <= before


def child_pids() -> set[int]:
    children = psutil.Process().children(recursive=True)
    return {child.pid for child in children if "resource_tracker" not in " ".join(child.cmdline())}


def test_there_are_at_least_sixty_misbehaving_sources() -> None:
    assert len(BEHAVIORS) >= 60


TIME_LIMIT = 12  # seconds: it counts from the start of the worker, which is forked, on a busy machine


@pytest.mark.parametrize("policy", ["raise", "skip"])
@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_every_engine_has_the_same_outcome(loaders: Loaders, behavior: str, policy: str) -> None:
    expected = loaders.outcome(behavior, "threads", 0, policy)
    is_fault = policy == "skip" and not expected.error
    assert expected.images == (IMAGES - 1 if is_fault else BEFORE_THE_BAD_BATCH)
    assert len(expected.faults) == is_fault
    for engine, workers in ENGINES[1:]:
        assert loaders.outcome(behavior, engine, workers, policy) == expected, engine


def test_an_engine_that_hides_errors_has_another_outcome(loaders: Loaders) -> None:
    """The negative control, as is the next test."""
    loader = loaders.open("threads", 0, "raise")
    loader._engine = LossyEngine(loader._engine, hides_errors=True)
    assert loaders.outcome_of(loader, "StopIteration") == Outcome("", "", BEFORE_THE_BAD_BATCH)
    assert loaders.outcome("StopIteration", "threads", 0, "raise").error == "DataError"


def test_an_engine_whose_next_epoch_is_cut_is_found(loaders: Loaders) -> None:
    loader = loaders.open("threads", 0, "raise")
    loader._engine = LossyEngine(loader._engine, cuts_later_epochs=True)
    with pytest.raises(AssertionError, match=f"images: {IMAGES - BATCH_SIZE} != {IMAGES}"):
        loaders.outcome_of(loader, "StopIteration")


@pytest.mark.parametrize("behavior", HARMLESS)
def test_other_kinds_of_bytes_are_images_too(files: FileSource, behavior: str) -> None:
    for engine, workers in ENGINES:
        loader = loader_of(copy_of(HarmlessSource, files, behavior=behavior), engine, workers, "raise")
        try:
            assert run_epoch(loader) == Outcome("", "", IMAGES)
        finally:
            loader.close()


@pytest.mark.parametrize(
    ("how", "ending", "code"),
    [
        ("kill", "was killed by signal 9 (SIGKILL)", -9),
        ("abort", "was killed by signal 6 (SIGABRT)", -6),
        ("exit", "ended with exit code 5", 5),
    ],
)
def test_a_killed_worker_process_names_the_signal_and_the_image(
    files: FileSource, tmp_path: Path, how: str, ending: str, code: int
) -> None:
    cure, before = tmp_path / "cure", child_pids()
    expected = Outcome(
        "DataError",
        f"loader: a worker process {ending} at {files.name(BAD_ROW)}, expected it to run; "
        f"{worker_death_advice(code)}",
        BEFORE_THE_BAD_BATCH,
    )
    for engine in WITH_PROCESSES:
        loader = loader_of(copy_of(KilledSource, files, cure=str(cure), how=how), engine, 1, "skip")
        try:
            assert run_epoch(loader) == expected
            with cured(cure):
                assert run_epoch(loader) == Outcome("", "", IMAGES)
        finally:
            loader.close()
    assert child_pids() <= before


@pytest.mark.parametrize("engine", WITH_WORKERS)
def test_a_hanging_read_is_an_error_that_names_worker_and_file(
    files: FileSource, tmp_path: Path, engine: str
) -> None:
    cure = tmp_path / "cure"
    loader = loader_of(copy_of(HangingSource, files, cure=str(cure)), engine, 1, "skip", timeout=TIME_LIMIT)
    try:
        outcome = run_epoch(loader)
        assert outcome.error == "DataError"
        assert outcome.message.startswith("loader: no batch within 12 s (")
        assert f" is at {files.name(BAD_ROW)}), expected one; check where" in outcome.message
        assert ("worker 1 of 1" in outcome.message) == (engine != "device")
        assert outcome.images == BEFORE_THE_BAD_BATCH
        with cured(cure):
            assert run_epoch(loader) == Outcome("", "", IMAGES)
    finally:
        cure.touch()  # a thread that hangs can end
        loader.close()


@pytest.mark.parametrize("engine", WITH_PROCESSES)
def test_a_stopped_worker_process_is_an_error_and_does_not_remain(
    files: FileSource, tmp_path: Path, engine: str
) -> None:
    cure, before = tmp_path / "cure", child_pids()
    source = copy_of(KilledSource, files, cure=str(cure), how="stop")
    loader = loader_of(source, engine, 1, "skip", timeout=TIME_LIMIT)
    try:
        outcome = run_epoch(loader)
        assert outcome.error == "DataError"
        assert f"is at {files.name(BAD_ROW)}" in outcome.message
        assert child_pids() <= before
        with cured(cure):
            assert run_epoch(loader) == Outcome("", "", IMAGES)
    finally:
        loader.close()


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), float("inf")])
def test_a_time_limit_is_a_number_from_zero(files: FileSource, timeout: float) -> None:
    with pytest.raises(ValueError, match=r"timeout: .*, expected seconds from 0"):
        loader_of(files, "threads", 1, "raise", timeout=timeout)


def test_a_zero_time_limit_is_none_and_a_slow_epoch_within_it_is_no_error(files: FileSource) -> None:
    for timeout in (0.0, 60.0):
        loader = loader_of(files, "processes", 1, "raise", timeout=timeout)
        try:
            assert run_epoch(loader) == Outcome("", "", IMAGES)
        finally:
            loader.close()


UNEVEN: dict[str, Any] = {"rank": 1, "world_size": 2, "uneven": "keep"}


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_an_empty_batch_of_a_rank_with_fewer_images_is_given(
    files: FileSource, engine: str, workers: int
) -> None:
    few = Subset(files, np.arange(5))
    loader = make_loaders(
        dict.fromkeys(SPLITS, few), 2, workers, image_size=32, engine=engine, start_method="fork", **UNEVEN
    ).train
    try:
        for _ in range(2):
            assert [tuple(images.shape) for images, _ in loader] == [(2, 3, 32, 32), (0, 3, 32, 32)]
    finally:
        loader.close()
