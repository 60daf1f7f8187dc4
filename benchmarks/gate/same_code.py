"""Whether the gate calls changed code "the same": tables of hostile and harmless changes, recorded.

The output is docs/results/same-code.md.

python -m benchmarks.gate.same_code > docs/results/same-code.md
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

from perfsuite.report.markdown_table import markdown_table
from tests.gate.same_code.harmless_changes import HARMLESS, TIMED
from tests.gate.same_code.hostile_changes import HOSTILE
from tests.gate.same_code.small_projects import Case, record_cases

INTRODUCTION = """Each change is made to a small
project with one benchmark. A hostile change affects what runs, in a way that is easy to miss, and
must be timed. A harmless change does not; timing it costs minutes and is no mistake."""


def main() -> None:
    harmless = [*HARMLESS, *TIMED]
    with tempfile.TemporaryDirectory() as folder:
        uses = record_cases(Path(folder), [*HOSTILE, *harmless])
    hidden = sum(not uses[case.name] for case in HOSTILE)
    same = sum(not uses[case.name] for case in harmless)
    print("# Which changes are proven to run the same code\n")
    print(f"`python -m benchmarks.gate.same_code`, Python {platform.python_version()}. {INTRODUCTION}\n")
    print(f"- {len(HOSTILE)} hostile changes, {hidden} of them called the same")
    print(f"- {len(harmless)} harmless changes, {same} of them called the same\n")
    print_table("hostile change", HOSTILE, uses)
    print()
    print_table("harmless change", harmless, uses)
    print("\n[Commits of other projects](foreign.md) has the shares that are not timed on real changes.")


def print_table(title: str, cases: Sequence[Case], uses: dict[str, str]) -> None:
    rows = ((case.name, uses[case.name] or "(the same code ran)") for case in cases)
    print(markdown_table((title, "timed, because"), rows))


if __name__ == "__main__":
    main()
