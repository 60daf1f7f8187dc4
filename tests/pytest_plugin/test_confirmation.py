"""A limit that looks broken is measured again before it is."""

from __future__ import annotations

import pytest

# Each pause of the fixture is an entry of `pauses`; the workload is slow before `slow_pauses` of them.
TEST = """
import time
from types import SimpleNamespace

import pytest

from perfsuite.pytest_plugin import fixture

pauses = []


@pytest.mark.{kind}(seconds_per_call="1 ms")
def test_call(perf, monkeypatch):
    monkeypatch.setattr(fixture, "time", SimpleNamespace(sleep=pauses.append))
    perf(lambda: time.sleep(0.02 if len(pauses) < {slow_pauses} else 0))


def test_pauses():
    assert pauses == {pauses}
"""
OPTIONS = ("--perf-max-time=0.4", "--perf-time-only", "--perf-no-save")


@pytest.mark.parametrize(
    ("kind", "slow_pauses", "pauses", "outcome"),
    [
        ("ceiling", 0, [], "kept"),
        ("ceiling", 1, [0.2], "unclear"),
        ("ceiling", 2, [0.2, 0.2], "unclear"),
        ("ceiling", 3, [0.2, 0.2], "broken"),
        ("aim", 3, [], "aims"),  # it fails nothing
    ],
)
def test_what_looks_broken_is_measured_twice_more(
    pytester: pytest.Pytester, kind: str, slow_pauses: int, pauses: list[float], outcome: str
) -> None:
    pytester.makepyfile(TEST.format(kind=kind, slow_pauses=slow_pauses, pauses=pauses))
    result = pytester.runpytest_inprocess(*OPTIONS)
    is_passed = outcome in ("kept", "aims")
    result.assert_outcomes(passed=1 + is_passed, failed=1 - is_passed)
    if not is_passed:
        result.stdout.fnmatch_lines([f"*{outcome}: seconds_per_call of *above the ceiling of 1.00 ms*"])
    assert ("but a moment later: seconds_per_call of" in result.stdout.str()) == (outcome == "unclear")
