"""The `perf` fixture: its use, its misuse, and what becomes of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perfsuite.pytest_plugin import fixture
from perfsuite.store.runs import RunStore
from tests.pytest_plugin.conftest import Run

WORK = "def work(): return sum(range(2000))\n"


def test_tests_that_use_plain_benchmark_run_unchanged_and_are_in_the_table(run: Run) -> None:
    result = run(WORK + "def test_it(benchmark): assert benchmark(work) > 0")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*it *calls/s*", "1 measured"])


def test_perf_returns_the_measurement(run: Run) -> None:
    run(
        WORK + "def test_it(perf):\n    measurement = perf(work, items=8)\n"
        "    assert measurement.items_per_second > 0 and len(measurement.seconds_per_call) >= 8\n"
        "    assert measurement.counters['opened_files'] == 0 and measurement.memory.peak_pss_bytes > 0"
    ).assert_outcomes(passed=1)


def test_time_only_measures_no_counters_and_no_memory(run: Run) -> None:
    source = (
        "def test_it(perf):\n"
        "    measurement = perf(lambda: None)\n"
        "    assert not measurement.counters and not measurement.memory\n"
    )
    run(source, "--perf-time-only").assert_outcomes(passed=1)


def test_counting_only_counts_every_workload_and_times_none(run: Run, pytester: pytest.Pytester) -> None:
    source = (
        "def opens(): open('x', 'w').close()\n"
        "def test_one(perf): assert perf(opens) is None\n"
        "def test_pair(perf): assert perf.pair(plain=lambda: None, opens=opens) is None\n"
        "def test_race(perf): assert perf.race(opens=opens, plain=lambda: None) is None\n"
        "def test_timed(benchmark): benchmark(opens)\n"
    )
    result = run(source, "--perf-count-only", stores=True)
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["*one *not timed*", "5 measured"])
    stored = RunStore(pytester.path / ".perfsuite/runs").latest().measurements
    opened = {name.partition("::")[2]: each.counters["opened_files"] for name, each in stored.items()}
    names = ("test_one", "test_pair::opens", "test_pair::plain", "test_race::opens", "test_race::plain")
    assert opened == dict(zip(names, (1, 1, 0, 1, 0), strict=True))
    assert not any(each.seconds_per_call or each.memory for each in stored.values())


def test_counting_only_judges_the_limits_of_counters_alone(run: Run) -> None:
    source = (
        "@pytest.mark.floor(calls_per_second=1e15)\n"
        "@pytest.mark.ceiling(opened_files={}, peak_memory='1 B')\n"
        "def test_it(perf): perf(lambda: open('x', 'w').close())\n"
    )
    run(source.format(1), "--perf-count-only").assert_outcomes(passed=1)
    result = run(source.format(0), "--perf-count-only")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["broken: *opened_files*"])


def test_counting_only_and_timing_only_exclude_each_other(run: Run) -> None:
    result = run("def test_it(perf): perf(lambda: None)", "--perf-count-only", "--perf-time-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--perf-time-only and --perf-count-only: both*"])


def test_the_stages_of_the_workload_are_measured(run: Run) -> None:
    source = (
        "from perfsuite.stages import stage\n"
        "def work():\n    with stage('decode'): sum(range(2000))\n"
        "def test_it(perf): assert perf(work).seconds_per_call_by_stage['decode'] > 0"
    )
    run(source).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("perf(work); perf(work)", "*perf: called twice*"),
        ("perf(3)", "*int is neither a callable*"),
        ("perf(work, items=0)", "*items=0, expected a number above 0*"),
        ("perf.pair(a=work)", "*perf.pair: 1 workloads, expected two by name*"),
        ("perf.race(a=work)", "*perf.race: 1 workloads, expected several by name*"),
        ("perf(work, device='cuda:9')", "*cuda:9*"),
    ],
)
def test_a_misuse_is_named(run: Run, body: str, message: str) -> None:
    result = run(WORK + f"def test_it(perf): {body}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])


def test_a_ratio_limit_needs_two_workloads(run: Run) -> None:
    result = run(WORK + "@pytest.mark.ceiling(overhead=0.1)\ndef test_it(perf): perf(work)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ceiling(overhead) needs two workloads; use perf.pair"])


def test_a_benchmark_that_never_calls_perf_is_an_error(run: Run) -> None:
    result = run("def test_it(perf): pass")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*perf was never called, so nothing was measured*"])


def test_a_benchmark_that_skips_or_fails_first_is_reported_once(run: Run) -> None:
    result = run("def test_a(perf): pytest.skip('no GPU')\ndef test_b(perf): assert False")
    result.assert_outcomes(skipped=1, failed=1)


def test_a_workload_that_raises_fails_its_test_and_the_others_are_measured(run: Run) -> None:
    result = run(WORK + "def test_a(perf): perf(work)\ndef test_b(perf): perf(lambda: 1 / 0)")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ZeroDivisionError*", "1 measured"])


@pytest.mark.parametrize("options", [["--benchmark-disable"], ["-n", "1"]])
def test_a_run_with_measuring_disabled_says_that_nothing_was_measured(run: Run, options: list[str]) -> None:
    marked = "@pytest.mark.floor(images_per_second=1e15)\ndef test_it(perf): perf(work)"
    result = run(WORK + marked, *options, "-W", "ignore")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*nothing was measured*"])


def test_every_run_is_stored_and_reads_back(run: Run, pytester: pytest.Pytester) -> None:
    result = run(WORK + "def test_it(perf): perf(work, items=8)", "--perf-save=mine", stores=True)
    result.stdout.fnmatch_lines(["stored as 0001_mine*"])
    stored = RunStore(pytester.path / ".perfsuite/runs").load("mine")
    (measurement,) = stored.measurements.values()
    assert measurement.items_per_call == 8
    assert measurement.name.endswith("::test_it")
    assert stored.complete


def test_nothing_is_stored_with_perf_no_save(run: Run, pytester: pytest.Pytester) -> None:
    run(WORK + "def test_it(perf): perf(work)")
    assert not (pytester.path / ".perfsuite").exists()


def test_a_store_that_cannot_be_written_loses_no_result_of_the_table(
    run: Run, pytester: pytest.Pytester
) -> None:
    (pytester.path / ".perfsuite").write_text("a file in the way")
    result = run(WORK + "def test_it(perf): perf(work)", stores=True)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 measured", "not stored: *"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--perf-level=1.5", "perf_level: 1.5, expected above 0.5 and below 1"),
        ("--perf-max-time=-1", "perf_max_time: -1, expected above 0*"),
        ("--perf-level=nan", "perf_level: nan, expected above 0.5 and below 1"),
        ("--perf-max-time=nan", "perf_max_time: nan, expected above 0*"),
        (
            "--perf-columns=rate,colour",
            "--perf-columns: colour, expected some of rate, spread, change, limits",
        ),
        ("--perf-max-time=inf", "perf_max_time: inf, expected above 0*"),
    ],
)
def test_an_option_out_of_range_is_a_usage_error(run: Run, option: str, message: str) -> None:
    result = run(WORK + "def test_it(perf): perf(work)", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_the_table_fits_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "test_" + "a_very_long_name_" * 5
    source = WORK + f"@pytest.mark.floor(images_per_second=1)\ndef {name}(perf): perf(work, items=8)"
    lines = run(source).outlines
    start = next(index for index, line in enumerate(lines) if "= perfsuite =" in line)
    assert all(len(line) <= 80 for line in lines[start : start + 12])


def test_markup_in_a_parameter_is_printed_and_not_interpreted(run: Run) -> None:
    source = "@pytest.mark.parametrize('x', ['[bold]', '[/]'])\ndef test_it(perf, x): perf(lambda: None)"
    result = run(source)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*it[[][[]bold[]][]]*", "*it[[][[]/[]][]]*"])


@pytest.fixture
def served() -> Iterator[list[tuple[str, float]]]:
    """The workloads that a gate's side process would have been handed, by name and items per call."""
    workloads: list[tuple[str, float]] = []
    fixture.set_workload_server(lambda name, call, items: workloads.append((name, items)))
    yield workloads
    fixture.set_workload_server(None)


