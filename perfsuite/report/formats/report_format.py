"""The interface of a report format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfsuite.report.report import Report


@dataclass(frozen=True, slots=True)
class ReportFormat:
    """How a report becomes text, and the extension of its file; without one it is not written to a folder."""

    render: Callable[[Report], str]
    extension: str | None = None
