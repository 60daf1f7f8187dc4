"""The runner of the GPU suite: limits, partial results, the page, and a rehearsal of short stages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from benchmarks.gpu_proof.__main__ import all_stages, run_all
from benchmarks.gpu_proof.rows_plugin import FAILED, REHEARSAL_VARIABLE, ROWS_VARIABLE
from benchmarks.gpu_proof.runner import StageResult, run_stage, run_stage_here
from benchmarks.gpu_proof.stage import ROOT, Row, Stage, StageContext
from benchmarks.gpu_proof.summary import render_summary

TOTAL_SECONDS = 9 * 60
PLUGIN = "benchmarks.gpu_proof.rows_plugin"


def no_rows(context: StageContext) -> Iterator[Row]:
    return iter(())


def make_stage(name: str = "one", limit_seconds: int = 20) -> Stage:
    return Stage(order=1, name=name, title=name, limit_seconds=limit_seconds, run=no_rows)


def script(source: str) -> Sequence[str]:
    """A stage of its own process: one row, and then what the test needs."""
    row = '{"what": "copy", "value": "3 GB/s", "note": ""}'
    write = f"open(out + '/one.rows.jsonl', 'w').write({row + chr(10)!r})"
    return [sys.executable, "-c", f"import sys, time; out = sys.argv[1]; {write}; {source}"]


def test_the_stages_fit_into_nine_minutes_and_have_names_of_their_own() -> None:
    stages = all_stages()
    assert [stage.name for stage in stages][:2] == ["facts", "correctness"]
    assert len({stage.name for stage in stages}) == len({stage.order for stage in stages}) == len(stages) == 8
    assert sum(stage.limit_seconds for stage in stages) <= TOTAL_SECONDS


def test_the_next_stage_runs_after_one_that_hangs(tmp_path: Path) -> None:
    def command(stage: Stage, out: Path) -> Sequence[str]:
        return [*script("time.sleep(600)" if stage.name == "one" else "pass"), str(out)]

    stages = [make_stage("one", limit_seconds=2), make_stage("two")]
    assert run_all(stages, tmp_path, rehearse=False, command=command) == 1
    page = (tmp_path / "summary.md").read_text()
    assert "**ended after its limit of 2 s**" in page
    assert "## two" in page
    assert "not run" not in page
    assert run_all(stages[1:], tmp_path, rehearse=False, command=command) == 0


def test_a_stage_that_hangs_is_ended_with_what_it_started_and_its_rows_are_kept(tmp_path: Path) -> None:
    """Also in a session of its own, as the sides of a gate are: it would keep the device's memory."""
    start = "import subprocess; child = subprocess.Popen(['sleep', '600'], start_new_session=True); "
    source = start + "open(out + '/pid', 'w').write(str(child.pid)); time.sleep(600)"
    result = run_stage(
        make_stage(limit_seconds=3),
        tmp_path,
        is_rehearsal=True,  # which has the limits of a real run
        command=lambda stage, out: [*script(source), str(out)],
    )
    assert result.problem == "ended after its limit of 3 s"
    assert result.rows == (Row("copy", "3 GB/s"),)
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_stage_that_fails_says_why(tmp_path: Path) -> None:
    result = run_stage(
        make_stage(),
        tmp_path,
        is_rehearsal=True,
        command=lambda stage, out: [*script("raise RuntimeError('no driver')"), str(out)],
    )
    assert result.problem == "RuntimeError: no driver"
    assert len(result.rows) == 1


def test_a_stage_that_ends_well_has_no_problem(tmp_path: Path) -> None:
    result = run_stage(
        make_stage(), tmp_path, is_rehearsal=True, command=lambda stage, out: [*script("pass"), str(out)]
    )
    assert (result.problem, len(result.rows)) == ("", 1)


def test_rows_are_written_before_the_stage_ends(tmp_path: Path) -> None:
    def rows(context: StageContext) -> Iterator[Row]:
        yield Row("first", "1")
        raise RuntimeError

    stage = Stage(order=1, name="one", title="one", limit_seconds=1, run=rows)
    with pytest.raises(RuntimeError):
        run_stage_here(stage, StageContext(tmp_path, True, tmp_path / "rows.jsonl"))
    assert "first" in (tmp_path / "rows.jsonl").read_text()


def test_the_page_has_results_problems_and_what_has_not_run() -> None:
    result = StageResult(make_stage(), (Row("a | <b>", "1", "x\ny"),), 2.0, "no driver")
    page = render_summary({"gpu": "none"}, [result], [make_stage("later")])
    for text in ("- gpu: none", "## one", "2 s of at most 20 s; **no driver**", "| a \\| &lt;b> | 1 | x y |"):
        assert text in page
    assert page.endswith("- not run: later\n")


def test_rows_of_tests_are_written_while_they_run(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.jsonl"
    monkeypatch.setenv(ROWS_VARIABLE, str(rows))
    pytester.makepyfile(
        """
        import pytest
        def test_fast(record_property):
            record_property("images_per_second", "9")
            record_property("perfsuite.speedup", "kept")
        def test_slow():
            pytest.fail("broken: too slow", pytrace=False)
        def test_other():
            pytest.skip("no kornia")
        """
    )
    assert pytester.runpytest_inprocess("-p", PLUGIN).ret == pytest.ExitCode.TESTS_FAILED
    assert [Row(**json.loads(line)) for line in rows.read_text().splitlines()] == [
        Row("test_fast", "9 images/s, speedup kept"),
        Row("test_slow", "failed", "broken: too slow"),
        Row("tests", "1 failed, 1 passed, 1 skipped"),
        Row("skipped 1", "", "no kornia"),
    ]


@pytest.mark.parametrize(
    ("source", "is_rehearsal", "code"),
    [
        ("def test_it(): pytest.fail('broken: too slow', pytrace=False)", False, 1),
        ("def test_it(): pytest.fail('error: no gpu_utilization', pytrace=False)", True, 1),
        ("def test_it(): pytest.fail('error: no gpu_utilization', pytrace=False)", False, FAILED),
        ("def test_it(): nomralize()", True, FAILED),
        ("def test_it(): assert False", False, FAILED),
        ("def test_it(no_such_fixture): pass", True, FAILED),
        ("import no_such_module\ndef test_it(): pass", False, FAILED),
        ("def test_it(): pytest.skip('no kornia')", False, 0),
    ],
    ids=["limit", "no value", "no value on a GPU", "typo", "wrong", "fixture", "not collected", "skipped"],
)
def test_a_mistake_is_told_from_a_limit_that_is_not_kept(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    is_rehearsal: bool,
    code: int,
) -> None:
    """Else a rehearsal would pass in which no benchmark runs."""
    monkeypatch.setenv(ROWS_VARIABLE, str(pytester.path / "rows.jsonl"))
    monkeypatch.delenv(REHEARSAL_VARIABLE, raising=False)
    if is_rehearsal:
        monkeypatch.setenv(REHEARSAL_VARIABLE, "1")
    pytester.makepyfile(f"import pytest\n{source}")
    assert pytester.runpytest_inprocess("-p", PLUGIN, "--continue-on-collection-errors").ret == code


def test_a_terminated_run_ends_the_processes_of_its_stage(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu_proof", "--out", str(tmp_path), "--rehearse"]
    with subprocess.Popen([*command, "--stage", "facts"], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "facts.log").exists():
            time.sleep(0.05)
        [stage] = psutil.Process(process.pid).children()
        process.terminate()
    assert not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE
