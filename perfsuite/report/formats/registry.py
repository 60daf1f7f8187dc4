"""The registry of report formats: every file of this folder that defines `FORMAT`, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from perfsuite.discovery import discover
from perfsuite.report import formats
from perfsuite.report.formats.report_format import ReportFormat

FORMATS: Mapping[str, ReportFormat] = discover(formats, "FORMAT", ReportFormat)
