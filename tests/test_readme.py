"""The benchmark of the README runs in a project that has nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perfsuite.data.synthetic import dataset

README = Path(__file__).parents[1] / "README.md"


def test_the_benchmark_of_the_readme_runs(pytester: pytest.Pytester, tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    pytester.makepyfile(test_mine=source)
    images = dataset.make_dataset(tmp_path / "images", images=24, classes=2, size=(96, 64))
    # Each workload is called once and not timed: its limits are for an idle machine.
    run = pytester.runpytest_subprocess("--benchmark-disable", f"--perf-images={images}")
    run.assert_outcomes(passed=2)
    assert "error" not in run.stdout.str().lower()