def test_a_workload_server_is_handed_every_call_and_nothing_is_measured(
    run: Run, served: list[tuple[str, float]]
) -> None:
    source = WORK + "def test_a(perf): perf(work, items=8)\ndef test_b(perf): perf.pair(x=work, y=work)"
    run(source).assert_outcomes(passed=2)
    assert [(name.partition("::")[2], items) for name, items in served] == [
        ("test_a", 8),
        ("test_b::x", 1),
        ("test_b::y", 1),
    ]


@pytest.mark.parametrize(
    "stop", ["raise KeyboardInterrupt", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"]
)
def test_an_interrupted_run_stores_what_was_measured_and_is_marked_incomplete(
    pytester: pytest.Pytester, stop: str
) -> None:
    interrupt = f"import os, signal, time\ndef stop(): {stop}\n"
    source = WORK + interrupt + "def test_a(perf): perf(work)\ndef test_b(perf): perf(stop)"
    pytester.makepyfile(test_project=source)
    result = pytester.runpytest_subprocess("--benchmark-max-time=0.02", "--benchmark-quiet")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    stored = RunStore(pytester.path / ".perfsuite/runs").latest()
    assert list(stored.measurements) == ["test_project.py::test_a"]
    assert not stored.complete


@pytest.mark.parametrize(
    ("stop", "options"),
    [
        ("pytest.exit('stopped', returncode=0)", ()),
        ("pytest.exit('stopped', returncode=1)", ()),
        ("pytest.fail('planted')", ("-x",)),
        ("pytest.fail('planted')", ("--maxfail=1",)),
        ("request.session.shouldstop = 'enough'", ()),
    ],
)
def test_a_run_that_ends_before_its_last_test_is_marked_incomplete(
    run: Run, pytester: pytest.Pytester, stop: str, options: tuple[str, ...]
) -> None:
    source = f"def test_a(perf): perf(work)\ndef test_b(request): {stop}\ndef test_c(perf): perf(work)"
    run(WORK + source, *options, stores=True)
    stored = RunStore(pytester.path / ".perfsuite/runs").latest()
    assert [name.partition("::")[2] for name in stored.measurements] == ["test_a"]
    assert not stored.complete


def test_a_run_without_the_tests_of_a_file_is_marked_incomplete(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_broken="raise ValueError")
    run(WORK + "def test_a(perf): perf(work)", "--continue-on-collection-errors", stores=True)
    assert not RunStore(pytester.path / ".perfsuite/runs").latest().complete


def test_a_run_with_failed_and_skipped_tests_is_complete(run: Run, pytester: pytest.Pytester) -> None:
    """The negative control: each of them was run."""
    source = "def test_a(perf): perf(work)\ndef test_b(): assert False\ndef test_c(): pytest.skip('x')"
    run(WORK + source, stores=True)
    assert RunStore(pytester.path / ".perfsuite/runs").latest().complete


def test_a_run_with_a_broken_limit_is_stored(run: Run, pytester: pytest.Pytester) -> None:
    source = "@pytest.mark.floor(images_per_second=1e15)\ndef test_it(perf): perf(work, items=8)"
    run(WORK + source, stores=True).assert_outcomes(failed=1)
    assert len(RunStore(pytester.path / ".perfsuite/runs").latest().measurements) == 1


def test_a_setup_that_fails_is_not_also_reported_as_a_test_that_measured_nothing(run: Run) -> None:
    result = run("def test_it(perf, nothing_of_this_name): perf(lambda: None)")
    result.assert_outcomes(errors=1)
    result.stdout.no_fnmatch_line("*never called*")


def test_the_table_has_the_columns_that_were_asked_for_and_none_when_quiet(run: Run) -> None:
    source = WORK + "@pytest.mark.floor(calls_per_second=1)\ndef test_it(perf): perf(work)"
    shown = run(source, "--perf-columns", "limits").stdout.str()
    assert "≥ 1.00/s" in shown
    assert "calls/s" not in shown
    quiet = run(source, "-q").stdout.str()
    assert "1 measured, 1 limit kept" in quiet
    assert "≥" not in quiet
