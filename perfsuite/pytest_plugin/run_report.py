"""The page of a pytest run: `--perf-report DIR`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from perfsuite.errors import StoreError
from perfsuite.pytest_plugin.session import PerfSession
from perfsuite.report.page.files import write_document
from perfsuite.report.pages.run_page import run_document


def write_run_report(session: PerfSession, folder: Path, words: Iterable[str], is_complete: bool) -> str:
    """Write the page; return where it is, or why it could not be written. The figures are not lost then."""
    notes = [] if is_complete else ["Stopped before its last test: these are the results until then."]
    if session.reference is not None:
        notes.append(f"Changes are against {session.reference.description}.")
    if session.stored_run_id:
        notes.append(f"Stored as {session.stored_run_id}.")
    document = run_document(
        list(session.results.values()),
        session.environment,
        notes=notes,
        command=shlex.join(["pytest", *map(str, words)]),
    )
    try:
        return f"report: {write_document(document, folder)[0]}"
    except StoreError as error:
        return f"no report: {error}"
