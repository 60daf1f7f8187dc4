"""What a stored run says of itself: all of the suite or a part, and which limits are broken."""

from __future__ import annotations

import pytest

from perfsuite.store.run import Run as StoredRun
from perfsuite.store.runs import RunStore
from tests.pytest_plugin.conftest import Run

TWO = """
@pytest.mark.{limit}
def test_one(perf): perf(lambda: None)
def test_two(benchmark): benchmark(lambda: None)
"""
KEPT, BROKEN = "floor(calls_per_second=0.001)", "floor(calls_per_second=1e15)"


def stored(pytester: pytest.Pytester) -> StoredRun:
    return RunStore(pytester.path / ".perfsuite/runs").latest()


@pytest.mark.parametrize(
    ("options", "selection"),
    [
        ((), ""),
        (("test_project.py",), ""),
        (("-k", "test"), ""),  # leaves nothing out
        (("-k", "one"), "1 benchmarks were left out"),
        (("test_project.py::test_one",), "only test_project.py::test_one was run"),
    ],
)
def test_a_run_says_that_it_is_a_part_of_the_suite(
    options: tuple[str, ...], selection: str, run: Run, pytester: pytest.Pytester
) -> None:
    run(TWO.format(limit=KEPT), *options, "--perf-time-only", stores=True)
    assert (stored(pytester).selection, stored(pytester).broken_limits) == (selection, ())


def test_a_file_beside_others_is_a_part(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_other(benchmark): benchmark(lambda: None)")
    run(TWO.format(limit=KEPT), "test_project.py", "--perf-time-only", stores=True)
    assert stored(pytester).selection == "test_project.py was run without test_other.py"
    run(TWO.format(limit=KEPT), "test_project.py", "test_other.py", "--perf-time-only", stores=True)
    assert stored(pytester).selection == ""


def test_a_broken_limit_is_stored_with_its_workload(run: Run, pytester: pytest.Pytester) -> None:
    run(TWO.format(limit=BROKEN), "--perf-time-only", stores=True)
    assert stored(pytester).broken_limits == ("test_project.py::test_one",)
