"""Verdicts as JSON, for whatever reads them next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from perfsuite.judge.verdict import Verdict, sort_by_severity


def render(verdicts: Sequence[Verdict], warnings: Iterable[str] = (), exit_code: int = 0) -> str:
    """One object: the exit code, warnings, and the verdicts with the worst first.

    >>> render([])
    '{"exit_code": 0, "warnings": [], "verdicts": []}\\n'
    """
    told = {
        "exit_code": exit_code,
        "warnings": list(warnings),
        "verdicts": [_replace_non_finite(asdict(each)) for each in sort_by_severity(verdicts)],
    }
    return json.dumps(told, allow_nan=False) + "\n"


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _replace_non_finite(member) for key, member in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value
