from __future__ import annotations

from typing import Protocol

import pytest
import scipy.special  # noqa: F401 - numpy cannot be imported a second time, and inner runs begin with a clean slate


class Run(Protocol):
    def __call__(self, source: str, *options: str, stores: bool = False) -> pytest.RunResult: ...


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run a five-line project: its source, then options."""

    def run_project(source: str, *options: str, stores: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_project=f"import pytest\n{source}")
        # A limit that is decided stops early, so that a long budget costs nothing and a busy machine may
        # take as long as it needs; nine rounds are the fewest that have an interval.
        quick = ["--benchmark-max-time=0.02", "--benchmark-min-rounds=9", "--perf-max-time=600"]
        quick += ["--benchmark-quiet"]
        # hypothesis would be imported anew by each of these inner runs
        quick += ["-p", "no:hypothesispytest"]
        # pytest-benchmark asks the processor for its name, which takes a second, whenever a run is stored.
        quick += [] if stores else ["--perf-no-save"]
        return pytester.runpytest_inprocess(*quick, *options)

    return run_project
