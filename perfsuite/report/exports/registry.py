"""The registry of export formats: every file of this folder that defines `EXPORT`, by its name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path

from perfsuite.report.exports.export_format import ExportFormat


def load_exports() -> dict[str, ExportFormat]:
    """Import the files of this folder and collect the formats that they define."""
    package = __name__.rpartition(".")[0]
    exports = {}
    for name in sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])):
        if name != "registry":
            module = importlib.import_module(f"{package}.{name}")
            if isinstance(found := getattr(module, "EXPORT", None), ExportFormat):
                exports[name.strip("_").replace("_", "-")] = found
    return exports


EXPORTS: Mapping[str, ExportFormat] = load_exports()
