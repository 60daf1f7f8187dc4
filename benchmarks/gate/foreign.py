"""Gate commits of other projects: with the proof that the same code ran, and with everything timed.

    git clone https://github.com/kornia/kornia clones/kornia           # and the other projects below
    python -m benchmarks.gate.foreign --clones clones --commits 17     # run again, it continues
    python -m benchmarks.gate.foreign --page                           # docs/results/foreign.md

Taken are the latest commits that change a project's own code, releases left out, each against its parent.
Each adds a line to docs/results/gate/foreign.jsonl. Where a benchmark was proven to run the same code and its
time is then reported as changed, one of the two is wrong: exit status 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.gate.replay import RESULTS, Record, read_records
from benchmarks.gate.validation import append_record
from benchmarks.gate.wall_time import in_words, run_command
from perfsuite.gate.node_verdicts import SAME_CODE
from perfsuite.judge.verdict import Outcome
from perfsuite.report.markdown_table import escape_cell, markdown_table

RECORDING = "foreign.jsonl"
WANTED = 50  # commits
PAGE = RESULTS.parent / "foreign.md"
RELEASES = "^(Release|Increment version|Bump|Mark as|v[0-9])"  # subjects of commits that make a release
TOTALS = ("project", "commits", "benchmarks", "same", "confirmed", "took", "took, all timed", "disagreements")
CHANGED = (Outcome.REGRESSED, Outcome.IMPROVED)
INTRODUCTION = """Made by `python -m benchmarks.gate.foreign`: the latest commits that change a project's own
code, releases left out, each gated against its parent, first as users do and then with `--time-everything`.
`same`: the benchmarks that were proven to run the same code on both sides, and so were not timed. Where there
are none, the first gate has timed everything and counts as both. `confirmed`: those of the same that the
second gate timed and kept; the others stayed unclear in its two to four minutes. A disagreement is a
benchmark that was proven to be the same and whose time was then reported as changed."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project with benchmarks in pytest, used without its compiled parts."""

    suite: tuple[str, ...]  # arguments of pytest
    sources: tuple[str, ...]  # files of git whose changes are gated
    packages: tuple[str, ...]  # that its suite needs


PROJECTS = {
    "cattrs": Project(
        suite=("bench",),
        sources=("src/cattrs/*.py",),
        packages=(
            *("attrs", "hypothesis", "immutables", "msgspec", "orjson"),
            *("pytest-xdist", "typing-extensions"),
        ),
    ),
    "kornia": Project(
        suite=(
            "benchmarks/augmentation/2d_geometric_test.py",
            "benchmarks/augmentation/2d_intensity_test.py",
            *("--optimizer=", "-k", "5-3-128-128"),  # eager, one shape of four
        ),
        sources=("kornia/augmentation/*.py", "kornia/enhance/*.py", "kornia/geometry/transform/*.py"),
        packages=("kornia-rs", "packaging", "torch", "torchvision"),
    ),
    "multidict": Project(
        suite=("tests/test_multidict_benchmarks.py", "--no-c-extensions"),
        sources=("multidict/*.py",),
        packages=("objgraph", "psutil", "pytest-codspeed", "pytest-cov"),
    ),
    # pytest itself runs it, so that nothing is proven.
    "pluggy": Project(suite=("testing/benchmark.py",), sources=("src/pluggy/*.py",), packages=()),
    "yarl": Project(
        suite=("tests/test_url_benchmarks.py", "tests/test_quoting_benchmarks.py"),
        sources=("yarl/*.py",),
        packages=(
            *("covdefaults", "hypothesis", "idna", "multidict", "propcache", "pydantic"),
            *("pytest-codspeed", "pytest-cov", "pytest-xdist"),
        ),
    ),
}


def latest_commits(clone: Path, sources: Sequence[str], number: int) -> list[str]:
    log = [
        "git",
        "log",
        "--no-merges",
        "--format=%h",
        f"-{number}",
        "--invert-grep",
        "-E",
        f"--grep={RELEASES}",
    ]
    done = subprocess.run([*log, "--", *sources], cwd=clone, capture_output=True, text=True, check=True)
    return done.stdout.split()


def make_environment(folder: Path, packages: Sequence[str]) -> Path:
    """An environment with pytest and these packages; returns its interpreter."""
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", str(folder)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", str(python)]
    subprocess.run([*install, "pytest", "pytest-benchmark", *packages], check=True)
    return python


