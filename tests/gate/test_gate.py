"""Whole gates on projects that do not use perfsuite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.gate import counting, timing
from perfsuite.gate import gate as gate_module
from perfsuite.gate.gate_state import GateContext, GateState
from perfsuite.gate.pair_result import NodeId
from perfsuite.gate.timing_plan import choose_workloads
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project, flat_layout, jobs, outcomes, src_layout, workload_named

STYLES = """
import pytest
from toy import clock, jobs

pytestmark = pytest.mark.benchmark(timer=clock.now)


@pytest.fixture(scope="module")
def images():
    return list(range(3))


class TestImages:
    @pytest.mark.parametrize("factor", [1, 4])
    def test_resize(self, benchmark, factor):
        benchmark(jobs.resize, factor)

    def test_module_fixture(self, benchmark, images):
        benchmark(jobs.resize, len(images))


def test_pedantic(benchmark, images):
    torn_down = []

    def make():
        clock.work(0.5)  # not part of what is timed
        return (list(images),), {}

    def use(fresh):
        assert fresh == [0, 1, 2], "every round gets fresh arguments"
        jobs.decode()
        fresh.clear()
        return "used"

    assert benchmark.pedantic(use, setup=make, teardown=torn_down.append, rounds=3) == "used"
    assert torn_down
    assert benchmark.stats.stats.rounds > 0


def test_pedantic_with_iterations(benchmark):
    benchmark.pedantic(jobs.decode, rounds=2, iterations=5)


def test_measures_nothing(benchmark):
    assert benchmark


def test_plain():
    raise AssertionError("a test without a benchmark is not run by a gate")


@pytest.mark.skip(reason="no camera here")
def test_skipped(benchmark):
    benchmark(jobs.decode)


@pytest.mark.xfail(reason="known", strict=True)
def test_expected_to_fail(benchmark):
    benchmark(jobs.missing)
"""


def test_a_slowdown_is_reported_for_its_workload_only(project: Project) -> None:
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.00105)})
    report = project.gate()
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
    assert workload_named(report, "test_decode").worst.estimate == pytest.approx(0.05, abs=0.01)
    assert report.exit_code == 1


def test_uncommitted_changes_of_a_flat_project_are_part_of_head(project: Project) -> None:
    project.commit(flat_layout())
    project.write({"toy/jobs.py": jobs(decode=0.0012), "toy/extra.py": ""})
    report = project.gate(base="HEAD", head=None)
    assert outcomes(report) == {"test_decode": Outcome.REGRESSED, "test_resize": Outcome.KEPT}
    assert report.head.uncommitted == ("toy/extra.py", "toy/jobs.py")
    assert project.git("status", "--short").split() == ["M", "toy/jobs.py", "??", "toy/extra.py"]


def test_swapped_sides_swap_the_verdict(project: Project) -> None:
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.00105)})
    report = project.gate(base="HEAD", head="HEAD~1")
    assert outcomes(report) == {"test_decode": Outcome.IMPROVED, "test_resize": Outcome.KEPT}
    assert report.exit_code == 0


def test_every_style_of_benchmark_is_gated(project: Project) -> None:
    project.commit(src_layout(**{"benchmarks/test_jobs.py": STYLES}))
    project.commit({"src/toy/jobs.py": jobs(resize=0.0011)})
    report = project.gate(max_pairs=3)
    assert outcomes(report) == {
        "test_resize[1]": Outcome.REGRESSED,
        "test_resize[4]": Outcome.REGRESSED,
        "test_module_fixture": Outcome.REGRESSED,
        "test_pedantic": Outcome.KEPT,
        "test_pedantic_with_iterations": Outcome.KEPT,
    }
    assert {name.rpartition("::")[2] for name in report.skipped} == {
        "test_skipped",
        "test_expected_to_fail",
        "test_measures_nothing",
    }
    assert "no camera here" in str(report.skipped)
    assert workload_named(report, "test_pedantic").seconds_per_call == pytest.approx((0.001, 0.001), rel=0.02)


def test_pytest_options_of_a_project_cannot_stop_record_or_split_the_run(project: Project) -> None:
    options = "-x --benchmark-disable --benchmark-autosave --benchmark-min-rounds=1 --maxfail=1"
    ini = f'\n[tool.pytest.ini_options]\naddopts = "{options}"\ntestpaths = ["benchmarks"]\n'
    project.commit(src_layout(**{"pyproject.toml": '[project]\nname = "toy"\nversion = "1"\n' + ini}))
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    assert outcomes(project.gate())["test_decode"] is Outcome.REGRESSED


def test_the_repository_is_left_as_it_was(project: Project, tmp_path: Path) -> None:
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    before = sorted(str(p) for p in project.root.rglob("*"))
    report = project.gate(pytest_args=("-k", "decode"), max_pairs=1)
    assert list(outcomes(report)) == ["test_decode"], "a selection is gated alone"
    assert sorted(str(p) for p in project.root.rglob("*")) == before
    assert project.git("worktree", "list").count("\n") == 1
    assert not [p for p in (tmp_path / "tmp").rglob("*") if p.is_file()]


def test_a_pair_that_runs_out_of_time_is_unclear_and_no_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time budget may end while both sides of a timed pair are still being collected."""
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": jobs(decode=0.0012)})
    is_counted = False

    def count_and_note(context: GateContext, state: GateState, nodes: Sequence[NodeId]) -> None:
        nonlocal is_counted
        counting.count_benchmarks(context, state, nodes)
        is_counted = True

    monkeypatch.setattr(gate_module, "count_benchmarks", count_and_note)
    monkeypatch.setattr(GateContext, "is_out_of_time", lambda self: is_counted)
    choose = choose_workloads
    monkeypatch.setattr(
        timing,
        "choose_workloads",
        lambda undecided, *rest: [] if undecided[0].attempted_pairs else choose(undecided, *rest),
    )
    report = project.gate()
    assert set(outcomes(report).values()) == {Outcome.UNCLEAR}
    assert report.exit_code == 10
    assert "ended after 1 pairs; 0 of 2 timed workloads are decided" in report.notes[-1]


def test_the_same_commit_on_both_sides_is_refused(project: Project) -> None:
    project.commit(src_layout())
    with pytest.raises(UsageError, match="--null"):
        project.gate(base="HEAD", head="HEAD")


def test_no_time_is_judged_where_base_differs_from_base(project: Project) -> None:
    """Planted: the role of head is slower by itself, which null pairs must detect."""
    slow_role = "\nimport os\nPROCESS *= 1.3 if os.environ['PERFSUITE_GATE_SIDE'] == 'head' else 1\n"
    files = src_layout()
    project.commit(files | {"src/toy/clock.py": files["src/toy/clock.py"] + slow_role})
    project.commit({"README": "nothing that matters"})
    report = project.gate(null_workloads=1)
    assert {len(ratios) for ratios in report.null_log_ratios.values()} == {6}
    assert report.unfit
    assert Outcome.REGRESSED not in outcomes(report).values()
    assert report.exit_code == 11
