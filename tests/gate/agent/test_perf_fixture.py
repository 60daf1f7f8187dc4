"""Tests that use `perf` are gated like those that use `benchmark`, each arm of a race by itself."""

from __future__ import annotations

import random

from perfsuite.gate.pair_runner import collect_suites, prepare_sides
from perfsuite.gate.workspace import gate_workspace
from perfsuite.gate.worktree import Repository
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


def test_workloads_of_perf_take_their_turns_and_limits_are_not_judged(project: Project) -> None:
    project.commit({"test_perf.py": PERF})
    asked = quick_settings("HEAD", null=True, pytest_words=("-p", "perfsuite.pytest_plugin"))
    repository = Repository.at(project.root)
    with (
        gate_workspace(repository.git_directory) as place,
        prepare_sides(repository, asked, place, random.Random(1), print) as stand,
    ):
        suites = collect_suites(stand)
        found = stand.run(suites.nodes("head"))
    assert [seen.name for seen in found.workload_turns] == [
        "test_perf.py::test_one",
        "test_perf.py::test_batches",
        "test_perf.py::test_race::plain",
        "test_perf.py::test_race::augmented",
    ]
    assert [seen.items for seen in found.workload_turns] == [32, 3, 1, 1]
    assert {end.outcome for ends in found.outcomes.values() for end in ends.values()} == {"passed"}
    assert suites.tolerance("test_perf.py::test_one") == 0.04
