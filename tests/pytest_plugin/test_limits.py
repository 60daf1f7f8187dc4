"""Limits, from the marker to the outcome of the test."""

from __future__ import annotations

import itertools
import json

import pytest

from perfsuite.pytest_plugin import fixture
from tests.measure.fake_nvml import FakeNvml
from tests.pytest_plugin.conftest import Run

WORK = "def work(): return sum(range(2000))\n"
# Slow enough for a clear difference even where this process gets a third of a core for a while.
MANY = "def many(): [work() for _ in range(30)]\n"


def test_a_kept_floor_passes_and_is_in_the_table(run: Run) -> None:
    result = run(WORK + "@pytest.mark.floor(images_per_second=1)\ndef test_it(perf): perf(work, items=8)")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*it *images/s*≥ 1.00/s*kept", "1 measured, 1 limit kept"])


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("floor(images_per_second=1e15)", "broken: images_per_second of * is below the floor of *"),
        ("ceiling(seconds_per_call='1 ns')", "broken: seconds_per_call of * is above the ceiling of *"),
        ("ceiling(peak_memory='1 MiB')", "broken: peak_memory of * is above the ceiling of 1.00 MiB (exact)"),
        ("ceiling(opened_files=0)", "broken: opened_files of 1 is above the ceiling of 0 (exact)"),
        (
            "ceiling(no_such_counter=0)",
            "error: no_such_counter <= 0: the workload *count_event('no_such_counter', 0)*",
        ),
    ],
)
def test_a_broken_limit_fails_the_test_itself(run: Run, limit: str, message: str) -> None:
    source = f"@pytest.mark.{limit}\ndef test_it(perf): perf(lambda: open('x', 'w').close(), items=8)"
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])


def test_a_counter_that_was_watched_and_did_not_occur_is_zero(run: Run) -> None:
    names = (
        "decoded_images",
        "graph_breaks",
        "host_syncs",
        "saved_bytes",
        "device_copies",
    )
    limits = ", ".join(f"{name}=0" for name in names)
    result = run(f"@pytest.mark.ceiling({limits})\ndef test_it(perf): perf(lambda: None)")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 measured, 5 limits kept"])


