"""A results file of airspeed velocity: version 2 of its `Results` format.

https://asv.readthedocs.io/en/stable/dev.html#benchmark-suite-layout-and-file-formats. asv reads it as
`results/MACHINE/COMMIT8-ENV.json`, beside the machine.json that `asv machine` writes. Its machine must be
called as `params.machine` is here: by the fingerprint of the environment.
"""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.errors import UsageError
from perfsuite.judge.metrics import seconds_interval
from perfsuite.judge.order_statistics import quantile
from perfsuite.measure.measurement import Measurement
from perfsuite.report.exports.export_format import (
    ExportFormat,
    milliseconds_since_1970,
    timed_measurements,
)
from perfsuite.report.formats.json import dump_json
from perfsuite.report.text import escape_control_characters
from perfsuite.store.run import Run

VERSION = 2
RESULT_COLUMNS = (
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b", "stats_q_25",
    "stats_q_75", "stats_number", "stats_repeat", "samples", "profile",
)  # fmt: skip
# asv's names of the facts of a machine, and ours.
_MACHINE = {"os": "os", "cpu": "cpu", "num_cpu": "cores"}


def render(runs: Sequence[Run]) -> str:
    """One run: the median, its 99 % interval and the quartiles of each benchmark, in seconds per call."""
    run = runs[0]
    if not run.commit:
        raise UsageError(f"{run.name}: a run without a commit, expected one; asv files its results by commit")
    started_at = milliseconds_since_1970(run.created_at)
    timed = timed_measurements(run)
    hard, soft = run.environment.hard, run.environment.soft
    machine = {name: hard[ours] for name, ours in _MACHINE.items() if ours in hard}
    python = hard.get("python", "")
    document = {
        "commit_hash": run.commit,
        "env_name": f"perfsuite-py{python}",
        "date": started_at,
        "params": {
            **machine,
            "machine": run.fingerprint,
            "ram": f"{soft['memory_gib']} GiB" if "memory_gib" in soft else "",
            "python": python,
        },
        "python": python,
        "requirements": {},
        "env_vars": {},
        "result_columns": RESULT_COLUMNS,
        "results": {
            escape_control_characters(name): _row(measurement, started_at)
            for name, measurement in timed.items()
        },
        "durations": {},
        "version": VERSION,
    }
    return dump_json(document)


def _row(measurement: Measurement, started_at: int) -> list[object]:
    """The values of RESULT_COLUMNS up to `stats_repeat`, in lists of one: there are no parameters."""
    samples = measurement.seconds_per_call
    interval = seconds_interval(measurement, 0.99)
    return [
        [measurement.median_seconds_per_call],
        [],  # params
        None,  # version: asv then takes the result for any version of the benchmark
        started_at,
        None,  # duration
        [interval.low],
        [interval.high],
        [quantile(samples, 0.25)],
        [quantile(samples, 0.75)],
        [measurement.calls_per_round],
        [len(samples)],
    ]


EXPORT = ExportFormat(render, "airspeed velocity's results, version 2", takes_one_run=True)
