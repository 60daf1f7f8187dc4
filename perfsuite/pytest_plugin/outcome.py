"""From verdicts to a test's fate: what is kept, told to JUnit, and failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from perfsuite.judge.limits import Limit, judge_limit
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.measurement import Measurement
from perfsuite.pytest_plugin.session import PerfSession, plain_measurements


def judge_limits(limits: Sequence[Limit], measurement: Measurement, level: float) -> list[Verdict]:
    """Every limit that one measurement can answer; ratios need two."""
    return [
        judge_limit(limit, limit.definition.estimate(measurement, level), measurement.name)
        for limit in limits
        if not limit.is_of_ratio
    ]


def apply_verdicts(
    item: pytest.Item, measurement: Measurement, verdicts: Sequence[Verdict], session: PerfSession
) -> None:
    """Keep what was found, tell JUnit, and fail the test where a limit is broken or left unclear."""
    judged = session.record(measurement, verdicts)
    rate = f"{measurement.unit}_per_second"
    item.user_properties.append((rate, f"{measurement.items_per_second:.6g}"))
    for verdict in (*verdicts, *judged.changes):
        item.user_properties.append((f"perfsuite.{verdict.metric}", verdict.outcome.value))
    fail_on_unclear = session.options.fail_on_unclear
    wrong = [f"{each.outcome}: {each.reason}" for each in verdicts if _fails(each, fail_on_unclear)]
    # An unclear change fails nothing: without enough stored runs every change is unclear.
    wrong += [f"{each.outcome}: {each.metric}: {each.reason}" for each in judged.changes if each.is_red]
    if wrong:
        pytest.fail("\n".join([item.nodeid, *wrong]), pytrace=False)


def judge_plain_benchmark(item: pytest.Function, limits: Sequence[Limit], session: PerfSession) -> None:
    """Judge the limits of a test that used pytest-benchmark's own fixture."""
    benchmark: Any = item.funcargs.get("benchmark")
    if benchmark is None:
        pytest.fail(f"{item.nodeid}: it has limits, but uses neither perf nor benchmark", pytrace=False)
    if benchmark.disabled or benchmark.stats is None:
        return
    (measurement,) = plain_measurements([benchmark.stats])
    apply_verdicts(item, measurement, judge_limits(limits, measurement, session.options.level), session)


def _fails(verdict: Verdict, fail_on_unclear: bool) -> bool:
    return verdict.is_red or (verdict.outcome is Outcome.UNCLEAR and fail_on_unclear)
