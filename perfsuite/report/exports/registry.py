"""The registry of export formats: every file of this folder that defines `EXPORT`, by its name."""

from __future__ import annotations

from perfsuite.discovery import discover_by_name
from perfsuite.report import exports
from perfsuite.report.exports.export_format import ExportFormat

EXPORTS = discover_by_name(exports, "EXPORT", ExportFormat)
