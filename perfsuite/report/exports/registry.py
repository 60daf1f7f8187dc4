"""The registry of export formats: every file of this folder that defines `EXPORT`, by its name."""

from __future__ import annotations

from collections.abc import Mapping

from perfsuite.discovery import discover
from perfsuite.report import exports
from perfsuite.report.exports.export_format import ExportFormat

EXPORTS: Mapping[str, ExportFormat] = {
    name.replace("_", "-"): entry for name, entry in discover(exports, "EXPORT", ExportFormat).items()
}
