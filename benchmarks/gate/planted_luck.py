"""Gates of equal code in which every checkout is lucky or unlucky, by its path: how many are right?

    python -m benchmarks.gate.planted_luck --gates 100

In half of all folders the function that is timed works 3 % more. Nothing else differs between the sides, so a
gate that reports a change is wrong. Two controls plant the same 3 % where it may be seen:

    python -m benchmarks.gate.planted_luck --gates 20 --control head      # a real change: it should be found
    python -m benchmarks.gate.planted_luck --gates 20 --control in-place  # no copies: luck stays

Exit status 1 where fewer than 95 % of the gates are right; a control only prints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.gate.wall_time import Case, make_repository
from perfsuite.gate.gate import gate
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.verdict import Outcome

RIGHT_SHARE = 0.95
PROJECT = """
import zlib
from pathlib import Path

IS_UNLUCKY = {condition}
NUMBERS = 20_600 if IS_UNLUCKY else 20_000


def total():
    return sum(i * i for i in range(NUMBERS))
"""
BY_PATH = "zlib.crc32(str(Path(__file__).resolve().parent).encode()) % 2 == 0"
SUITE = """
from project import total


def test_total(benchmark):
    benchmark(total)
"""


def planted_gate(control: str | None) -> str:
    """Run one gate; return what it says of the only benchmark."""
    base, head = ("False", "True") if control == "head" else (BY_PATH, BY_PATH)
    settings = GateSettings(
        base="HEAD~1",
        head="HEAD",
        time_everything=True,
        null=True,
        prepare=("true",) if control == "in-place" else (),
        max_pairs=12,
    )
    case = Case(
        files={"project.py": PROJECT.format(condition=base), "benchmarks/test_total.py": SUITE},
        changes={"project.py": PROJECT.format(condition=head) + "# of head\n"},
    )
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        make_repository(case, project)
        report = gate(settings, project)
    (workload,) = report.workloads
    return "unfit" if report.unfit else str(workload.outcome)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gates", type=int, default=100)
    parser.add_argument("--control", choices=("head", "in-place"))
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    for number in range(1, arguments.gates + 1):
        outcomes[planted_gate(arguments.control)] += 1
        print(f"{number}: {dict(outcomes)}", flush=True)
    wrong = sum(outcomes[outcome] for outcome in (Outcome.REGRESSED, Outcome.IMPROVED))
    print(f"\na change was reported by {wrong} of {arguments.gates} gates")
    return int(arguments.control is None and wrong > (1 - RIGHT_SHARE) * arguments.gates)


if __name__ == "__main__":
    sys.exit(main())