@pytest.mark.parametrize("metric", ["kernel_launches", "memcpy_h2d", "cuda_allocations", "joules_per_call"])
def test_a_ceiling_of_a_device_is_an_error_without_one(run: Run, metric: str) -> None:
    result = run(f"import torch\n@pytest.mark.ceiling({metric}=9)\ndef test_it(perf): perf(lambda: None)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"error: {metric} <= 9*has no {metric}, expected a value; it *device*"])


@pytest.mark.parametrize(("bound", "outcome"), [("1e9", "passed"), ("0", "failed")])
def test_the_energy_of_a_device_is_limited(
    run: Run, monkeypatch: pytest.MonkeyPatch, bound: str, outcome: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("perfsuite.measure.gpu.load_nvml", FakeNvml)
    test = "def test_it(perf): perf(lambda: None, items=8, unit='images')"
    run(f"@pytest.mark.ceiling(joules_per_image={bound})\n{test}").assert_outcomes(**{outcome: 1})


def test_an_event_that_may_not_happen_is_announced_with_zero(run: Run) -> None:
    call = "from perfsuite.stages import count_event\n"
    test = "@pytest.mark.ceiling(fallbacks=0)\ndef test_it(perf): perf(lambda: count_event('fallbacks', 0))"
    run(call + test).assert_outcomes(passed=1)


PROCESS = "import subprocess, sys\ndef starts(): subprocess.run([sys.executable, '-c', ''], check=True)\n"


def test_a_limit_on_what_cannot_be_seen_is_not_kept(run: Run) -> None:
    result = run(PROCESS + "@pytest.mark.ceiling(decoded_images=0)\ndef test_it(perf): perf(starts)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["unclear: decoded_images of at least 0 may be above the ceiling of 0: work in other processes*"]
    )


class AlternatingClock:
    """A clock that reads every other round as twenty times slower, so that no limit between is decided."""

    def __init__(self) -> None:
        self._seconds_per_call = itertools.cycle([0.001, 0.02])

    def wait(self) -> None: ...

    def time_calls(self, call: object, calls: int) -> float:
        return next(self._seconds_per_call) * calls


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixture, "make_clock", lambda *_: AlternatingClock())


UNCLEAR = "@pytest.mark.ceiling(seconds_per_call='10 ms')\ndef test_it(perf): perf(lambda: None)"


@pytest.mark.usefixtures("undecided")
def test_an_unclear_limit_fails_and_names_the_remedy(run: Run) -> None:
    result = run(UNCLEAR, "--perf-max-time=0.1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["unclear: seconds_per_call of *take more samples (--perf-max-time)"])


@pytest.mark.usefixtures("undecided")
def test_an_unclear_limit_passes_where_the_option_says_so(run: Run) -> None:
    result = run(UNCLEAR, "--perf-max-time=0.1", "--perf-unclear=pass")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*unclear*", "1 measured, 1 limit unclear"])


def test_an_overhead_ceiling_is_judged_in_turns(run: Run) -> None:
    pair = "def test_it(perf): perf.pair(plain=work, many=many)"
    run(WORK + MANY + f"@pytest.mark.ceiling(overhead=500)\n{pair}").assert_outcomes(passed=1)
    result = run(WORK + MANY + f"@pytest.mark.ceiling(overhead=0.1)\n{pair}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["broken: overhead of *", "  it", "    plain *", "    many *broken"])


def test_the_summary_of_pytest_states_the_reason(run: Run) -> None:
    result = run(WORK + "@pytest.mark.ceiling(seconds_per_call='1 ns')\ndef test_it(perf): perf(work)", "-rf")
    result.stdout.fnmatch_lines(["FAILED test_project.py::test_it - Failed: broken: seconds_per_call*"])


@pytest.mark.parametrize(("aim", "reached"), [("peak_memory='1 TiB'", 1), ("peak_memory='1 B'", 0)])
def test_an_aim_is_shown_and_fails_nothing(run: Run, aim: str, reached: int) -> None:
    result = run(WORK + f"@pytest.mark.aim({aim})\ndef test_it(perf): perf(work)")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*peak_memory * aim ≤ *", f"1 measured, {reached} of 1 aims reached"])


def test_an_aim_of_a_pair_stands_beside_its_limit(run: Run) -> None:
    pair = "def test_it(perf): perf.pair(many=many, plain=work)"
    marks = "@pytest.mark.aim(speedup=1e6)\n@pytest.mark.floor(speedup=1.1)\n"
    result = run(WORK + MANY + marks + pair)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*x ≥ 1.10x *kept", "*x aim ≥ 1000000.00x*"])


def test_an_aim_of_an_unknown_metric_is_refused(run: Run) -> None:
    result = run("@pytest.mark.aim(p93=1)\ndef test_it(perf): perf(int)")
    result.stderr.fnmatch_lines(["*aim(p93): 'p93' is not a metric*"])


def test_an_overhead_as_a_share_is_below_one(run: Run) -> None:
    pair = "def test_it(perf): perf.pair(plain=work, many=many)"
    run(WORK + MANY + f"@pytest.mark.ceiling(overhead_share=1)\n{pair}").assert_outcomes(passed=1)
    result = run(WORK + MANY + f"@pytest.mark.ceiling(overhead_share=0.05)\n{pair}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["broken: overhead_share of *"])


def test_the_overhead_of_the_faster_workload_is_negative(run: Run) -> None:
    """Negative control of the direction: the workloads of the test above, swapped."""
    source = "@pytest.mark.ceiling(overhead=0.1)\ndef test_it(perf): perf.pair(many=many, plain=work)"
    run(WORK + MANY + source).assert_outcomes(passed=1)


def test_a_speedup_floor_of_a_race_holds_against_each_of_the_others(run: Run) -> None:
    others = "def slow(): [work() for _ in range(100)]\ndef mid(): [work() for _ in range(10)]\n"
    race = "def test_it(perf): perf.race({})"
    floor = "@pytest.mark.floor(speedup=1.5)\n"
    won = run(WORK + others + floor + race.format("ours=work, a=slow, b=mid"))
    won.assert_outcomes(passed=1)
    won.stdout.fnmatch_lines(["*x ≥ 1.50x over a*", "*x ≥ 1.50x over b*"])
    lost = run(WORK + others + floor + race.format("ours=mid, a=slow, b=work"))
    lost.assert_outcomes(failed=1)


def test_a_limit_is_judged_on_a_plain_benchmark(run: Run) -> None:
    test = "@pytest.mark.ceiling(seconds_per_call='{}')\ndef test_it(benchmark): benchmark(work)"
    run(WORK + test.format("10 s")).assert_outcomes(passed=1)
    run(WORK + test.format("1 ns")).assert_outcomes(failed=1)


@pytest.mark.parametrize("limit", ["floor(speedup=2)", "ceiling(host_syncs=0)", "aim(overhead=0.3)"])
def test_a_limit_that_a_plain_benchmark_cannot_measure_fails_it(run: Run, limit: str) -> None:
    result = run(WORK + f"@pytest.mark.{limit}\ndef test_it(benchmark): benchmark(work)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*needs the fixture perf; benchmark measures calls_per_second, *"])


def test_an_unclear_limit_of_a_plain_benchmark_advises_its_own_options(run: Run) -> None:
    source = "@pytest.mark.ceiling(p99='9 s')\ndef test_it(benchmark): benchmark.pedantic(work, rounds=5)"
    result = run(WORK + source)
    result.stdout.fnmatch_lines(["unclear: p99 of *take more samples (--benchmark-max-time*"])
    result.stdout.no_fnmatch_line("*--perf-max-time*")


def test_a_rate_without_a_unit_says_how_to_name_it(run: Run) -> None:
    result = run(WORK + "@pytest.mark.floor(images_per_second=1)\ndef test_it(perf): perf(work)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['error: *perf(..., items=32, unit="images")'])


def test_a_limit_on_a_test_that_measures_nothing_fails_it(run: Run) -> None:
    result = run("@pytest.mark.floor(images_per_second=1)\ndef test_it(): pass")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*has limits, but uses neither perf nor benchmark*"])


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("floor()", "*floor: expected limits by name*"),
        ("ceiling(p93='5 ms')", "*'p93' is not a metric*known are <unit>_per_second, *p90, p95*"),
        ("floor(50)", "*floor: expected limits by name*"),
        ("floor(images_per_second='50 MiB')", "*'50 MiB' is not in items per second*"),
        ("ceiling(peak_memory='4 ms')", "*'4 ms' is not in bytes*"),
        ("ceiling(images_per_second=5)", "*expected a floor*"),
        ("floor(images_per_second=5, where={'color': 'red'})", "*where=*expected some of the keys*"),
    ],
)
def test_a_mistake_in_a_marker_stops_the_run_before_anything_is_measured(
    run: Run, marker: str, message: str
) -> None:
    result = run(WORK + f"@pytest.mark.{marker}\ndef test_it(perf): perf(work)")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *test_it*{message}"])


@pytest.mark.parametrize(("cores", "outcome"), [("*", "failed"), ("1048576", "passed")])
def test_a_limit_is_judged_only_in_the_environments_it_names(run: Run, cores: str, outcome: str) -> None:
    marker = f"@pytest.mark.floor(images_per_second=1e15, where={{'cores': '{cores}'}})\n"
    result = run(WORK + marker + "def test_it(perf): perf(work, items=8)")
    result.assert_outcomes(**{outcome: 1})


def test_a_limit_from_the_file_replaces_the_marker(run: Run, pytester: pytest.Pytester) -> None:
    pytester.mkdir("benchmarks")
    (pytester.path / "benchmarks/limits.toml").write_text(
        '[[limit]]\ntest = "*::test_it"\nwhere.cores = "*"\nfloor.images_per_second = 1\n'
    )
    marked = "@pytest.mark.floor(images_per_second=1e15)\ndef test_it(perf): perf(work, items=8)"
    run(WORK + marked).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limit = 3", "expected [[][[]limit[]][]] tables"),
        ("[[limit]]\nfloor.images_per_second = 1", "expected test ="),
        ("[[limit]]\ntest = '*'\nflor.x = 1", "unknown key flor, expected where"),
        ("[[limit]]\ntest = '*'", "no limit, expected one such as"),
        ("[[limit]]\ntest = '*'\nceiling.p95 = '5 MiB'", "'5 MiB' is not in seconds"),
        ("[[", "expected a TOML file"),
        ("a = " + "9" * 5000, "expected a TOML file"),
        ("limit = " + "[" * 5000, "nested too deeply, expected a TOML file"),
        ("[[limit]]\ntest = '*'\nwhere = 5\nceiling.p95 = 1", "where = 5, expected a table of some of"),
        (
            "[[limit]]\ntest = '*'\nceiling.p95 = 1\nwhere.gpuu = '*'",
            "{'gpuu': '[*]'}, expected a table of some",
        ),
    ],
)
def test_a_mistake_in_the_file_of_limits_is_named(
    run: Run, pytester: pytest.Pytester, text: str, message: str
) -> None:
    pytester.mkdir("benchmarks")
    (pytester.path / "benchmarks/limits.toml").write_text(text)
    result = run(WORK + "def test_it(perf): perf(work)")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*limits.toml*{message}*"])


def test_junit_properties_have_the_rate_and_the_outcomes(run: Run, pytester: pytest.Pytester) -> None:
    source = WORK + "@pytest.mark.floor(images_per_second=1)\ndef test_it(perf): perf(work, items=8)"
    run(source, "--junitxml=report.xml")
    report = (pytester.path / "report.xml").read_text()
    assert '<property name="images_per_second" value="' in report
    assert '<property name="perfsuite.images_per_second" value="kept" />' in report


def test_the_json_of_pytest_benchmark_has_the_samples_of_perf(run: Run, pytester: pytest.Pytester) -> None:
    run(WORK + "def test_it(perf): perf(work, items=8)", "--benchmark-json=out.json")
    (entry,) = json.loads((pytester.path / "out.json").read_text())["benchmarks"]
    assert entry["stats"]["rounds"] >= 8
    assert entry["extra_info"]["images_per_second"] > 0
    assert entry["stats"]["median"] * entry["extra_info"]["images_per_second"] == pytest.approx(8)
