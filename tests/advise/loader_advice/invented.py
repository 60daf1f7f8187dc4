"""Invented races, pipelines and advice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from perfsuite.advise.bottleneck.diagnosis import PipelineTimes, diagnose
from perfsuite.advise.bottleneck.training_side import STEP, WAIT, TrainingSpan
from perfsuite.advise.loader_advice.result import CACHED, TRAINING, LoaderAdvice, TrainedModel
from perfsuite.advise.machine import MachineFacts
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_result import CoreUse, HostMemory, SettingResult
from perfsuite.advise.tuning.tune import Race, TuningResult

STEADY = (1.0, 1.001, 0.999, 1.002, 0.998, 1.0, 1.001, 0.999)
SecondsOf = Callable[[LoaderSetting], float]


def turns(seconds: float) -> tuple[float, ...]:
    return tuple(seconds * factor for factor in STEADY)


def result_of(setting: LoaderSetting, seconds: float) -> SettingResult:
    engine = setting.engine if setting.num_workers else "inline"
    return SettingResult(
        replace(setting, engine=engine),
        turns(seconds),
        batch_seconds=turns(32 * seconds) * 4,
        first_batch_seconds=turns(40 * seconds),
        core_use=CoreUse(0.4, 1.5),
        memory=HostMemory(19_267_840, 38_600_000, 200_000_000),
    )


def race_report(config: SweepConfig, seconds_of: SecondsOf) -> SweepReport:
    """What a race with these settings would measure."""
    results = tuple(result_of(setting, seconds_of(setting)) for setting in config.only)
    return SweepReport(config.batch_size, results, images_per_epoch=2000, epochs=config.epochs)


def advice(**changes: object) -> LoaderAdvice:
    """Two threads load twice as fast as none; decoding is the bottleneck, the step is fast."""
    chosen, none = LoaderSetting(2, 2, "threads"), LoaderSetting(0)
    race = SweepReport(
        32, (result_of(none, 0.004), result_of(chosen, 0.002)), images_per_epoch=2000, epochs=50
    )
    times = PipelineTimes(
        loading=turns(0.002),
        step=turns(0.0005),
        training=turns(0.0022),
        cached=turns(0.0008),
        stage_seconds={"read": 0.0003, "decode": 0.0025, "augment": 0.0008, "normalize": 0.0004},
        num_workers=2,
    )
    pipeline = replace(
        race,
        step_seconds_per_image=times.step,
        other_sides={CACHED: times.cached, TRAINING: times.training},
        machine=MachineFacts(platform="linux", cores=2, available_bytes=2**34, start_method="fork"),
        mean=0.01,
        std=1.01,
        is_reproducible=True,
    )
    values: dict[str, object] = {
        "subject": "images",
        "batch_size": 32,
        "is_user_loader": False,
        "tuning": TuningResult((Race("workers", race),), chosen),
        "pipeline": pipeline,
        "times": times,
        "diagnosis": diagnose(times),
        "model": TrainedModel("small", "cpu", is_stand_in=True),
        "training_spans": (TrainingSpan(WAIT, 0.0, 0.05), TrainingSpan(STEP, 0.05, 0.07)),
    }
    return LoaderAdvice(**values | changes)  # type: ignore[arg-type]
