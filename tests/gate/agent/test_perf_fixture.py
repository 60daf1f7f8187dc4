"""Tests that use `perf` are gated like those that use `benchmark`."""

from __future__ import annotations

import random

from perfsuite.gate.collect_suites import collect_suites
from perfsuite.gate.pair_result import NodeId
from perfsuite.gate.prepare_sides import open_pair_runner
from tests.gate.projects import Project, quick_settings

PERF = """
import pytest


@pytest.mark.floor(images_per_second=1e12)
@pytest.mark.tolerance(0.04)
def test_one(perf):
    perf(lambda: sum(range(1000)), items=32)


def test_batches(perf):
    perf([[1, 2], [3]])


@pytest.mark.ceiling(overhead=0.0)
def test_race(perf):
    perf.pair(plain=lambda: None, augmented=lambda: sum(range(100)))
"""


def test_each_perf_workload_takes_turns_and_its_limits_are_not_judged(project: Project) -> None:
    project.commit({"test_perf.py": PERF})
    settings = quick_settings("HEAD", null=True, pytest_args=("-p", "perfsuite.pytest_plugin"))
    with open_pair_runner(project.root, settings, random.Random(1)) as runner:
        suites = collect_suites(runner)
        result = runner.run(suites.nodes("head"))
    assert [turns.name for turns in result.workload_turns] == [
        "test_perf.py::test_one",
        "test_perf.py::test_batches",
        "test_perf.py::test_race::plain",
        "test_perf.py::test_race::augmented",
    ]
    assert [turns.items for turns in result.workload_turns] == [32, 3, 1, 1]
    ends = [outcome for outcomes in result.outcomes.values() for outcome in outcomes.values()]
    assert {outcome.outcome for outcome in ends} == {"passed"}
    assert suites.marked_tolerance(NodeId("test_perf.py::test_one")) == 0.04
