"""Run gates with a planted slowdown while other processes use the cores, and print what each of them reads.

    python -m benchmarks.gate.contention --gates 20

The workloads take turns. Each does its work eleven times instead of ten: 10 % more of its own kind, which
needs no calibration and waits for caches and memory as the rest does. A size is right where it lies within 8
and 12 % and its interval holds 10, or where the gate calls the machine unfit. Each gate adds a line to
docs/results/gate/contention.jsonl. Exit status 1 where fewer than nine in ten are right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.gate.replay import NAMES, Record
from benchmarks.gate.validation import append_record, noise_makers, sample_repository, short_name
from perfsuite.gate.gate import gate
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.verdict import Verdict

PERCENT = 10.0  # one call beside ten, see sample_project/repeated
RIGHT_SIZE = (8.0, 12.0)  # percent
RIGHT_SHARE = 0.9
RECORDING = "contention.jsonl"
UNFIT = "unfit"


def read_planted(workload: str, noise: int, minutes: float) -> Record:
    """One gate of one workload under noise."""
    settings = GateSettings(
        base="HEAD~1",
        head="HEAD",
        time_everything=True,
        time_budget_seconds=60 * minutes,
        pytest_args=("repeated", "-k", f"test_{workload}"),
    )
    with sample_repository(extra_calls=1) as project, noise_makers(noise):
        report = gate(settings, project)
    (result,) = [each for each in report.workloads if short_name(each.name) == workload]
    (verdict,) = [each for each in result.verdicts if each.metric == "time"]
    interval = verdict.interval
    return {
        "workload": workload,
        "noise": noise,
        "outcome": UNFIT if is_called_unfit(report, verdict) else verdict.outcome.value,
        "percent": None if verdict.estimate is None else round(100 * verdict.estimate, 2),
        "interval": interval and [round(100 * edge, 2) for edge in (interval.low, interval.high)],
        "pairs": report.pairs,
        "seconds": round(report.seconds),
    }


def is_right(record: Record) -> bool:
    """Whether the size is near what was planted, and inside its interval, or the machine is called unfit."""
    if record["outcome"] == UNFIT:
        return True
    percent, interval = record["percent"], record["interval"]
    if percent is None or interval is None:
        return False
    return bool(RIGHT_SIZE[0] <= percent <= RIGHT_SIZE[1] and interval[0] <= PERCENT <= interval[1])


def row_of(record: Record) -> list[object]:
    size = "-" if record["percent"] is None else f"{record['percent']:+.1f} %"
    if record["interval"] is not None:
        low, high = record["interval"]
        size += f" ({low:.1f} to {high:.1f})"
    right = "right" if is_right(record) else "wrong"
    took = f"{record['seconds']} s"
    return [record["workload"], size, record["outcome"], record["pairs"], took, right]


def summary(records: Sequence[Record]) -> str:
    right, unfit = sum(map(is_right, records)), sum(record["outcome"] == UNFIT for record in records)
    return f"{right} of {len(records)} are right, {unfit} of them because the machine was called unfit"


def is_called_unfit(report: GateReport, verdict: Verdict) -> bool:
    return bool(report.unfit) or verdict.reason.startswith("the machine was unfit")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gates", type=int, default=20)
    parser.add_argument("--noise", type=int, default=3, help="processes that use the cores meanwhile")
    parser.add_argument("--minutes", type=float, default=10, help="time budget of a gate")
    parser.add_argument("--workloads", nargs="+", choices=NAMES, default=NAMES)
    arguments = parser.parse_args()
    records = []
    for number in range(arguments.gates):
        workload = arguments.workloads[number % len(arguments.workloads)]
        records.append(read_planted(workload, arguments.noise, arguments.minutes))
        append_record(RECORDING, records[-1])
        print(*row_of(records[-1]), sep=" | ", flush=True)
    print(summary(records))
    return 0 if sum(map(is_right, records)) >= RIGHT_SHARE * len(records) else 1


if __name__ == "__main__":
    sys.exit(main())
