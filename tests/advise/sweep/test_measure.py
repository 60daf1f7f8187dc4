"""The measuring part of a sweep on small images; nothing is asserted of a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from perfsuite.advise.sweep import measure
from perfsuite.advise.sweep.measure import SweepConfig, measure_sweep
from perfsuite.advise.sweep.results import MIN_BLOCKS, LoaderSetting
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


def question(**told: Any) -> SweepConfig:
    return SweepConfig(batch_size=4, seconds=0.01, options=OPTIONS | told.pop("options", {}), **told)


def test_every_setting_is_seen_in_the_same_turns(images: FileSource) -> None:
    engines = ("threads", "processes", "subprocess")
    asked = question(workers=(0, 2), engines=engines, options={"start_method": "fork"})
    before = set(psutil.Process().children(recursive=True))
    found = measure_sweep(images, asked)
    assert [str(seen.setting) for seen in found.seen] == [
        "num_workers=0",
        *(f"num_workers=2, engine={engine!r}, prefetch_factor=2" for engine in sorted(engines)),
    ]
    assert found.is_complete
    assert found.is_reproducible
    assert found.blocks >= MIN_BLOCKS
    turns = 2 * found.blocks
    for seen in found.seen:
        assert len(seen.seconds_per_image) == len(seen.plain_seconds_per_image) == found.blocks
        assert len(seen.first_batch_seconds) == turns
        assert len(seen.batch_seconds) == 3 * turns  # batches of a turn, without the first
        assert seen.core_use is not None
        assert seen.memory is not None
        # 4 x 3 x 32 x 32 floats and 4 labels; ahead of it bytes and labels, by engine
        assert seen.memory.batch_bytes == 4 * (3 * 32 * 32 * 4 + 8)
        ahead = {"inline": 0, "processes": 4}.get(seen.setting.engine, 2)
        assert seen.memory.prefetch_bytes == ahead * 4 * (3 * 32 * 32 + 8)
    assert not set(psutil.Process().children(recursive=True)) - before - trackers()


def trackers() -> set[psutil.Process]:
    """What Python itself keeps for shared memory."""
    every = psutil.Process().children(recursive=True)
    return {process for process in every if "resource_tracker" in " ".join(process.cmdline())}


def test_without_augmentation_there_is_no_cost_of_it(images: FileSource) -> None:
    found = measure_sweep(images, question(workers=(0,), mode="none"))
    assert found.seen[0].overhead is None


def test_a_setting_whose_batches_differ_is_found(images: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Loader.set_epoch

    def other_epochs_for_workers(self: Loader, epoch: int) -> None:
        plain(self, epoch + (self.engine != "inline"))

    monkeypatch.setattr(Loader, "set_epoch", other_epochs_for_workers)
    assert measure_sweep(images, question(workers=(0, 1), mode="none")).is_reproducible is False


def test_breaking_off_keeps_the_blocks_that_were_finished(images: FileSource) -> None:
    def break_off_after_three(doing: str) -> None:
        if doing.startswith("3 blocks"):
            raise KeyboardInterrupt

    found = measure_sweep(images, question(workers=(0, 1)), break_off_after_three)
    assert (found.blocks, found.is_complete) == (3, False)


def test_breaking_off_in_a_turn_keeps_whole_blocks(
    images: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = interrupted_after(40)
    plain = measure._LoaderRun.turn

    def turn(self: Any, *told: Any) -> float:
        next(turns)
        return plain(self, *told)

    monkeypatch.setattr(measure._LoaderRun, "turn", turn)
    found = measure_sweep(images, question(workers=(0, 1)))
    # 3 to calibrate, 4 to warm up, and a block of 4 arms is 8
    assert (found.blocks, found.is_complete) == (4, False)
    assert {len(seen.seconds_per_image) for seen in found.seen} == {4}


def interrupted_after(turns: int) -> Iterator[None]:
    for _ in range(turns):
        yield
    raise KeyboardInterrupt


def test_breaking_off_before_a_block_is_an_error(images: FileSource) -> None:
    def break_off(doing: str) -> None:
        if doing == "warming up":
            raise KeyboardInterrupt

    with pytest.raises(NothingMeasuredError, match="broken off before"):
        measure_sweep(images, question(workers=(0, 1)), break_off)


def test_settings_come_once_each_and_in_the_order_of_what_they_cost() -> None:
    asked = SweepConfig(workers=(2, 0, 2), prefetches=(4, 2))
    assert asked.settings == (LoaderSetting(0), LoaderSetting(2, 2), LoaderSetting(2, 4))


@pytest.mark.parametrize("wrong", [{"workers": ()}, {"workers": (-1,)}, {"seconds": 0}])
def test_what_cannot_be_measured_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        SweepConfig(**wrong)
