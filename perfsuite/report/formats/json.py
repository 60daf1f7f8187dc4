"""JSON: every number of a report, with null for what is not finite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite

from perfsuite.report.formats.report_format import ReportFormat
from perfsuite.report.report import Report


def render(report: Report) -> str:
    """One object: schema version, headline, exit code, verdicts with the worst first, and every number."""
    return dump_json(report.data)


def dump_json(value: object, indent: int | None = 1) -> str:
    r"""Serialize a value as JSON that every parser reads: JSON has no infinity and no NaN, so both are null.

    >>> dump_json({"low": -1.0, "high": float("inf")})
    '{\n "low": -1.0,\n "high": null\n}\n'
    """
    text = json.dumps(_replace_non_finite(value), indent=indent, default=str, allow_nan=False)
    return text.replace("##[", "##\\u005b") + "\n"  # GitHub's runner would execute it on stdout


def _replace_non_finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _replace_non_finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_non_finite(member) for member in value]
    return None if isinstance(value, float) and not isfinite(value) else value


FORMAT = ReportFormat(render, ".json")
