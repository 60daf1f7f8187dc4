"""Measuring a sweep of small images; no time is asserted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from perfsuite.advise.confidence import MIN_BLOCKS
from perfsuite.advise.inputs.loaders import load_user_dataset, load_user_loader
from perfsuite.advise.sweep import measure
from perfsuite.advise.sweep.advice import advise_on_sweep
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.loader_run import LoaderRun
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.measure import measure_sweep
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_loaders import ImageLoaders, UserSettingLoaders
from perfsuite.advise.sweep.sides import TurnTaker
from perfsuite.advise.sweep.step_side import step_of_model
from perfsuite.data.engines import auto
from perfsuite.data.loader import Loader
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.synthetic import dataset
from perfsuite.errors import DataError, UsageError
from perfsuite.measure import memory

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
    least: dict[str, Any] = {"min_blocks": MIN_BLOCKS, "seconds": 0.01}
    return SweepConfig(batch_size=4, loader_options=OPTIONS | loader_options, **least | fields)


def sweep_images(source: FileSource, config: SweepConfig, *more: Any, **named: Any) -> SweepReport:
    return measure_sweep(ImageLoaders(source, config), config, *more, **named)


def test_every_setting_is_measured_in_the_same_turns(images: FileSource) -> None:
    engines = ("threads", "processes", "subprocess")
    several = config(num_workers=(0, 2), engines=engines, loader_options={"start_method": "fork"})
    before = set(psutil.Process().children(recursive=True))
    report = sweep_images(images, several)
    assert [str(result.setting) for result in report.results] == [
        "num_workers=0",
        *(f"num_workers=2, engine={engine!r}, prefetch_factor=2" for engine in sorted(engines)),
    ]
    assert report.is_complete
    assert report.is_reproducible
    assert report.blocks >= MIN_BLOCKS
    turns = 2 * report.blocks
    for result in report.results:
        assert len(result.seconds_per_image) == len(result.other_modes["none"]) == report.blocks
        assert len(result.first_batch_seconds) == turns
        assert len(result.batch_seconds) == 3 * turns  # batches of a turn, without the first
        assert result.core_use is not None
        assert result.memory is not None
        # 4 x 3 x 32 x 32 floats and 4 labels; ahead of it bytes and labels, by engine
        assert result.memory.batch_bytes == 4 * (3 * 32 * 32 * 4 + 8)
        ahead = {"inline": 0, "processes": 4}.get(result.setting.engine, 2)
        assert result.memory.prefetch_bytes == ahead * 4 * (3 * 32 * 32 + 8)
        has_processes = result.setting.engine in ("processes", "subprocess")
        assert (result.memory.worker_bytes or 0) > 0 if has_processes else result.memory.worker_bytes is None
    assert not set(psutil.Process().children(recursive=True)) - before - trackers()


def trackers() -> set[psutil.Process]:
    """Python's own process for shared memory."""
    every = psutil.Process().children(recursive=True)
    return {process for process in every if "resource_tracker" in " ".join(process.cmdline())}


def test_without_augmentation_there_is_no_overhead(images: FileSource) -> None:
    report = sweep_images(images, config(num_workers=(0,), augmentation_modes=("none",)))
    assert report.results[0].overhead is None


