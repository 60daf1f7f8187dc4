"""Prometheus' text exposition format, version 0.0.4, for the textfile collector or a push gateway.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perfsuite.measure.measurement import Measurement
from perfsuite.report.exports.export_format import (
    ExportFormat,
    finite_interval,
    milliseconds_since_1970,
    timed_measurements,
)
from perfsuite.report.text import escape_control_characters
from perfsuite.store.run import Run

Value = Callable[[Measurement], float | None]
_GAUGES: tuple[tuple[str, str, Value], ...] = (
    ("seconds_per_call", "Median time of a call.", lambda each: each.median_seconds_per_call),
    ("seconds_per_call_low", "Low end of the 95 % interval.", lambda each: finite_interval(each)[0]),
    ("seconds_per_call_high", "High end of the 95 % interval.", lambda each: finite_interval(each)[1]),
    ("items_per_call", "Items that a call handles.", lambda each: each.items_per_call),
    (
        "peak_pss_bytes",
        "Peak memory of the process tree.",
        lambda each: each.memory.peak_pss_bytes if each.memory else None,
    ),
)


def render(runs: Sequence[Run]) -> str:
    """Gauges of one run, without timestamps: the textfile collector refuses them."""
    run = runs[0]
    common = {"environment": run.fingerprint, "run": run.name}
    lines: list[str] = []
    for name, text, value_of in _GAUGES:
        samples = [
            (_labels({"benchmark": benchmark, **common}), value)
            for benchmark, measurement in timed_measurements(run).items()
            if (value := value_of(measurement)) is not None
        ]
        lines += _family(f"perfsuite_{name}", text, samples)
    counted = [
        (_labels({"benchmark": benchmark, "counter": counter, **common}), float(count))
        for benchmark, measurement in run.measurements.items()
        for counter, count in sorted(measurement.counters.items())
    ]
    lines += _family("perfsuite_count", "A counted number, such as dispatched operators.", counted)
    info = [(_labels({"commit": run.commit, "dirty": str(run.dirty).lower(), **common}), 1.0)]
    lines += _family("perfsuite_run_info", "The run that the other figures are of.", info)
    created = milliseconds_since_1970(run.created_at) / 1000
    if created:
        created_at = [(_labels(common), created)]
        lines += _family("perfsuite_run_timestamp_seconds", "When the run was made.", created_at)
    return "".join(f"{line}\n" for line in lines)


def _family(name: str, text: str, samples: Sequence[tuple[str, float]]) -> list[str]:
    if not samples:
        return []
    return [
        f"# HELP {name} {text}",
        f"# TYPE {name} gauge",
        *(f"{name}{labels} {value!r}" for labels, value in samples),
    ]


def _labels(values: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in values.items()) + "}"


def _escape(value: str) -> str:
    r"""Escape a label's value.

    >>> print(_escape('a"b'))
    a\"b
    """
    return escape_control_characters(value).replace("\\", "\\\\").replace('"', '\\"')


EXPORT = ExportFormat(render, "Prometheus' text exposition format", takes_one_run=True)
