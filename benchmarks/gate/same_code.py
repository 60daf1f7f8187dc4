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
# Measured by hand, with `perfsuite gate` on two commits of a project of others.
COMMITS_OF_YARL = """\
## Two commits of yarl

| commit | benchmarks proven the same | the others are timed, because |
|---|--:|---|
| 37b04d26, "Improve performances of `URL.joinpath`" | 82 of 86 | `URL._make_child` differs |
| 3bf614a5, query string parsing | 0 of 101 | an import between modules and a parameter are new: used by all |

The first without its extension, on Python 3.12 and 2 cores with a load average of 13: collecting took 25 s,
the pair that counts 75 s, and the second pair of the proof 54 s."""


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
    print(f"\n{COMMITS_OF_YARL}")


def print_table(title: str, cases: Sequence[Case], uses: dict[str, str]) -> None:
    rows = ((case.name, uses[case.name] or "(the same code ran)") for case in cases)
    print(markdown_table((title, "timed, because"), rows))


if __name__ == "__main__":
    main()
