"""A pytest plugin that appends a row for each benchmark and failure as soon as its test has ended.

A limit that is not kept is a result. Any other failure is a mistake, and ends the run with exit code FAILED.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

ROWS_VARIABLE = "PERFSUITE_GPU_ROWS"  # the file to append to
REHEARSAL_VARIABLE = "PERFSUITE_GPU_REHEARSAL"
FAILED = 70  # pytest's own exit codes are below 10
RESULTS = ("broken: ", "unclear: ")  # how the failure of a limit begins

_failed: list[str] = []  # tests that failed by anything but a limit, and files that were not collected
_outcomes: Counter[str] = Counter()
_skip_reasons: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        _outcomes[report.outcome] += 1
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            _skip_reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
        elif report.user_properties or report.outcome == "failed":
            figures = describe_properties(report.user_properties)
            _append(report.nodeid.rpartition("::")[2], figures or report.outcome, _reason(report))
        if report.outcome == "failed" and not _is_result(_reason(report)):
            _failed.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _append(report.nodeid, "not collected", _last_line(str(report.longrepr)))
        _failed.append(report.nodeid)


def _is_result(reason: str) -> bool:
    """Whether a test failed by a limit. In a rehearsal, limits of a GPU are an error: they have no value."""
    is_rehearsal = bool(os.environ.get(REHEARSAL_VARIABLE))
    return reason.startswith((*RESULTS, "error: ") if is_rehearsal else RESULTS)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _failed:
        session.exitstatus = FAILED
    counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(_outcomes.items()))
    _append("tests", counts or "none")
    for reason, number in sorted(_skip_reasons.items()):
        _append(f"skipped {number}", "", reason)
    _failed.clear()
    _outcomes.clear()
    _skip_reasons.clear()


def describe_properties(properties: Sequence[tuple[str, object]]) -> str:
    """Rates, then the outcome of each limit.

    >>> describe_properties([("images_per_second", "9"), ("perfsuite.speedup", "kept")])
    '9 images/s, speedup kept'
    """
    prefix, suffix = "perfsuite.", "_per_second"
    limits = [f"{name.removeprefix(prefix)} {value}" for name, value in properties if name.startswith(prefix)]
    rates = [
        f"{value} {name.removesuffix(suffix)}/s"
        for name, value in properties
        if name.endswith(suffix) and not name.startswith(prefix)
    ]
    return ", ".join((*rates, *limits))


def _reason(report: pytest.TestReport) -> str:
    if report.outcome != "failed":
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = (crash.message if crash is not None else str(report.longrepr)).removeprefix("Failed: ")
    return next((line for line in text.splitlines() if line.strip()), "")


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no output")


def _append(what: str, value: str, note: str = "") -> None:
    with Path(os.environ[ROWS_VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "value": value, "note": note}) + "\n")
