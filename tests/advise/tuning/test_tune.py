"""Races and their winner, with a machine whose speed for each setting is invented."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.sides import StatusCallback
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.advise.tuning.tune import SearchSpace, TuningResult, tune
from perfsuite.errors import NothingMeasuredError
from tests.advise.loader_advice.invented import SecondsOf, race_report

SPACE = SearchSpace(
    num_workers=(0, 1, 2, 4),
    engines=("threads", "processes"),
    decoders=("auto", "pillow"),
    prefetch_factors=(2, 1, 4),
    batch_sizes=(32, 64),
)


def scaling(setting: LoaderSetting) -> float:
    """Workers help up to two; Pillow is slow, processes cost a little, deeper queues and batches nothing."""
    seconds = 0.004 / max(1, min(2, setting.num_workers))
    slower = 1.5 if setting.decoder == "pillow" else 1.0
    return seconds * slower * (1.1 if setting.engine == "processes" else 1.0)


def tuned(seconds_of: SecondsOf, space: SearchSpace = SPACE, **config: object) -> TuningResult:
    def measure(race: SweepConfig, on_progress: StatusCallback) -> SweepReport:
        return race_report(race, seconds_of)

    limit = TimeLimit.start(60.0, timer=lambda: 0.0)
    return tune(space, SweepConfig(**config), limit, measure)  # type: ignore[arg-type]


def test_the_cheapest_of_the_fastest_settings_wins() -> None:
    result = tuned(scaling)
    assert result.setting == LoaderSetting(2, 1, "threads")
    assert [race.subject for race in result.races] == ["decoder", "workers", "batches"]


def test_each_option_is_chosen_where_it_is_faster() -> None:
    def odd(setting: LoaderSetting) -> float:
        seconds = scaling(setting)
        seconds *= 0.5 if setting.decoder == "pillow" else 1.0
        seconds *= 0.8 if setting.engine == "processes" else 1.0
        seconds *= 0.8 if setting.batch_size == 64 else 1.0
        return seconds * (0.9 if setting.prefetch_factor == 4 else 1.0)

    assert tuned(odd).setting == LoaderSetting(2, 2, "processes", "pillow", batch_size=64)


def test_without_a_gain_from_workers_none_are_advised() -> None:
    result = tuned(lambda setting: 0.004 + 0.001 * setting.num_workers)
    assert (result.setting.num_workers, result.setting.engine) == (0, "auto")


def test_where_the_turns_separate_nothing_the_winner_is_near_the_fastest_and_not_the_cheapest() -> None:
    def measure(race: SweepConfig, on_progress: StatusCallback) -> SweepReport:
        report = race_report(race, lambda setting: scaling(setting))
        one_block = [replace(each, seconds_per_image=each.seconds_per_image[:1]) for each in report.results]
        return replace(report, results=tuple(one_block))

    limit = TimeLimit.start(60.0, timer=lambda: 0.0)
    result = tune(SPACE, SweepConfig(), limit, measure)
    assert result.worker_race is not None
    assert not result.worker_race.choice.is_clear
    assert (result.worker_race.choice.result.setting.num_workers, result.setting.num_workers) == (0, 2)


def test_a_loader_of_the_users_own_has_no_decoders_to_race() -> None:
    space = SearchSpace((0, 2), ("DataLoader",), (), (2, 4), (32,))
    result = tuned(scaling, space)
    assert [race.subject for race in result.races] == ["workers", "batches"]
    assert result.setting == LoaderSetting(2, 2, "DataLoader")


def test_an_interrupt_keeps_the_races_until_then() -> None:
    def interrupted(setting: LoaderSetting) -> float:
        if setting.num_workers:
            raise KeyboardInterrupt
        return scaling(setting)

    result = tuned(interrupted)
    assert not result.is_complete
    assert [race.subject for race in result.races] == ["decoder"]
    assert result.setting.num_workers == 0


def test_no_race_follows_one_that_was_interrupted() -> None:
    def measure(race: SweepConfig, on_progress: StatusCallback) -> SweepReport:
        return replace(race_report(race, scaling), is_complete=False)

    limit = TimeLimit.start(60.0, timer=lambda: 0.0)
    result = tune(SPACE, SweepConfig(), limit, measure)
    assert not result.is_complete
    assert [race.subject for race in result.races] == ["decoder"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, NothingMeasuredError])
def test_without_any_race_an_interrupt_is_passed_on(error: type[BaseException]) -> None:
    def interrupted(setting: LoaderSetting) -> float:
        raise error

    with pytest.raises(error):
        tuned(interrupted)
