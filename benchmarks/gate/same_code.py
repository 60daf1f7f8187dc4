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


def main() -> None:
    harmless = [*HARMLESS, *TIMED]
    with tempfile.TemporaryDirectory() as folder:
        uses = record_cases(Path(folder), [*HOSTILE, *harmless])
    hidden = sum(not uses[case.name] for case in HOSTILE)
    same = sum(not uses[case.name] for case in harmless)
    print("# The same code\n")
    print(f"`python -m benchmarks.gate.same_code`, Python {platform.python_version()}.\n")
    print(f"- {len(HOSTILE)} hostile changes, {hidden} of them called the same")
    print(f"- {len(harmless)} harmless changes, {same} of them called the same\n")
    print_table("hostile change", HOSTILE, uses)
    print()
    print_table("harmless change", harmless, uses)


def print_table(title: str, cases: Sequence[Case], uses: dict[str, str]) -> None:
    rows = ((case.name, uses[case.name] or "(the same code ran)") for case in cases)
    print(markdown_table((title, "timed, because"), rows))


if __name__ == "__main__":
    main()
