"""The registry of report formats: every file of this folder that defines `FORMAT`, by its name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from perfsuite.report.formats.report_format import ReportFormat


def load_formats(folders: Iterable[str], package: str) -> dict[str, ReportFormat]:
    """Import the files of a package and collect the formats that they define."""
    formats = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(folders)):
        if name != "registry":
            module = importlib.import_module(f"{package}.{name}")
            if isinstance(found := getattr(module, "FORMAT", None), ReportFormat):
                formats[name] = found
    return formats


FORMATS: Mapping[str, ReportFormat] = load_formats([str(Path(__file__).parent)], __name__.rpartition(".")[0])
