"""Read the stored runs that `perfsuite history` shows, and analyze them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from perfsuite.cli.progress import ProgressLine
from perfsuite.cli.run_store import open_store
from perfsuite.errors import StoreError, UsageError
from perfsuite.gate.git import run_git
from perfsuite.judge.history.trend import TrendSettings, analyze_workloads
from perfsuite.measure.measurement import Environment
from perfsuite.report.history.links import ForgeLinks
from perfsuite.report.history.words import HistoryReport
from perfsuite.store.history import EnvironmentHistory, collect_histories
from perfsuite.store.runs import RunStore


def read_reports(arguments: argparse.Namespace) -> list[HistoryReport]:
    """The report of each environment, the newest last; errors where nothing is left to show."""
    store = open_store(arguments.store)
    with ProgressLine("perfsuite history: ") as progress:
        histories = collect_histories(store.stream_history(progress.every_two_seconds("run {} of {}")))
        histories = _choose_environment(histories, arguments)
        links = ForgeLinks.of_remote(_remote_address())
        reports = []
        for history in histories:
            workloads = choose_workloads(history.workloads, arguments.benchmarks)
            if not workloads:
                continue
            shown = history.newest(arguments.last) if arguments.last else history
            settings = TrendSettings(arguments.tolerance, _anchor_index(shown, arguments.anchor))
            trends = analyze_workloads(
                shown.columns(workloads), settings, progress.every_two_seconds("benchmark {} of {}")
            )
            if trends:
                reports.append(HistoryReport(shown, trends, _environment_of(store, shown), links))
    if not reports:
        raise UsageError(_no_benchmark(histories, arguments.benchmarks))
    return reports


def choose_workloads(workloads: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The workloads whose name contains one of the words or matches one of the patterns; all without any.

    >>> choose_workloads(["test_a.py::test_raw", "test_b.py::test_raw"], ["test_b*"])
    ['test_b.py::test_raw']
    """
    return [
        name
        for name in workloads
        if not wanted or any(word in name or fnmatchcase(name, f"*{word}*") for word in wanted)
    ]


def _choose_environment(
    histories: Sequence[EnvironmentHistory], arguments: argparse.Namespace
) -> list[EnvironmentHistory]:
    if not histories:
        raise StoreError(
            f"{arguments.store}: holds no complete run of a clean commit; save one with: "
            "pytest benchmarks --perf-save NAME"
        )
    wanted = arguments.environment or ""
    chosen = [history for history in histories if history.fingerprint.startswith(wanted)]
    if not chosen:
        known = ", ".join(history.fingerprint for history in histories)
        raise UsageError(f"--environment {wanted}: no run of it is stored, expected one of {known}")
    return chosen


def _anchor_index(history: EnvironmentHistory, anchor: str | None) -> int:
    """The index of the commit that creep is measured from."""
    if anchor is None:
        return 0
    for index, commit in enumerate(history.commits):
        if (len(anchor) >= 4 and commit.commit.startswith(anchor)) or anchor in commit.references:
            return index
    raise UsageError(
        f"--anchor {anchor}: no commit or run of environment {history.fingerprint}, expected one of its "
        f"{len(history.commits)} commits, from {history.commits[0].label} to {history.commits[-1].label}; "
        "name one environment with --environment where there are several"
    )


def _environment_of(store: RunStore, history: EnvironmentHistory) -> Environment | None:
    """The facts of the newest run; None where its file is damaged, since summaries are enough for times."""
    try:
        return store.load(history.newest_reference).environment
    except StoreError:
        return None


def _remote_address() -> str:
    """The address of the remote `origin`; empty outside of a repository or without git."""
    try:
        return run_git(Path.cwd(), "remote", "get-url", "origin").stdout.strip()
    except UsageError:
        return ""


def _no_benchmark(histories: Sequence[EnvironmentHistory], wanted: Sequence[str]) -> str:
    known = sorted({name for history in histories for name in history.workloads})
    near = get_close_matches(wanted[0], known, n=3, cutoff=0.3) if wanted else []
    hint = f"expected for example {near[0]}" if near else f"{len(known)} are stored; try without a name"
    return f"{' '.join(wanted) or 'history'}: no stored benchmark is called so, {hint}"
