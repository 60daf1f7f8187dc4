"""The registry of report formats: every file of this folder that defines `FORMAT`, by its name."""

from __future__ import annotations

from perfsuite.discovery import discover_by_name
from perfsuite.report import formats
from perfsuite.report.formats.report_format import ReportFormat

FORMATS = discover_by_name(formats, "FORMAT", ReportFormat)
