"""`--perf-count-only`: count what one call of each workload does. No time is measured, and none is judged."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from perfsuite.measure.extra_calls import count_workload
from perfsuite.measure.workload import Workload
from perfsuite.pytest_plugin.markers import ItemLimits
from perfsuite.pytest_plugin.outcome import fail_test, judge_limits, record_verdicts
from perfsuite.pytest_plugin.session import PerfSession


def count_and_judge(
    item: pytest.Item, workloads: Sequence[Workload], limits: ItemLimits, session: PerfSession
) -> None:
    """Count each workload; fail the test where a counter regressed, or breaks a limit of the first."""
    failures = []
    for number, workload in enumerate(workloads):
        applied = limits.of_counters if number == 0 else ItemLimits()
        measurement = count_workload(workload)
        verdicts, aims = (
            judge_limits(each, measurement, session.options.level)
            for each in (applied.required, applied.aims)
        )
        failures += record_verdicts(item, measurement, verdicts, session, aims=aims)
    fail_test(failures)
