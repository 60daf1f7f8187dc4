"""How many runs a suite needs, and the exact commands that take and compare them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from perfsuite.judge.run_forecast import RunNeeds
from perfsuite.store.run import Run

DEFAULT_FOLDER = "benchmarks"  # where no workload names a file
MAX_NAMED = 3


def next_commands(needs: RunNeeds, old: Sequence[Run], new: Sequence[Run]) -> tuple[str, ...]:
    """The commands that take the needed runs of both sides, and compare them; none where the runs suffice."""
    if not needs.runs:
        return ()
    base = old[-1].commit[:12] or "REV"
    return repeat_command(new[-1].measurements, needs.runs, base), f"perfsuite compare {base} head"


def baseline_messages(needs: RunNeeds, baseline: Sequence[Run], name: str) -> list[str]:
    """What a comparison with this baseline needs, and how to take more runs of it."""
    newest = baseline[-1]
    lines = [f"{describe_needs(needs)}; to compare a change with this commit:"]
    lines += [f"  {command}" for command in next_commands(needs, baseline, baseline)]
    if len(baseline) < needs.runs:
        own = f"{_pytest(newest.measurements, needs.runs)} --perf-save {shlex.quote(name)}"
        lines += [f"this baseline has {len(baseline)}; to add {needs.runs} in one series:", f"  {own}"]
    return lines


def repeat_command(workloads: Iterable[str], runs: int, base: str) -> str:
    """The command that takes so many runs of both sides, in turns.

    >>> repeat_command(["benchmarks/test_io.py::test_read"], 5, "c0ffee")
    'pytest benchmarks --perf-repeat 5 --perf-repeat-against c0ffee'
    """
    return f"{_pytest(workloads, runs)} --perf-repeat-against {shlex.quote(base)}"


def _pytest(workloads: Iterable[str], runs: int) -> str:
    folders = [PurePosixPath(name.partition("::")[0]).parent for name in workloads if "::" in name]
    folder = os.path.commonpath(folders) if folders else DEFAULT_FOLDER
    return f"pytest {shlex.quote(str(folder) or '.')} --perf-repeat {runs}"


def describe_needs(needs: RunNeeds) -> str:
    """What verdicts on a suite need; empty where no number of runs would change anything."""
    parts = []
    if needs.runs:
        parts.append(
            f"this suite needs {needs.runs} runs of each side, in turns, to detect a slowdown of "
            f"{needs.target_mde:.1%}"
        )
    if needs.too_noisy:
        named = ", ".join(needs.too_noisy[:MAX_NAMED]) + ", ..." * (len(needs.too_noisy) > MAX_NAMED)
        parts.append(f"runs of {named} differ too much for any number: use `perfsuite gate`")
    return "; ".join(parts)
