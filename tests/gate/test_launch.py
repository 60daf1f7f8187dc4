"""What the processes of a gate start with, and what they leave behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfsuite.judge.verdict import Outcome
from tests.gate.projects import (
    BENCHMARKS,
    Project,
    jobs,
    outcomes,
    src_layout,
)


def test_failed_first_strict_config_and_warnings_as_errors_are_supported(project: Project) -> None:
    ini = "[pytest]\naddopts = --ff --strict-config\ncache_dir = .cache\nfilterwarnings = error\n"
    project.commit(src_layout(**{"pytest.ini": ini}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    report = project.gate()
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}


RANDOMLY = """
import os
from pathlib import Path


def pytest_addoption(parser):
    parser.addoption("--randomly-seed", dest="randomly_seed", default="default")


def pytest_runtest_setup(item):
    side, pair = os.environ["PERFSUITE_GATE_SIDE"], os.environ["PYTHONHASHSEED"]
    with Path(os.environ["TMPDIR"], "seeds").open("a") as file:
        file.write(f"{pair} {item.config.option.randomly_seed} {side}\\n")
"""


def test_both_sides_get_the_same_random_seed(project: Project) -> None:
    """A plugin that seeds every test uses the time as its default seed."""
    project.commit(src_layout(**{"conftest.py": RANDOMLY}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    project.gate()
    records = [line.split() for line in Path(os.environ["TMPDIR"], "seeds").read_text().splitlines()]
    seeds = {
        side: {(pair, seed) for pair, seed, of_side in records if of_side == side}
        for side in ("base", "head")
    }
    assert seeds["base"] == seeds["head"]
    assert len({seed for _, seed in seeds["base"]}) == 3, "one for the counting and one for each pair"


def test_variables_of_the_callers_checkout_do_not_reach_the_sides(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(project.root.parent / "cache"))
    monkeypatch.setenv("GIT_PREFIX", "somewhere/")
    conftest = "import os\nassert not {'PYTHONPYCACHEPREFIX', 'GIT_PREFIX'} & set(os.environ)\n"
    project.commit(src_layout(**{"conftest.py": conftest}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    assert outcomes(project.gate()) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}


LEAVES = """
import atexit
import os
from pathlib import Path

import pytest
from toy import clock, jobs

mark = Path(os.environ["TMPDIR"], f"shared-{os.getpid()}")
mark.touch()
atexit.register(mark.unlink)


@pytest.mark.benchmark(timer=clock.now)
def test_decode(benchmark, tmp_path):
    (tmp_path / "image").write_text("")
    benchmark(jobs.decode)
"""


def test_files_that_tests_write_or_remove_at_exit_are_gone(project: Project) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": LEAVES}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    assert set(outcomes(project.gate()).values()) == {Outcome.REGRESSED}
    left = [str(path) for path in Path(os.environ["TMPDIR"]).rglob("*") if path.is_file()]
    assert left == []
    assert not list(Path(os.environ["TMPDIR"]).glob("pytest-of-*"))


def test_tests_may_have_any_name(project: Project) -> None:
    names = ["a b", "it's", '"', "ü", "<b>|", "x::y", "[1]", "%0A", "a/b"]
    test = f"""
@pytest.mark.parametrize("name", {names!r})
def test_named(benchmark, name):
    benchmark(jobs.decode)
"""
    project.commit(
        src_layout(**{"benchmarks/test_jobs.py": BENCHMARKS.partition("def test_decode")[0] + test})
    )
    project.commit({"README": "1"})
    report = project.gate(max_pairs=4)
    assert len(report.workloads) == len(names)
    assert {workload.outcome for workload in report.workloads} == {Outcome.KEPT}
