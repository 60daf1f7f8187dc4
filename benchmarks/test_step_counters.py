"""Counters of training steps. They are exact, so a runner without a GPU can gate on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.advise.step_counters import CASES, diff_counters, expected_file, read_expected

EXPECTED = expected_file(Path(__file__).with_name("expected"))


@pytest.mark.parametrize(
    "case",  # compiling takes a minute
    [pytest.param(case, marks=[pytest.mark.slow] if case == "compiled" else []) for case in CASES],
)
def test_step_counters_are_unchanged(case: str) -> None:
    if not EXPECTED.exists():
        pytest.skip(f"no {EXPECTED.name}; `perfsuite counters --update` writes it")
    differences = diff_counters({case: read_expected(EXPECTED).get(case, {})}, {case: CASES[case]()})
    assert not differences, "\n".join([*differences, "if this is intended: perfsuite counters --update"])
