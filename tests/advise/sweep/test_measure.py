"""Measuring a sweep of small images; no time is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from perfsuite.advise.sweep import measure
from perfsuite.advise.sweep.measure import SweepConfig, measure_sweep
from perfsuite.advise.sweep.report import MIN_BLOCKS, LoaderSetting
from perfsuite.data.loader import Loader
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.synthetic import dataset
from perfsuite.errors import NothingMeasuredError, UsageError

OPTIONS = {"image_size": 32}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    return image_folder(
        dataset.make_dataset(tmp_path_factory.mktemp("p") / "p", images=8, classes=2, size=(80, 60))
    )


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "TURN_SECONDS", 0.001)


def config(loader_options: dict[str, Any] = {}, **fields: Any) -> SweepConfig:  # noqa: B006 - read only
    return SweepConfig(batch_size=4, seconds=0.01, loader_options=OPTIONS | loader_options, **fields)


def test_every_setting_is_measured_in_the_same_turns(images: FileSource) -> None:
    engines = ("threads", "processes", "subprocess")
    several = config(num_workers=(0, 2), engines=engines, loader_options={"start_method": "fork"})
    before = set(psutil.Process().children(recursive=True))
    report = measure_sweep(images, several)
    assert [str(result.setting) for result in report.results] == [
        "num_workers=0",
        *(f"num_workers=2, engine={engine!r}, prefetch_factor=2" for engine in sorted(engines)),
    ]
    assert report.is_complete
    assert report.is_reproducible
    assert report.blocks >= MIN_BLOCKS
    turns = 2 * report.blocks
    for result in report.results:
        assert len(result.seconds_per_image) == len(result.plain_seconds_per_image) == report.blocks
        assert len(result.first_batch_seconds) == turns
        assert len(result.batch_seconds) == 3 * turns  # batches of a turn, without the first
        assert result.core_use is not None
        assert result.memory is not None
        # 4 x 3 x 32 x 32 floats and 4 labels; ahead of it bytes and labels, by engine
        assert result.memory.batch_bytes == 4 * (3 * 32 * 32 * 4 + 8)
        ahead = {"inline": 0, "processes": 4}.get(result.setting.engine, 2)
        assert result.memory.prefetch_bytes == ahead * 4 * (3 * 32 * 32 + 8)
    assert not set(psutil.Process().children(recursive=True)) - before - trackers()


def trackers() -> set[psutil.Process]:
    """Python's own process for shared memory."""
    every = psutil.Process().children(recursive=True)
    return {process for process in every if "resource_tracker" in " ".join(process.cmdline())}


def test_without_augmentation_there_is_no_overhead(images: FileSource) -> None:
    report = measure_sweep(images, config(num_workers=(0,), augmentation_mode="none"))
    assert report.results[0].overhead is None


def test_a_setting_whose_batches_differ_is_reported(
    images: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Loader.set_epoch

    def other_epochs_for_workers(self: Loader, epoch: int) -> None:
        plain(self, epoch + (self.engine != "inline"))

    monkeypatch.setattr(Loader, "set_epoch", other_epochs_for_workers)
    assert (
        measure_sweep(images, config(num_workers=(0, 1), augmentation_mode="none")).is_reproducible is False
    )


def test_an_interrupt_between_blocks_leaves_the_finished_blocks(images: FileSource) -> None:
    def interrupt_after_three_blocks(message: str) -> None:
        if message.startswith("3 blocks"):
            raise KeyboardInterrupt

    report = measure_sweep(images, config(num_workers=(0, 1)), interrupt_after_three_blocks)
    assert (report.blocks, report.is_complete) == (3, False)


def test_an_interrupt_in_a_turn_leaves_the_finished_blocks(
    images: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = interrupted_after(40)
    plain = measure._LoaderRun.turn

    def turn(self: Any, *args: Any) -> float:
        next(turns)
        return plain(self, *args)

    monkeypatch.setattr(measure._LoaderRun, "turn", turn)
    report = measure_sweep(images, config(num_workers=(0, 1)))
    # 3 to calibrate, 4 to warm up, and a block of 4 runs is 8
    assert (report.blocks, report.is_complete) == (4, False)
    assert {len(result.seconds_per_image) for result in report.results} == {4}


def interrupted_after(turns: int) -> Iterator[None]:
    for _ in range(turns):
        yield
    raise KeyboardInterrupt


def test_an_interrupt_before_the_first_block_is_an_error(images: FileSource) -> None:
    def interrupt(message: str) -> None:
        if message == "warming up":
            raise KeyboardInterrupt

    with pytest.raises(NothingMeasuredError, match="interrupted before"):
        measure_sweep(images, config(num_workers=(0, 1)), interrupt)


def test_settings_are_unique_and_ordered_by_cost() -> None:
    combinations = SweepConfig(num_workers=(2, 0, 2), prefetch_factors=(4, 2))
    assert combinations.settings == (LoaderSetting(0), LoaderSetting(2, 2), LoaderSetting(2, 4))


@pytest.mark.parametrize("wrong", [{"num_workers": ()}, {"num_workers": (-1,)}, {"seconds": 0}])
def test_an_invalid_config_is_a_usage_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        SweepConfig(**wrong)
