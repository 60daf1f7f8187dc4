"""A static site of the history: an index, and pages for the benchmarks of each file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from perfsuite import atomic
from perfsuite.judge.history.trend import Trend
from perfsuite.report.history.page import PLOTS_OF_A_PAGE, group_document, overview_document
from perfsuite.report.history.words import HistoryReport
from perfsuite.report.history.zoom import add_zoom
from perfsuite.report.page.document import Document, Link, Section, Table
from perfsuite.report.page.html import render_html
from perfsuite.report.terminal.workload_name import parse_workload_name


@dataclass(frozen=True, slots=True)
class GroupPage:
    """A page of the site: at most `PLOTS_OF_A_PAGE` benchmarks of one file."""

    stem: str
    title: str
    trends: Sequence[Trend]


def render_page(document: Document) -> bytes:
    """The HTML of a document, with zoom."""
    return add_zoom(render_html(document)).encode()


def write_site(
    reports: Sequence[HistoryReport],
    folder: Path,
    on_page: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the site, with a folder for each environment; return its index."""
    pages = [(report, page) for report in reports for page in group_pages(report.trends)]
    for number, (report, page) in enumerate(pages):
        on_page(number, len(pages))
        document = group_document(report, page.stem, page.title, page.trends)
        atomic.replace(
            folder / report.history.fingerprint / f"{page.stem}.html", render_page(document), durable=False
        )
    for report in reports:
        addresses: dict[str, str] = {
            trend.workload: f"{page.stem}.html"
            for page in group_pages(report.trends)
            for trend in page.trends
        }
        overview = overview_document(report, "index", partial(_address, addresses))
        atomic.replace(
            folder / report.history.fingerprint / "index.html", render_page(overview), durable=False
        )
    atomic.replace(folder / ".nojekyll", b"")
    atomic.replace(folder / "index.html", render_page(_index(reports)))
    return folder / "index.html"


def group_pages(trends: Sequence[Trend]) -> list[GroupPage]:
    """The benchmarks by file, in pages of a size that opens quickly."""
    groups: dict[str, list[Trend]] = {}
    for trend in trends:
        groups.setdefault(trend.workload.partition("::")[0], []).append(trend)
    pages: list[GroupPage] = []
    taken: set[str] = {"index"}
    for file, group in groups.items():
        parts = [group[start : start + PLOTS_OF_A_PAGE] for start in range(0, len(group), PLOTS_OF_A_PAGE)]
        for number, part in enumerate(parts, 1):
            suffix = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
            stem = _unused_stem(f"{parse_workload_name(file).module}{f'-{number}' if suffix else ''}", taken)
            pages.append(GroupPage(stem, f"{file}{suffix}", part))
    return pages


def _unused_stem(name: str, taken: set[str]) -> str:
    """A file name of letters, digits and -, unlike all others also where case does not count."""
    stem = base = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "benchmarks"
    number = 1
    while stem.lower() in taken:
        number += 1
        stem = f"{base}-{number}"
    taken.add(stem.lower())
    return stem


def _address(addresses: Mapping[str, str], trend: Trend) -> str:
    return addresses[trend.workload]


def _index(reports: Sequence[HistoryReport]) -> Document:
    newest_first = tuple(reversed(reports))
    rows = tuple(
        (
            Link(report.history.fingerprint, f"{report.history.fingerprint}/index.html"),
            _describe_environment(report),
            str(len(report.history.commits)),
            report.history.commits[-1].created_at[:10],
            report.headline,
        )
        for report in newest_first
    )
    columns = ("environment", "machine", "commits", "newest", "state")
    return Document(
        stem="index",
        title="Benchmarks",
        summary=(newest_first[0].headline, "Each environment has a history of its own."),
        sections=(Section("Environments", (Table(columns=columns, rows=rows),)),),
        command="perfsuite history --site DIR",
    )


def _describe_environment(report: HistoryReport) -> str:
    facts = report.environment.hard.values() if report.environment else ()
    return ", ".join(value for value in facts if value not in ("none", "0", "off"))
