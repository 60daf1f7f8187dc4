"""What training steps do, counted: exact, so that a runner without a GPU gates on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.advise.step_counters import CASES, diff_counters, expected_file, read_expected

EXPECTED = expected_file(Path(__file__).with_name("expected"))


@pytest.mark.parametrize(
    "case",  # compiling anew takes a minute
    [pytest.param(case, marks=[pytest.mark.slow] if case == "compiled" else []) for case in CASES],
)
def test_steps_do_what_they_did(case):
    if not EXPECTED.exists():
        pytest.skip(f"no {EXPECTED.name}; `perfsuite counters --update` writes it")
    differing = diff_counters({case: read_expected(EXPECTED).get(case, {})}, {case: CASES[case]()})
    assert not differing, "\n".join([*differing, "if that is meant: perfsuite counters --update"])
