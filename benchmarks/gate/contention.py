"""Run gates with a planted slowdown while other processes use the cores, and print what each of them reads.

    python -m benchmarks.gate.contention --gates 20

The workloads take turns. Each does its work eleven times instead of ten: 10 % more of its own kind, which
needs no calibration and waits for caches and memory as the rest does. A size is right where it lies within 8
and 12 % and its interval holds 10, or where the gate calls the machine unfit. Exit status 1 where fewer than
nine in ten are right.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from benchmarks.gate.replay import NAMES
from benchmarks.gate.validation import noise_makers, sample_repository, short_name
from perfsuite.gate.gate import gate
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.verdict import Verdict

PERCENT = 10.0  # one call beside ten, see sample_project/repeated
RIGHT_SIZE = (8.0, 12.0)  # percent
RIGHT_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Reading:
    """What one gate reads of the planted slowdown."""

    workload: str
    verdict: Verdict
    is_unfit: bool
    pairs: int
    seconds: float

    @property
    def is_right(self) -> bool:
        interval, estimate = self.verdict.interval, self.verdict.estimate
        if self.is_unfit or interval is None or estimate is None:
            return self.is_unfit
        covers = interval.low <= PERCENT / 100 <= interval.high
        return covers and RIGHT_SIZE[0] <= 100 * estimate <= RIGHT_SIZE[1]

    def __str__(self) -> str:
        interval, estimate = self.verdict.interval, self.verdict.estimate
        size = "-" if estimate is None else f"{100 * estimate:+.1f}"
        if interval is not None:
            size += f" ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
        outcome = "unfit" if self.is_unfit else str(self.verdict.outcome)
        right = "right" if self.is_right else "wrong"
        row = (self.workload, size, outcome, self.pairs, f"{self.seconds:.0f} s", right)
        return "| " + " | ".join(map(str, row)) + " |"


def read_planted(workload: str, noise: int, minutes: float) -> Reading:
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
    return Reading(
        workload=workload,
        verdict=verdict,
        is_unfit=is_called_unfit(report, verdict),
        pairs=report.pairs,
        seconds=report.seconds,
    )


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
    print("| workload | reads % (interval) | outcome | pairs | took | |")
    print("|---|--:|---|--:|--:|---|")
    readings = []
    for number in range(arguments.gates):
        workload = arguments.workloads[number % len(arguments.workloads)]
        readings.append(read_planted(workload, arguments.noise, arguments.minutes))
        print(readings[-1], flush=True)
    right = sum(reading.is_right for reading in readings)
    unfit = sum(reading.is_unfit for reading in readings)
    print(f"\n{right} of {len(readings)} are right, {unfit} of them because the machine was called unfit")
    return 0 if right >= RIGHT_SHARE * len(readings) else 1


if __name__ == "__main__":
    sys.exit(main())
