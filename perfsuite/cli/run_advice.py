"""How many runs a suite needs, and the exact commands that take and compare them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence

from perfsuite.judge.run_forecast import RunNeeds
from perfsuite.store.run import Run

DEFAULT_FOLDER = "benchmarks"  # where no workload names a file
MAX_NAMED = 3


def needed_runs_message(needs: RunNeeds, old: Sequence[Run], new: Sequence[Run]) -> str:
    """What a verdict on these sides needs; empty where no number of runs would change anything."""
    needed = _describe(needs)
    if not needs.runs:
        return needed
    base = old[-1].commit[:12] or "REV"
    workloads = new[-1].measurements
    return f"{needed}:\n  {repeat_command(workloads, needs.runs, base)}\n  perfsuite compare {base} head"


def baseline_message(needs: RunNeeds, baseline: Sequence[Run], name: str) -> str:
    """What a comparison with this baseline needs, and how to take more runs of it."""
    newest = baseline[-1]
    commands = f"  {repeat_command(newest.measurements, needs.runs, newest.commit[:12] or 'REV')}"
    message = f"{_describe(needs)}; to compare a change with this commit:\n{commands}"
    if len(baseline) >= needs.runs:
        return message
    own = f"  {_pytest(newest.measurements, needs.runs)} --perf-save {shlex.quote(name)}"
    return f"{message}\nthis baseline has {len(baseline)}; to make it one of {needs.runs}:\n{own}"


def repeat_command(workloads: Iterable[str], runs: int, base: str) -> str:
    """The command that takes so many runs of both sides, in turns.

    >>> repeat_command(["benchmarks/test_io.py::test_read"], 5, "c0ffee")
    'pytest benchmarks --perf-repeat 5 --perf-repeat-against c0ffee'
    """
    return f"{_pytest(workloads, runs)} --perf-repeat-against {shlex.quote(base)}"


def _pytest(workloads: Iterable[str], runs: int) -> str:
    files = [name.partition("::")[0] for name in workloads if "::" in name]
    folder = os.path.commonpath([os.path.dirname(file) for file in files]) if files else DEFAULT_FOLDER
    return f"pytest {shlex.quote(folder or '.')} --perf-repeat {runs}"


def _describe(needs: RunNeeds) -> str:
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