def test_a_setting_whose_batches_differ_is_reported(
    images: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Loader.set_epoch

    def other_epochs_for_workers(self: Loader, epoch: int) -> None:
        plain(self, epoch + (self.engine != "inline"))

    monkeypatch.setattr(Loader, "set_epoch", other_epochs_for_workers)
    assert (
        sweep_images(images, config(num_workers=(0, 1), augmentation_modes=("none",))).is_reproducible
        is False
    )


def test_an_interrupt_between_blocks_leaves_the_finished_blocks(images: FileSource) -> None:
    def interrupt_after_three_blocks(message: str) -> None:
        if message.startswith("3 blocks"):
            raise KeyboardInterrupt

    report = sweep_images(images, config(num_workers=(0, 1)), interrupt_after_three_blocks)
    assert (report.blocks, report.is_complete) == (3, False)


def test_an_interrupt_in_a_turn_leaves_the_finished_blocks(
    images: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = interrupted_after(40)
    plain = LoaderRun.turn

    def turn(self: LoaderRun, *args: Any) -> float:
        next(turns)
        return plain(self, *args)

    monkeypatch.setattr(LoaderRun, "turn", turn)
    report = sweep_images(images, config(num_workers=(0, 1)))
    # 3 to calibrate, 4 to warm up, and a block of 4 runs is 8
    assert (report.blocks, report.is_complete) == (4, False)
    assert {len(result.seconds_per_image) for result in report.results} == {4}


def interrupted_after(turns: int) -> Iterator[None]:
    for _ in range(turns):
        yield
    raise KeyboardInterrupt


@pytest.mark.parametrize("when", ["num_workers=1", "warming up"])
def test_an_interrupt_before_the_first_block_is_passed_on(when: str, images: FileSource) -> None:
    def interrupt(message: str) -> None:
        if message.startswith(when):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep_images(images, config(num_workers=(0, 1)), interrupt)


def test_settings_are_unique_and_ordered_by_cost() -> None:
    combinations = SweepConfig(num_workers=(2, 0, 2), prefetch_factors=(4, 2))
    assert combinations.settings(("auto",)) == (LoaderSetting(0), LoaderSetting(2, 2), LoaderSetting(2, 4))


@pytest.mark.parametrize("wrong", [{"num_workers": ()}, {"num_workers": (-1,)}, {"seconds": 0}])
def test_an_invalid_config_is_a_usage_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        SweepConfig(**wrong)


def test_auto_is_one_engine_for_all_rows_of_a_table(
    images: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine that auto takes depends on the number of workers; rows must differ in workers alone."""
    monkeypatch.setattr(auto, "is_gil_bound", lambda alone, together: True)
    report = sweep_images(images, config(num_workers=(0, 1, 2), min_blocks=1))
    assert [result.setting.engine for result in report.results] == ["inline", "processes", "processes"]
    monkeypatch.setattr(auto, "is_gil_bound", lambda alone, together: False)
    both = config(num_workers=(1, 2), engines=("auto", "threads"), min_blocks=1)
    assert [result.setting.engine for result in sweep_images(images, both).results] == ["threads", "threads"]


def test_modes_are_measured_in_the_same_blocks_with_workers(images: FileSource) -> None:
    modes = config(num_workers=(0, 1), augmentation_modes=("moderate", "conservative", "aggressive"))
    report = sweep_images(images, modes)
    assert report.augmentation_mode == "moderate"
    for result in report.results:
        assert list(result.other_modes) == ["conservative", "aggressive", "none"]
        assert {len(seconds) for seconds in result.other_modes.values()} == {report.blocks}
        assert result.overhead_share is not None


class FakeTimer:
    """Advances by a second whenever it is read."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


def test_the_time_limit_ends_the_turns_and_the_time_left_is_shown(images: FileSource) -> None:
    messages: list[str] = []
    limited = config(num_workers=(0, 1), seconds=60.0, min_blocks=1)
    report = sweep_images(images, limited, messages.append, timer=FakeTimer())
    assert 1 <= report.blocks < MIN_BLOCKS
    assert report.is_complete
    left = [int(match[1]) for message in messages if (match := re.search(r"(\d+) s left", message))]
    assert left == sorted(left, reverse=True)
    assert len(left) > 2
    longer = config(num_workers=(0, 1), seconds=600.0, min_blocks=1)
    assert sweep_images(images, longer, timer=FakeTimer()).blocks > report.blocks


@pytest.mark.parametrize(("seconds_per_turn", "batches"), [(0.5, 8), (0.3, 4), (0.2, 4), (0.1, 8)])
def test_every_worker_makes_two_batches_in_a_turn_or_one_where_only_that_fits(
    images: FileSource, monkeypatch: pytest.MonkeyPatch, seconds_per_turn: float, batches: int
) -> None:
    """A batch takes 40 ms here; where not even one fits, there will be no intervals, and two are as good."""
    monkeypatch.setattr(measure, "TURN_SECONDS", 0.001)
    monkeypatch.setattr(measure, "_turn_seconds", lambda run, epoch: 0.04 * measure.CALIBRATION_BATCHES)
    monkeypatch.setattr(TurnTaker, "take", lambda taker: False)  # the turns themselves
    turns = (2 * MIN_BLOCKS + 2) * 3  # two settings, and the images alone
    messages: list[str] = []
    timed = config(
        num_workers=(1, 4),
        seconds=turns * seconds_per_turn,
        engines=("threads",),
        augmentation_modes=("none",),
    )
    with pytest.raises(KeyboardInterrupt):  # nothing was measured
        sweep_images(images, timed, messages.append)
    assert f"a first turn of {batches} batches" in messages[0]


@pytest.mark.parametrize("peak", [None, 2**30])
def test_a_step_takes_turns_with_the_loaders(
    images: FileSource, monkeypatch: pytest.MonkeyPatch, peak: int | None
) -> None:
    if peak is not None:  # as if the step ran on a device
        names = ("synchronize", "reset_peak_memory_stats", "max_memory_allocated", "max_memory_reserved")
        fake = SimpleNamespace(**dict.fromkeys(names, lambda: peak))
        monkeypatch.setattr(memory, "_active_cuda", lambda: fake)
    report = measure_sweep(
        *(ImageLoaders(images, one := config(num_workers=(0,), min_blocks=3)), one),
        make_step=step_of_model("tests.advise.inputs.user_things:Net", "cpu"),
    )
    assert len(report.step_seconds_per_image) == report.blocks
    assert report.loading_over_step(report.results[0]) is not None
    assert report.device_peak_bytes == peak


def test_a_model_with_fewer_scores_than_classes_is_an_error(images: FileSource) -> None:
    one = config(num_workers=(0,))
    make_step = step_of_model("tests.advise.inputs.user_things:OneScore", "cpu")
    with pytest.raises(UsageError, match="1 scores for each image, expected more than the largest label, 1"):
        measure_sweep(ImageLoaders(images, one), one, make_step=make_step)


@pytest.mark.parametrize(
    "name", ["loader", "dict_loader", "dataclass_loader", "stream_loader", "make_loader"]
)
def test_loaders_of_the_users_own_are_measured(name: str) -> None:
    users = UserSettingLoaders(load_user_loader(f"tests.advise.inputs.user_things:{name}", 4))
    report = measure_sweep(users, config(num_workers=(0, 1), min_blocks=2))
    assert [result.setting.label for result in report.results] == ["0 DataLoader", "1 DataLoader +2"]
    assert str(report.results[1].setting) == "num_workers=1, prefetch_factor=2"
    assert (report.blocks, report.is_reproducible) == (2, None)
    assert report.images_per_epoch == (None if name == "stream_loader" else 24)
    assert report.mean is not None
    for result in report.results:
        assert result.memory is not None
        assert result.memory.batch_bytes == 4 * (3 * 16 * 16 * 4 + 8)
        assert result.overhead is None


def test_a_dataset_and_plain_batches_are_measured() -> None:
    dataset_of_user = UserSettingLoaders(load_user_dataset("tests.advise.inputs.user_things:Images", 4))
    assert measure_sweep(dataset_of_user, config(num_workers=(0,), min_blocks=1)).images_per_epoch == 24
    plain = UserSettingLoaders(load_user_loader("tests.advise.inputs.user_things:plain_batches", 4))
    assert measure_sweep(plain, config(num_workers=(0,), min_blocks=1)).images_per_epoch == 24


def test_an_error_in_a_loader_of_the_users_own_is_named_with_the_loader() -> None:
    users = UserSettingLoaders(load_user_loader("tests.advise.inputs.user_things:failing_loader", 4))
    with pytest.raises(DataError, match=r"failing_loader: ZeroDivisionError: .*expected batches"):
        measure_sweep(users, config(num_workers=(0,)))


def test_a_setting_whose_workers_die_is_left_out_and_named() -> None:
    users = UserSettingLoaders(load_user_loader("tests.advise.inputs.user_things:dying_loader", 4))
    report = measure_sweep(users, config(num_workers=(0, 1), min_blocks=1))
    assert [result.setting.num_workers for result in report.results] == [0]
    assert list(report.failures) == ["1 DataLoader +2"]
    assert "failed and is left out" in " ".join(advise_on_sweep(report))


def test_a_setting_that_cannot_win_is_stopped_and_keeps_its_blocks(
    images: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LoaderRun.turn

    def turn(self: LoaderRun, *args: Any) -> float:
        plain(self, *args)
        return 1.0 + self.setting.num_workers

    monkeypatch.setattr(LoaderRun, "turn", turn)
    modes: dict[str, Any] = {"augmentation_modes": ("none",), "stops_early": True}
    report = sweep_images(images, config(num_workers=(0, 1), min_blocks=12, seconds=300.0, **modes))
    none, one = report.results
    assert (none.is_stopped, one.is_stopped) == (False, True)
    assert (len(none.seconds_per_image), len(one.seconds_per_image)) == (12, 6)
    assert (report.fastest, report.choice().result, report.choice().is_clear) == (none, none, True)
    assert report.speedup(one).value == 0.5
    exhaustive = sweep_images(images, config(num_workers=(0, 1), min_blocks=12, augmentation_modes=("none",)))
    assert {len(result.seconds_per_image) for result in exhaustive.results} == {12}


def test_a_setting_that_fails_in_the_middle_is_left_out_and_the_others_go_on(
    images: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LoaderRun.turn

    def turn(self: LoaderRun, *args: Any) -> float:
        if self.setting.num_workers and len(self.seconds_per_image) == 2:
            raise RuntimeError("worker killed")
        return plain(self, *args)

    monkeypatch.setattr(LoaderRun, "turn", turn)
    report = sweep_images(images, config(num_workers=(0, 1)))
    assert [result.setting.num_workers for result in report.results] == [0]
    assert report.blocks >= MIN_BLOCKS
    assert list(report.failures.values()) == ["worker killed"]


def test_several_decoders_and_batch_sizes_are_settings_too(images: FileSource) -> None:
    several = config(num_workers=(0,), decoders=("pillow", "opencv"), batch_sizes=(4, 8), min_blocks=1)
    report = sweep_images(images, several)
    assert [result.setting.label for result in report.results] == [
        *("0 inline opencv b4", "0 inline pillow b4", "0 inline opencv b8", "0 inline pillow b8"),
    ]
    assert report.is_reproducible  # each decoder and batch size by itself
    sizes = [result.memory.batch_bytes for result in report.results if result.memory is not None]
    assert sizes[0] * 2 == sizes[2]
