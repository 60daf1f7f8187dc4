from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Protocol

import pytest

from perfsuite.judge import limit_confirmation

# Inner runs drop the modules that they import. These cannot be imported twice: some abort the process.
for name in ("numpy", "torch", "triton", "matplotlib.figure"):
    with suppress(ImportError):
        import_module(name)


class Run(Protocol):
    def __call__(self, source: str, *options: str, stores: bool = False) -> pytest.RunResult: ...


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a project of one test file in this process: its source, then options."""
    monkeypatch.setattr(limit_confirmation, "LONGEST_PAUSE_SECONDS", 0.0)

    def run_project(source: str, *options: str, stores: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_project=f"import pytest\n{source}")
        # Sampling stops when a limit is decided, so that a long budget costs nothing on an idle machine and
        # suffices on a busy one; nine rounds are the fewest that have an interval.
        defaults = ["--benchmark-max-time=0.02", "--benchmark-min-rounds=9", "--perf-max-time=600"]
        defaults += ["--benchmark-quiet"]
        # Each inner run would import hypothesis anew.
        defaults += ["-p", "no:hypothesispytest"]
        # pytest-benchmark reads the processor's name for every stored run, which takes a second.
        defaults += [] if stores else ["--perf-no-save"]
        return pytester.runpytest_inprocess(*defaults, *options)

    return run_project
