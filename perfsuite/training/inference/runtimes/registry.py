"""The export runtimes by name: every module of this package that defines `RUNTIME`."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from perfsuite.training.inference.runtimes.base import ExportRuntime


def _collect_runtimes() -> dict[str, ExportRuntime]:
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [import_module(f"{__package__}.{name}") for name in names if name not in ("base", "registry")]
    runtimes: list[ExportRuntime] = [module.RUNTIME for module in modules]
    return {runtime.name: runtime for runtime in runtimes}


RUNTIMES = _collect_runtimes()
