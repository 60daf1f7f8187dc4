"""From verdicts to the outcome of a test: recorded, added to JUnit's properties, failed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from perfsuite.judge.limits import SAMPLE_LONGER, Limit, judge_limit
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.measurement import Measurement
from perfsuite.pytest_plugin.benchmark_adapter import BenchmarkAdapter
from perfsuite.pytest_plugin.markers import ItemLimits
from perfsuite.pytest_plugin.session import PerfSession
from perfsuite.report.text import escape_control_characters

# What pytest-benchmark's own fixture measures: times, and calls.
PLAIN_METRICS = ("calls_per_second", "seconds_per_call", "p50", "p90", "p95", "p99")
PLAIN_SAMPLE_LONGER = "take more samples (--benchmark-max-time, --benchmark-min-rounds or pedantic's rounds)"


def judge_limits(
    limits: Sequence[Limit], measurement: Measurement, level: float, sample_longer: str = SAMPLE_LONGER
) -> list[Verdict]:
    """Judge the limits that one measurement decides; ratios need two."""
    return [
        judge_limit(limit, limit.definition.estimate(measurement, level), measurement.name, sample_longer)
        for limit in limits
        if not limit.is_of_ratio
    ]


def apply_verdicts(
    item: pytest.Item,
    measurement: Measurement,
    verdicts: Sequence[Verdict],
    session: PerfSession,
    *,
    aims: Sequence[Verdict] = (),
) -> None:
    """Record a measurement, and fail its test where a limit is broken or unclear or a change is red."""
    fail_test(record_verdicts(item, measurement, verdicts, session, aims=aims))


def record_verdicts(
    item: pytest.Item,
    measurement: Measurement,
    verdicts: Sequence[Verdict],
    session: PerfSession,
    *,
    aims: Sequence[Verdict] = (),
) -> list[str]:
    """Record a measurement; return why its test fails."""
    result = session.record(measurement, verdicts, aims)
    if measurement.seconds_per_call:
        rate = f"{measurement.unit}_per_second"
        item.user_properties.append((rate, f"{measurement.items_per_second:.6g}"))
    for verdict in (*verdicts, *result.changes):
        item.user_properties.append((f"perfsuite.{verdict.metric}", verdict.outcome.value))
    fail_on_unclear = session.options.fail_on_unclear
    failures = [f"{each.outcome}: {each.reason}" for each in verdicts if _fails(each, fail_on_unclear)]
    # An unclear change fails nothing: without enough stored runs every change is unclear.
    changes = [each for each in result.changes if each.is_red]
    return failures + [f"{each.outcome}: {each.metric}: {each.explanation}" for each in changes]


def fail_test(failures: Sequence[str]) -> None:
    if failures:
        # Reasons name what files contain. The first line is what pytest's summary shows beside the test.
        pytest.fail("\n".join(map(escape_control_characters, failures)), pytrace=False)


def judge_plain_benchmark(item: pytest.Function, limits: ItemLimits, session: PerfSession) -> None:
    """Judge the limits of a test that used pytest-benchmark's own fixture."""
    benchmark = BenchmarkAdapter.of_test(item)
    if benchmark is None:
        pytest.fail("the test has limits, but uses neither perf nor benchmark", pytrace=False)
    for limit in (*limits.required, *limits.aims):
        if limit.metric not in PLAIN_METRICS:
            pytest.fail(
                f"{limit.limit_type}({limit.metric}) needs the fixture perf; benchmark measures"
                f" {', '.join(PLAIN_METRICS)}",
                pytrace=False,
            )
    if not benchmark.is_disabled and (measurement := benchmark.measurement) is not None:
        verdicts, aims = (
            judge_limits(each, measurement, session.options.level, PLAIN_SAMPLE_LONGER)
            for each in (limits.required, limits.aims)
        )
        apply_verdicts(item, measurement, verdicts, session, aims=aims)


def _fails(verdict: Verdict, fail_on_unclear: bool) -> bool:
    return verdict.is_red or (verdict.outcome is Outcome.UNCLEAR and fail_on_unclear)
