"""The export runtimes by name: every module of this package that defines `RUNTIME`."""

from __future__ import annotations

from perfsuite.discovery import discover
from perfsuite.training.inference import runtimes
from perfsuite.training.inference.runtimes.base import ExportRuntime

RUNTIMES = {runtime.name: runtime for runtime in discover(runtimes, "RUNTIME", ExportRuntime).values()}
