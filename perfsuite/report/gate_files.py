"""Where a gate's reports are written: a folder, and GitHub where the run is one of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from perfsuite.judge.gated import GateReport


def write(report: GateReport, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def to_github(report: GateReport, environment: Mapping[str, str]) -> None:
    pass
