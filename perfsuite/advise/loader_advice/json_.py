"""The advice as figures for other programs."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import Any

from perfsuite.advise.loader_advice import words
from perfsuite.advise.loader_advice.result import LoaderAdvice, mode_rows
from perfsuite.advise.sweep.json_ import null_nonfinite, sweep_to_dict


def advice_to_dict(advice: LoaderAdvice) -> dict[str, Any]:
    """Everything measured and concluded; infinite ends of intervals become null."""
    diagnosis = advice.diagnosis
    values: dict[str, Any] = {
        "subject": advice.subject,
        "is_complete": advice.is_complete,
        "settings": advice.speed_settings.given,
        "diagnosis": None if diagnosis is None else asdict(diagnosis),
        "modes": [asdict(row) for row in mode_rows(advice)],
        "stage_seconds": {} if advice.times is None else dict(advice.times.stage_seconds),
        "model": None if advice.model is None else asdict(advice.model),
        "cold_files": None if advice.cold_files is None else asdict(advice.cold_files),
        "gpu_busy_percent": advice.gpu_busy_percent,
        "device_peak_bytes": advice.device_peak_bytes,
        "races": {race.subject: sweep_to_dict(race.report) for race in advice.tuning.races},
        "pipeline": None if advice.pipeline is None else sweep_to_dict(advice.pipeline),
        "verdict": words.verdict_lines(advice),
        "advice": [words.knee_line(advice), *words.estimate_lines(advice), *words.further_lines(advice)],
    }
    if diagnosis is not None and not isfinite(diagnosis.max_speedup):
        values["diagnosis"]["max_speedup"] = None
    finite: dict[str, Any] = null_nonfinite(values)
    return finite
