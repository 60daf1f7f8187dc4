"""The advice in sentences: the verdict, what it costs, what to set, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from perfsuite.advise.bottleneck.bottlenecks import Bottleneck, remedy
from perfsuite.advise.bottleneck.diagnosis import Diagnosis
from perfsuite.advise.loader_advice.result import LoaderAdvice
from perfsuite.advise.machine import failure_advice, platform_advice
from perfsuite.advise.profile.cold_files import ColdFileTimes
from perfsuite.advise.run_time import format_time, scale
from perfsuite.advise.sweep.advice import (
    augmentation_advice,
    format_ratio,
    growth_advice,
    main_thread_advice,
)
from perfsuite.advise.sweep.report import TIME_WAS_OVER
from perfsuite.advise.time_limit import format_duration
from perfsuite.judge.units import MetricKind, format_quantity

GPU_BUSY_GOAL = 90  # percent
RACE_TITLES = {
    "decoder": "Decoders, without workers",
    "workers": "Workers and engines",
    "batches": "Batches loaded ahead (+2), and batch sizes (b64)",
}


def verdict_lines(advice: LoaderAdvice) -> list[str]:
    """The bottleneck, its share, the bound of Amdahl, and the option to change."""
    diagnosis = advice.diagnosis
    if diagnosis is None:
        return ["the bottleneck is not known: the pipeline was not measured"]
    clear = "" if diagnosis.is_clear else " (unclear: the next part is about as large; give more --seconds)"
    whole = "loading" if diagnosis.overlap is None else "training"
    return [
        f"bottleneck: {diagnosis.bottleneck}, {diagnosis.share:.0%} of the time of {whole}{clear}",
        f"  because {diagnosis.reason}",
        f"  without it {whole} is at most {_format_bound(diagnosis)}",
        f"  change: {remedy(diagnosis.bottleneck, advice.is_user_loader)}",
    ]


def knee_line(advice: LoaderAdvice) -> str:
    """How many workers pay off: the knee, and the numbers that the turns do not separate from it."""
    race = advice.tuning.worker_race
    if race is None:
        return "the numbers of workers were not compared"
    choice, report = race.choice, race.report
    knee = race.winner.setting.num_workers
    candidates = (choice.result, *choice.undecided)
    others = sorted({knee, *(result.setting.num_workers for result in candidates)})
    width = (
        "" if len(others) == 1 else f" (between {others[0]} and {others[-1]}; the turns do not separate them)"
    )
    gain = "no other was faster" if race.winner is report.reference else _gain(advice)
    return f"knee: {knee} worker{'' if knee == 1 else 's'}{width}; {gain}"


def _gain(advice: LoaderAdvice) -> str:
    report = advice.report
    if report.reference is advice.result:
        return "no other was faster"
    ratio = format_ratio(report.speedup(advice.result))
    return f"the advised setting loads {ratio} times what no workers do"


def estimate_lines(advice: LoaderAdvice) -> list[str]:
    """The time of an epoch and of a run."""
    report, lines = advice.report, []
    epochs = report.epochs
    for what, epoch in (
        ("loading", report.loading_epoch(advice.result)),
        ("training", advice.training_epoch()),
    ):
        if epoch is not None:
            run = format_time(scale(epoch, epochs))
            lines.append(
                f"{what} an epoch of {report.images_per_epoch:,} images takes {format_time(epoch)}; "
                f"{epochs} epochs take {run}"
            )
    model = advice.model
    if model is not None and model.is_stand_in:
        lines.append("training is that of a small stand-in model: name yours with --model")
    return lines


def resource_lines(advice: LoaderAdvice) -> list[str]:
    """Use of the device while training, and the time to read a file that is not in memory."""
    lines = []
    if advice.gpu_busy_percent is not None:
        met = "" if advice.gpu_busy_percent >= GPU_BUSY_GOAL else f", expected {GPU_BUSY_GOAL} % or more"
        lines.append(f"the GPU is busy {advice.gpu_busy_percent:.0f} % of the time of training{met}")
    if advice.device_peak_bytes is not None:
        lines.append(
            f"the device holds {format_quantity(advice.device_peak_bytes, MetricKind.BYTES)} at most"
        )
    if isinstance(advice.cold_files, ColdFileTimes):
        cold = advice.cold_files
        lines.append(
            f"a file that is not in memory takes {format_duration(cold.cold.value)} to read, one that is "
            f"takes {format_duration(cold.warm.value)}: the first epoch reads cold files"
        )
    return lines


def further_lines(advice: LoaderAdvice) -> Iterator[str]:
    """What else to change, what the platform asks for, and what was not measured."""
    race = advice.tuning.worker_race
    if race is not None:
        yield from growth_advice(race.report, race.choice)
    yield from augmentation_advice(advice.result)
    yield from main_thread_advice(advice.result)
    if advice.diagnosis is not None and advice.diagnosis.bottleneck is Bottleneck.STORAGE:
        yield "storage waits, it does not compute: more workers than cores may pay off (--num-workers)"
    machine = advice.report.machine
    if machine is not None:
        yield from platform_advice(machine, advice.result.demand)
    failures = {
        label: reason for each in advice.tuning.races for label, reason in each.report.failures.items()
    }
    late = [label for label, reason in failures.items() if reason == TIME_WAS_OVER]
    if late:
        yield f"not compared, because the time was over: {', '.join(late)}; give more --seconds"
    yield from failure_advice({label: failures[label] for label in failures if label not in late})
    yield from advice.notes


def setting_lines(advice: LoaderAdvice, settings_file: str | None) -> list[str]:
    """What to set, and where it is stored."""
    options = ", ".join(f"{name}={value!r}" for name, value in advice.speed_settings.given.items())
    lines = [f"set {options}"]
    if settings_file is not None and not advice.is_user_loader:
        lines.append(
            f"in {settings_file}: make_loaders(settings={settings_file!r}), or "
            f"perfsuite train --settings {settings_file}"
        )
    elif settings_file is not None:
        lines.append(f"in {settings_file}")
    return lines


def _format_bound(diagnosis: Diagnosis) -> str:
    bound = diagnosis.max_speedup
    if not isfinite(bound):
        return "limited by nothing that was measured"
    overlap = diagnosis.overlap
    how = "" if overlap is None else f" (loading and step overlap by {overlap:.0%})"
    return f"{bound:.2f} times as fast{how}"