def gate_commit(name: str, clone: Path, python: Path, commit: str, time_budget: str) -> Record:
    options = ("--python", str(python), "--time-budget", time_budget)
    suite = ("--", *PROJECTS[name].suite)
    quick = run_command(clone, commit, *options, *suite)
    same = {each.name for each in quick.report.workloads if each.worst.reason == SAME_CODE}
    timed = run_command(clone, commit, *options, "--time-everything", *suite) if same else quick
    times = {
        each.name: verdict.outcome
        for each in timed.report.workloads
        for verdict in each.verdicts
        if verdict.metric == "time"
    }
    return {
        "project": name,
        "commit": commit,
        "subject": quick.report.head.subject,
        "benchmarks": len(quick.report.workloads),
        "same": len(same),
        "seconds": [round(each.seconds, 1) for each in (quick, timed)],
        "outcomes": [each.outcomes for each in (quick, timed)],
        "kept_in_both": sum(times.get(each) is Outcome.KEPT for each in same),
        "disagreements": sorted(each for each in same if times.get(each) in CHANGED),
    }


def page(records: Sequence[Record]) -> str:
    names = sorted({record["project"] for record in records})
    totals = [_total_row(name, [each for each in records if each["project"] == name]) for name in names]
    machines = ", ".join(sorted({record["cpu"] for record in records}))
    return "\n\n".join(
        (
            "# Commits of other projects",
            f"{INTRODUCTION} 2 cores ({machines}). {len(records)} commits are recorded; {WANTED} are wanted.",
            markdown_table(TOTALS, [*totals, _total_row("all", records)]),
            "`took` is the median. The outcomes of each commit:",
            markdown_table(
                ("commit", "subject", "same", "took", "outcomes", "took, all timed", "outcomes, all timed"),
                map(_commit_row, records),
            ),
        )
    )


def _total_row(name: str, records: Sequence[Record]) -> list[object]:
    benchmarks, same, confirmed = (
        sum(each[key] for each in records) for key in ("benchmarks", "same", "kept_in_both")
    )
    took = [f"{median(each['seconds'][index] for each in records):.0f} s" for index in (0, 1)]
    disagreements = sum(len(each["disagreements"]) for each in records)
    share = f"{same} ({same / benchmarks:.0%})"
    return [name, len(records), benchmarks, share, confirmed, *took, disagreements]


def _commit_row(record: Record) -> list[object]:
    outcomes = [in_words(each) for each in record["outcomes"]]
    took = [f"{seconds:.0f} s" for seconds in record["seconds"]]
    return [
        f"{record['project']} {record['commit']}",
        escape_cell(record["subject"]),
        f"{record['same']} of {record['benchmarks']}",
        *(took[0], outcomes[0], took[1], outcomes[1]),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clones", type=Path, default=Path("clones"), help="a folder of clones, by project")
    parser.add_argument("--project", choices=PROJECTS, action="append", help="this one only; may be repeated")
    parser.add_argument("--commits", type=int, default=17, help="of each project")
    parser.add_argument("--time-budget", default="4m", help="of each gate")
    parser.add_argument("--page", action="store_true", help="write the page from what is recorded")
    arguments = parser.parse_args()
    if arguments.page:
        PAGE.write_text(page(read_records(RECORDING)) + "\n")
        print(f"wrote {PAGE}")
        return 0
    for name in arguments.project or PROJECTS:
        with tempfile.TemporaryDirectory() as folder:
            python = make_environment(Path(folder, "environment"), PROJECTS[name].packages)
            clone = arguments.clones / name
            done = {each["commit"] for each in read_records(RECORDING)}
            for commit in latest_commits(clone, PROJECTS[name].sources, arguments.commits):
                if commit not in done:
                    record = gate_commit(name, clone, python, commit, arguments.time_budget)
                    append_record(RECORDING, record)
                    print(*_commit_row(record), sep=" | ", flush=True)
    disagreements = Counter(
        record["commit"] for record in read_records(RECORDING) for _ in record["disagreements"]
    )
    print(f"{disagreements.total()} disagreements {dict(disagreements) or ''}")
    return int(bool(disagreements))


if __name__ == "__main__":
    sys.exit(main())
