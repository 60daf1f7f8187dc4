"""The result of `perfsuite advise`: the races, the pipeline's sides in turns, the diagnosis, the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from perfsuite.advise.bottleneck.diagnosis import Diagnosis, PipelineTimes
from perfsuite.advise.bottleneck.training_side import TrainingSpan
from perfsuite.advise.confidence import LEVEL
from perfsuite.advise.profile.cold_files import ColdFileTimes, NoColdFiles
from perfsuite.advise.run_time import epoch_seconds
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_result import SettingResult, estimate_rate
from perfsuite.advise.tuning.candidates import AUTO
from perfsuite.advise.tuning.tune import Race, TuningResult
from perfsuite.data.speed_settings import SpeedSettings
from perfsuite.judge.metrics import MetricEstimate

TRAINING, CACHED = "training", "cached"  # names of the further sides


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """The model whose step was measured."""

    name: str
    device: str
    is_stand_in: bool  # perfsuite's small one, because the user named none


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderAdvice:
    """Everything that was measured, as far as it got, and what to set."""

    subject: str  # the folder, or the option that named the user's loader
    batch_size: int  # the first one
    is_user_loader: bool
    tuning: TuningResult
    pipeline: SweepReport | None = None  # no workers and the advised setting, with and without augmentation
    times: PipelineTimes | None = None
    diagnosis: Diagnosis | None = None
    cold_files: ColdFileTimes | NoColdFiles | None = None
    model: TrainedModel | None = None
    gpu_busy_percent: float | None = None  # while training
    training_spans: tuple[TrainingSpan, ...] = ()  # of the last turn of training
    device_peak_bytes: int | None = None
    notes: Sequence[str] = ()  # what was not measured, and why
    is_complete: bool = True

    @property
    def setting(self) -> LoaderSetting:
        """The setting that the races lead to."""
        return self.tuning.setting

    @property
    def speed_settings(self) -> SpeedSettings:
        """What to write into a settings file."""
        setting = self.setting
        has_workers = setting.num_workers > 0
        return SpeedSettings(
            batch_size=setting.batch_size or self.batch_size,
            num_workers=setting.num_workers,
            engine=setting.engine if has_workers and not self.is_user_loader else None,
            prefetch_factor=setting.prefetch_factor if has_workers else None,
            decoder=None if setting.decoder in (None, AUTO) else setting.decoder,
        )

    @property
    def last_race(self) -> Race:
        return self.tuning.races[-1]

    @property
    def result(self) -> SettingResult:
        """The advised setting, from the pipeline's turns where these were taken."""
        if self.pipeline is None:
            return self.last_race.winner
        return self.pipeline.results[-1]

    @property
    def report(self) -> SweepReport:
        """The turns that `result` belongs to."""
        return self.last_race.report if self.pipeline is None else self.pipeline

    def training_epoch(self) -> MetricEstimate | None:
        """The time of an epoch, from loading and stepping together where that was measured."""
        report = self.report
        training = report.other_sides.get(TRAINING, ())
        if report.images_per_epoch is not None and training:
            return epoch_seconds(training, report.images_per_epoch, LEVEL)
        return report.training_epoch(self.result)


@dataclass(frozen=True, slots=True)
class ModeRow:
    """One line of the differential table: a name, images per second, and the speed relative to the advice."""

    name: str
    rate: MetricEstimate
    relative: float


def mode_rows(advice: LoaderAdvice) -> list[ModeRow]:
    """Loading and training with one thing left out at a time, the advised setting first."""
    report = advice.pipeline
    if report is None:
        return []
    chosen = advice.result
    sides = {"loading, as advised": chosen.seconds_per_image}
    if report.reference is not chosen:
        sides["loading, no workers"] = report.reference.seconds_per_image
    for mode, seconds in chosen.other_modes.items():
        sides[f"loading, augmentation {mode}"] = seconds
    sides["loading, decoded images in memory"] = report.other_sides.get(CACHED, ())
    if advice.model is not None:
        where = f"{advice.model.name} on {advice.model.device}"
        sides[f"the step alone, {where}"] = report.step_seconds_per_image
        sides["training: loading and the step"] = report.other_sides.get(TRAINING, ())
    base = median(chosen.seconds_per_image)
    return [
        ModeRow(name, estimate_rate(seconds), base / median(seconds))
        for name, seconds in sides.items()
        if seconds
    ]
