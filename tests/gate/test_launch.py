"""What the processes of a gate start with, and what they leave behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfsuite.gate.git import Repository
from perfsuite.gate.launch import Launcher
from perfsuite.gate.worktree import Worktree
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
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
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


@pytest.mark.parametrize(
    ("dont_write", "is_compiled", "goes_to_workspace"),
    [("1", False, True), ("1", True, False), ("", False, False)],
)
def test_bytecode_that_may_not_lie_beside_its_source_lies_in_the_workspace(
    dont_write: str,
    is_compiled: bool,
    goes_to_workspace: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", dont_write)
    package = tmp_path / "environment" / "lib" / "python3.11" / "site-packages" / "_pytest"
    (package / "__pycache__" if is_compiled else package).mkdir(parents=True)
    launcher = Launcher(Repository(tmp_path, tmp_path), tmp_path, tmp_path / "workspace")
    python = str(tmp_path / "environment" / "bin" / "python")
    tree = Worktree("head", tmp_path, tmp_path, commit="", label="", python=python)
    environment = launcher.fork_server_environment(tree, {})
    assert environment["PYTHONDONTWRITEBYTECODE"] == ("" if goes_to_workspace else dont_write)
    prefix = str(tmp_path / "workspace" / "bytecode") if goes_to_workspace else None
    assert environment.get("PYTHONPYCACHEPREFIX") == prefix


WRITES_SUMMARY = """
import os
from pathlib import Path


def pytest_terminal_summary():
    Path(os.environ["TMPDIR"], "summary").touch()


def pytest_report_header():
    Path(os.environ["TMPDIR"], "header").touch()


def pytest_sessionfinish():
    Path(os.environ["TMPDIR"], "finish").touch()
"""


def test_the_sides_make_no_headers_and_summaries_that_nobody_reads(project: Project) -> None:
    project.commit(src_layout(**{"conftest.py": WRITES_SUMMARY}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    assert outcomes(project.gate())["test_decode"] is Outcome.REGRESSED
    assert [path.name for path in Path(os.environ["TMPDIR"]).iterdir() if path.is_file()] == ["finish"]
