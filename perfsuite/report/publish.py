"""Where reports go: a terminal, a folder, and GitHub where the process is one of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from rich.console import Console

from perfsuite import atomic
from perfsuite.errors import StoreError
from perfsuite.report.formats import github, markdown, terminal
from perfsuite.report.formats.registry import FORMATS
from perfsuite.report.report import Report

LOG_WIDTH = 120  # columns, where the output is not a terminal


def print_report(
    report: Report, stream: TextIO, environment: Mapping[str, str], *, show_kept: bool = False
) -> None:
    """Print the terminal format in the stream's width and colors."""
    console = Console(file=stream, width=None if stream.isatty() else LOG_WIDTH)
    color = console.is_terminal and not console.no_color and console.color_system is not None
    text = terminal.render(report, width=console.width, color=color, show_kept=show_kept)
    stream.write(printable(text, environment))
    stream.flush()


def printable(text: str, environment: Mapping[str, str]) -> str:
    """Return the text to print: in a GitHub job without anything that the runner would execute."""
    return github.disarm_commands(text) if is_github_job(environment) else text


def write_reports(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write every format that has a file extension, each file whole or not at all."""
    paths = []
    try:
        for report_format in FORMATS.values():
            if report_format.extension is not None:
                path = folder / f"{report.file_stem}{report_format.extension}"
                atomic.replace(path, report_format.render(report).encode())
                paths.append(path)
    except StoreError as error:
        raise StoreError(f"--report {error}; name a folder that can be written") from error
    return tuple(paths)


def publish_to_github(report: Report, environment: Mapping[str, str]) -> str:
    """Append the step summary and the outputs to GitHub's files; return the annotations to print."""
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown.render(report))
    if outputs := environment.get("GITHUB_OUTPUT"):
        with Path(outputs).open("a", encoding="utf-8") as file:
            file.write(github.render_outputs(report))
    return github.render(report) if is_github_job(environment) else ""


def is_github_job(environment: Mapping[str, str]) -> bool:
    """Whether these environment variables are those of a GitHub Actions job."""
    return environment.get("GITHUB_ACTIONS") == "true"
