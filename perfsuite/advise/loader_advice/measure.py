"""Measure what the advice needs: the races, then every side of the pipeline in turns, then the stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from perfsuite.advise.bottleneck.diagnosis import PipelineTimes, diagnose
from perfsuite.advise.bottleneck.stages import measure_stages
from perfsuite.advise.bottleneck.training_side import TrainingRun
from perfsuite.advise.inputs.batches import images_and_labels
from perfsuite.advise.inputs.models import STAND_IN, load_model_for
from perfsuite.advise.loader_advice.files import files_of, files_outgrow_memory
from perfsuite.advise.loader_advice.result import CACHED, TRAINING, LoaderAdvice, TrainedModel
from perfsuite.advise.profile.cold_files import ColdFileTimes, NoColdFiles, measure_cold_files
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.loader_run import LoaderRun, SweepSide
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.measure import measure_sweep
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_loaders import ImageLoaders, SettingLoaders, UserSettingLoaders
from perfsuite.advise.sweep.sides import StatusCallback
from perfsuite.advise.sweep.step_side import step_of_model
from perfsuite.advise.time_limit import TimeLimit, fail_when_hung, format_duration
from perfsuite.advise.tuning.tune import OpenLoaders, SearchSpace, TuningResult, race_in_turns, tune
from perfsuite.errors import DataError, PerfsuiteError
from perfsuite.measure.clock import make_clock
from perfsuite.measure.memory import cuda_peak_bytes
from perfsuite.training.devices import choose_device

# Shares of the whole time; reading cold files takes what is left.
RACES_SHARE, PIPELINE_SHARE, STAGES_SHARE = 0.6, 0.3, 0.05
TRAINING_TURN_SECONDS = 0.8
MIN_TRAINING_BATCHES = 2
MAX_COLD_FILES = 128
# perfsuite's loaders do these in the thread that takes the batches.
MAIN_THREAD_STAGES = ("normalize", "targets")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceRequest:
    """What to advise on, and for how long to measure."""

    subject: str
    open_loaders: OpenLoaders
    space: SearchSpace
    config: SweepConfig
    model: str | None = None  # None: a stand-in; "none": no training
    device: str = "auto"


def measure_advice(request: AdviceRequest, on_progress: StatusCallback = lambda _: None) -> LoaderAdvice:
    """Measure and diagnose. After the first race an interrupt ends the measurement and keeps its results."""
    config = request.config
    limit = TimeLimit.start(config.seconds)

    def report_progress(text: str) -> None:
        on_progress(f"{format_duration(limit.left)} left in all; {text}")

    races_limit = TimeLimit.start(RACES_SHARE * config.seconds)
    tuning = tune(request.space, config, races_limit, race_in_turns(request.open_loaders), report_progress)
    advice = LoaderAdvice(
        subject=request.subject,
        batch_size=config.batch_size,
        is_user_loader=isinstance(request.open_loaders(config), UserSettingLoaders),
        tuning=tuning,
        is_complete=tuning.is_complete,
    )
    if not tuning.is_complete:
        return advice
    measurement = _Measurement(request, tuning, limit, report_progress, advice)
    try:
        measurement.run()
    except KeyboardInterrupt:
        return replace(measurement.advice, is_complete=False)
    return measurement.advice


@dataclass
class _Measurement:
    """The differential measurement; `advice` grows part by part, so that an interrupt loses only one."""

    request: AdviceRequest
    tuning: TuningResult
    limit: TimeLimit
    on_progress: StatusCallback
    advice: LoaderAdvice

    def run(self) -> None:
        self._choose_model()
        for name, part in (
            ("the pipeline in turns", self._measure_pipeline),
            ("stages on one core", self._measure_stages),
            ("cold files", self._measure_cold_files),
        ):
            self.on_progress(name)
            try:
                part()
            except KeyboardInterrupt:
                self._diagnose()
                raise
            except (PerfsuiteError, RuntimeError, OSError) as error:
                self._note(f"{name}: not measured; {error}")
        self._diagnose()

    @property
    def config(self) -> SweepConfig:
        """With the advised decoder and batch size for every loader."""
        config, setting = self.request.config, self.tuning.setting
        options = dict(config.loader_options)
        if setting.decoder is not None:
            options["decoder"] = setting.decoder
        batch_size = setting.batch_size or config.batch_size
        return replace(config, batch_size=batch_size, loader_options=options, stops_early=False)

    @property
    def setting(self) -> LoaderSetting:
        return replace(self.tuning.setting, decoder=None, batch_size=None)  # the config has them

    @property
    def loaders(self) -> SettingLoaders:
        loaders = self.request.open_loaders(self.config)
        if isinstance(loaders, UserSettingLoaders):
            return UserSettingLoaders(replace(loaders.loader, batch_size=self.config.batch_size))
        return loaders

    def _note(self, text: str) -> None:
        self.advice = replace(self.advice, notes=(*self.advice.notes, text))

    def _choose_model(self) -> None:
        name = self.request.model
        if name == "none":
            self._note("training: not measured, as asked (--model none)")
            return
        try:
            with ExitStack() as cleanup:
                loader = self.loaders.open(LoaderSetting(0), self.loaders.modes[0], 1)
                cleanup.callback(loader.close)
                with fail_when_hung(self.config.hang_seconds, "advise"):
                    images, labels = images_and_labels(next(iter(loader.batches(0))), "advise --model")
                load_model_for(name or STAND_IN, images, labels)
        except PerfsuiteError as error:
            if name is not None:
                raise
            self._note(f"training: not measured; {error}")
            return
        device = str(choose_device(self.request.device))
        model = TrainedModel(name or STAND_IN, device, is_stand_in=name is None)
        self.advice = replace(self.advice, model=model)

    def _measure_pipeline(self) -> None:
        model = self.advice.model
        training_runs: list[TrainingRun] = []
        settings = tuple(dict.fromkeys((LoaderSetting(0), self.setting)))

        def other_sides(batches: int, cleanup: ExitStack) -> Mapping[str, SweepSide]:
            sides: dict[str, SweepSide] = {}
            if isinstance(self.loaders, ImageLoaders):
                sides[CACHED] = self._cached_side(batches, cleanup)
            if model is not None:
                self.on_progress(f"a first turn of training {model.name} on {model.device}")
                training_runs.append(self._training_side(model, batches, cleanup))
                sides[TRAINING] = training_runs[0]
            return sides

        report = measure_sweep(
            self.loaders,
            replace(
                self.config,
                only=settings,
                num_workers=tuple(setting.num_workers for setting in settings),
                seconds=max(0.001, min(self.limit.left, PIPELINE_SHARE * self.config.seconds)),
            ),
            lambda text: self.on_progress(f"pipeline: {text}"),
            None if model is None else step_of_model(model.name, model.device),
            make_other_sides=other_sides,
        )
        if self.setting.label in report.failures:
            raise DataError(f"the advised setting failed: {report.failures[self.setting.label]}")
        busy = [percent for run in training_runs for percent in run.gpu_busy_percent]
        self.advice = replace(
            self.advice,
            pipeline=report,
            gpu_busy_percent=sum(busy) / len(busy) if busy else None,
            device_peak_bytes=cuda_peak_bytes(),
            training_spans=tuple(span for run in training_runs for span in run.spans),
            times=_pipeline_times(report, self.setting, not self.advice.is_user_loader),
        )
        if not report.is_complete:
            raise KeyboardInterrupt

    def _cached_side(self, batches: int, cleanup: ExitStack) -> LoaderRun:
        options = {**self.config.loader_options, "cache": "ram"}
        loaders = self.request.open_loaders(replace(self.config, loader_options=options))
        loader = loaders.open(self.setting, loaders.modes[0], batches)
        cleanup.callback(loader.close)
        return LoaderRun(self.setting, loader)

    def _training_side(self, model: TrainedModel, batches: int, cleanup: ExitStack) -> TrainingRun:
        loader = self.loaders.open(self.setting, self.loaders.modes[0], batches)
        cleanup.callback(loader.close)
        images, labels = images_and_labels(next(iter(loader.batches(0))), "advise --model")
        module = load_model_for(model.name, images, labels).to(choose_device(model.device))
        run = TrainingRun.of_model(loader, module, make_clock(model.device), max_batches=2)
        run.turn(0)  # allocates, and compiles kernels
        seconds_per_batch = run.turn(0) * len(labels)
        run.max_batches = max(MIN_TRAINING_BATCHES, ceil(TRAINING_TURN_SECONDS / seconds_per_batch))
        return run

    def _measure_stages(self) -> None:
        if self.advice.times is None:
            return
        loader = self._loader_without_workers()
        seconds = STAGES_SHARE * self.config.seconds
        stages = measure_stages(loader, seconds, self.advice.is_user_loader)
        self.advice = replace(self.advice, times=replace(self.advice.times, stage_seconds=stages))

    def _loader_without_workers(self) -> Iterable[Any]:
        loaders = self.loaders
        if isinstance(loaders, UserSettingLoaders):
            return loaders.loader.open(0)
        return loaders.open(LoaderSetting(0), loaders.modes[0], 16).batches(0)

    def _measure_cold_files(self) -> None:
        paths = self._paths()
        step = max(1, len(paths) // MAX_COLD_FILES)
        times = measure_cold_files(paths[::step], min(3.0, self.limit.left))
        self.advice = replace(self.advice, cold_files=times)
        if isinstance(times, ColdFileTimes) and self.advice.times is not None:
            outgrow = files_outgrow_memory(paths)
            pipeline_times = replace(
                self.advice.times, cold_read_seconds=times.cold.value, reads_are_cold=outgrow
            )
            self.advice = replace(self.advice, times=pipeline_times)
        elif isinstance(times, NoColdFiles):
            self._note(f"cold files: not measured; {times.reason}")

    def _paths(self) -> list[Path]:
        loaders = self.loaders
        if isinstance(loaders, ImageLoaders):
            return files_of(loaders.source)
        return files_of(getattr(self._loader_without_workers(), "dataset", None))

    def _diagnose(self) -> None:
        times = self.advice.times
        if times is not None:
            self.advice = replace(self.advice, diagnosis=diagnose(times))


def _pipeline_times(
    report: SweepReport, setting: LoaderSetting, has_main_thread_stages: bool
) -> PipelineTimes:
    return PipelineTimes(
        loading=report.results[-1].seconds_per_image,
        step=report.step_seconds_per_image,
        training=report.other_sides.get(TRAINING, ()),
        cached=report.other_sides.get(CACHED, ()),
        main_thread_stages=MAIN_THREAD_STAGES if has_main_thread_stages else (),
        num_workers=setting.num_workers,
    )
