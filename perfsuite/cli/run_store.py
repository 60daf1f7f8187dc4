"""How the command line opens the store of runs, and how it describes runs."""

from __future__ import annotations

from collections.abc import Sequence

from perfsuite.cli.output import print_message
from perfsuite.cli.progress import ProgressLine
from perfsuite.store.run import Run
from perfsuite.store.runs import RunStore


def describe_runs(side: str, runs: Sequence[Run]) -> str:
    """One line that identifies the runs of a side."""
    newest = runs[-1]
    commit = f"{newest.commit[:12] or 'an unknown commit'}{' with uncommitted changes' * newest.dirty}"
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    incomplete = sum(not run.complete for run in runs)
    note = f"; {incomplete} incomplete" if incomplete else ""
    return f"{side}: {newest.name}, {count} of {commit}, newest {newest.created_at[:16]}{note}"


def open_store(root: str) -> RunStore:
    """A store that reports on stderr what it skips, and what takes long."""
    progress = ProgressLine(f"{root}: ").every_two_seconds("summarizing runs, {} of {}")
    return RunStore(root, on_message=print_message, on_progress=progress)
