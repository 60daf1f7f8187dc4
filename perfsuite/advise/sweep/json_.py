"""A sweep as figures for other programs."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import Any

from perfsuite.advise.sweep.advice import advise_on_sweep
from perfsuite.advise.sweep.goals import check_goals
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_result import BatchWaitTimes, SettingResult


def sweep_to_dict(report: SweepReport) -> dict[str, Any]:
    """Everything measured and judged, for JSON; infinite ends of intervals become null."""
    choice = report.choice()
    return {
        "batch_size": report.batch_size,
        "augmentation_mode": report.augmentation_mode,
        "is_complete": report.is_complete,
        "images_per_epoch": report.images_per_epoch,
        "epochs": report.epochs,
        "machine": report.machine and asdict(report.machine),
        "step_seconds_per_image": report.step_seconds_per_image,
        "device_peak_bytes": report.device_peak_bytes,
        "failures": report.failures,
        "settings": [_setting_to_dict(report, result) for result in report.results],
        "choice": asdict(choice.result.setting),
        "undecided": [asdict(result.setting) for result in choice.undecided],
        "checks": [null_nonfinite(asdict(verdict)) for verdict in check_goals(report, choice.result)],
        "advice": advise_on_sweep(report),
    }


def _setting_to_dict(report: SweepReport, result: SettingResult) -> dict[str, Any]:
    estimates = {
        "images_per_second": result.images_per_second,
        "speedup": report.speedup(result),
        "overhead": result.overhead,
        "overhead_share": result.overhead_share,
        "loading_over_step": report.loading_over_step(result),
        "loading_epoch_seconds": report.loading_epoch(result),
        "training_epoch_seconds": report.training_epoch(result),
    }
    batch_times = asdict(BatchWaitTimes.of(result.batch_seconds)) if result.batch_seconds else None
    values: dict[str, Any] = {
        **asdict(result),
        **{name: estimate and asdict(estimate) for name, estimate in estimates.items()},
        "relative_speed": report.relative_speed(result),
        "batch_times": batch_times,
    }
    finite: dict[str, Any] = null_nonfinite(values)
    return finite


def null_nonfinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: null_nonfinite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [null_nonfinite(member) for member in value]
    return None if isinstance(value, float) and not isfinite(value) else value
