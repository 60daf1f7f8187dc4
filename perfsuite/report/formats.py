"""Where a gate's reports are written: a folder, and GitHub where the run is one of its jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from perfsuite import atomic
from perfsuite.errors import StoreError
from perfsuite.judge.reports import GateReport
from perfsuite.report import gate_markdown, github, html_, junit

SCHEMA_VERSION = 1


def write_reports(report: GateReport, folder: Path) -> tuple[Path, ...]:
    """gate.json, gate.md, gate.xml and gate.html, each whole or not at all."""
    texts = {
        "gate.json": render_json(report),
        "gate.md": gate_markdown.render(report),
        "gate.xml": junit.render(report),
        "gate.html": html_.render(report),
    }
    try:
        for name, text in texts.items():
            atomic.replace(folder / name, text.encode())
    except StoreError as error:
        raise StoreError(f"--report {error}; name a folder that can be written") from error
    return tuple(folder / name for name in texts)


def render_json(report: GateReport) -> str:
    """Everything that is known of a gate; numbers that are not finite become null."""
    told = {
        "schema": SCHEMA_VERSION,
        "headline": report.headline,
        "exit_code": report.exit_code,
        **asdict(report),
        "moved_stages": report.attributed_stages,
        "outcomes": {found.name: found.outcome.value for found in report.workloads},
    }
    return json.dumps(_replace_non_finite(told), indent=1, default=str, allow_nan=False) + "\n"


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _replace_non_finite(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_non_finite(inside) for inside in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def publish_to_github(report: GateReport, environment: Mapping[str, str]) -> list[str]:
    """Append summary and outputs where GitHub asked for them; the annotations to print."""
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(gate_markdown.render(report))
    if outputs := environment.get("GITHUB_OUTPUT"):
        with Path(outputs).open("a", encoding="utf-8") as file:
            file.write(github.render_outputs(report))
    return github.workflow_commands(report) if environment.get("GITHUB_ACTIONS") == "true" else []
