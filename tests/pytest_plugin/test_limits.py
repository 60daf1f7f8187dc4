"""What a test with limits comes to: the whole path from marker to outcome."""

from __future__ import annotations

import itertools
import json

import pytest

from perfsuite.pytest_plugin import fixture
from tests.pytest_plugin.conftest import Run

WORK = "def work(): return sum(range(2000))\n"
# So much slower that it shows on a machine which gives this process a third of its time, now and then.
MANY = "def many(): [work() for _ in range(30)]\n"


def test_a_kept_floor_passes_and_is_shown(run: Run) -> None:
    result = run(WORK + "@pytest.mark.floor(images_per_second=1)\ndef test_it(perf): perf(work, items=8)")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*it *images/s*kept*", "*floor 1.00/s*", "1 measured, 1 limit kept"])


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("floor(images_per_second=1e15)", "broken: images_per_second of * is below the floor of *"),
        ("ceiling(seconds_per_call='1 ns')", "broken: seconds_per_call of * is above the ceiling of *"),
        ("ceiling(peak_memory='1 MiB')", "broken: peak_memory of * is above the ceiling of 1.00 MiB (exact)"),
        ("ceiling(opened_files=0)", "broken: opened_files of 1 is above the ceiling of 0 (exact)"),
        ("ceiling(no_such_counter=0)", "error: no_such_counter <= 0: the workload has no no_such_counter*"),
    ],
)
def test_a_broken_limit_fails_the_test_itself(run: Run, limit: str, told: str) -> None:
    source = f"@pytest.mark.{limit}\ndef test_it(perf): perf(lambda: open('x', 'w').close(), items=8)"
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])


class Undecided:
    """A clock by which every other round is quick and the ones between are slow."""

    def __init__(self) -> None:
        self._seconds_per_call = itertools.cycle([0.001, 0.02])

    def wait(self) -> None: ...

    def time_calls(self, call: object, calls: int) -> float:
        return next(self._seconds_per_call) * calls


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixture, "clock_for", lambda *_: Undecided())


UNCLEAR = "@pytest.mark.ceiling(seconds_per_call='10 ms')\ndef test_it(perf): perf(lambda: None)"


@pytest.mark.usefixtures("undecided")
def test_an_unclear_limit_fails_and_says_what_to_do(run: Run) -> None:
    result = run(UNCLEAR, "--perf-max-time=0.1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["unclear: seconds_per_call of *take more samples (--perf-max-time)"])


@pytest.mark.usefixtures("undecided")
def test_an_unclear_limit_is_kept_only_where_the_settings_say_so(run: Run) -> None:
    result = run(UNCLEAR, "--perf-max-time=0.1", "--perf-unclear=keep")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*unclear*", "1 measured, 1 limit unclear"])


def test_an_overhead_ceiling_is_judged_in_turns(run: Run) -> None:
    pair = "def test_it(perf): perf.pair(plain=work, many=many)"
    run(WORK + MANY + f"@pytest.mark.ceiling(overhead=500)\n{pair}").assert_outcomes(passed=1)
    result = run(WORK + MANY + f"@pytest.mark.ceiling(overhead=0.1)\n{pair}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["broken: overhead of *", "*it · plain*measured*", "*it · many*broken*"])


def test_swapped_arms_are_seen(run: Run) -> None:
    """The negative control of the direction: the overhead of the quick one against the slow is negative."""
    source = "@pytest.mark.ceiling(overhead=0.1)\ndef test_it(perf): perf.pair(many=many, plain=work)"
    run(WORK + MANY + source).assert_outcomes(passed=1)


def test_a_race_is_won_against_each_of_the_others(run: Run) -> None:
    arms = "def slow(): [work() for _ in range(100)]\ndef mid(): [work() for _ in range(10)]\n"
    race = "def test_it(perf): perf.race({})"
    floor = "@pytest.mark.floor(speedup=1.5)\n"
    won = run(WORK + arms + floor + race.format("ours=work, a=slow, b=mid"))
    won.assert_outcomes(passed=1)
    won.stdout.fnmatch_lines(["*speedup * over a, floor 1.50*", "*speedup * over b, floor 1.50*"])
    lost = run(WORK + arms + floor + race.format("ours=mid, a=slow, b=work"))
    lost.assert_outcomes(failed=1)


def test_a_limit_on_a_plain_benchmark_holds_too(run: Run) -> None:
    test = "@pytest.mark.ceiling(seconds_per_call='{}')\ndef test_it(benchmark): benchmark(work)"
    run(WORK + test.format("10 s")).assert_outcomes(passed=1)
    run(WORK + test.format("1 ns")).assert_outcomes(failed=1)


def test_a_limit_on_a_test_that_measures_nothing_is_a_mistake(run: Run) -> None:
    result = run("@pytest.mark.floor(images_per_second=1)\ndef test_it(): pass")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*has limits, but uses neither perf nor benchmark*"])


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("floor()", "*floor: expected limits by name*"),
        ("floor(50)", "*floor: expected limits by name*"),
        ("floor(images_per_second='50 MiB')", "*'50 MiB' is not in items per second*"),
        ("ceiling(peak_memory='4 ms')", "*'4 ms' is not in bytes*"),
        ("ceiling(images_per_second=5)", "*expected a floor*"),
        ("floor(images_per_second=5, where={'color': 'red'})", "*where=*expected some of the keys*"),
    ],
)
def test_a_mistake_in_a_marker_stops_the_run_before_anything_is_measured(
    run: Run, marker: str, told: str
) -> None:
    result = run(WORK + f"@pytest.mark.{marker}\ndef test_it(perf): perf(work)")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *test_it*{told}"])


@pytest.mark.parametrize(("cores", "outcome"), [("*", "failed"), ("1048576", "passed")])
def test_a_limit_holds_in_the_environments_it_names(run: Run, cores: str, outcome: str) -> None:
    marker = f"@pytest.mark.floor(images_per_second=1e15, where={{'cores': '{cores}'}})\n"
    result = run(WORK + marker + "def test_it(perf): perf(work, items=8)")
    result.assert_outcomes(**{outcome: 1})


def test_the_file_of_limits_takes_the_place_of_a_marker(run: Run, pytester: pytest.Pytester) -> None:
    pytester.mkdir("benchmarks")
    (pytester.path / "benchmarks/limits.toml").write_text(
        '[[limit]]\ntest = "*::test_it"\nwhere.cores = "*"\nfloor.images_per_second = 1\n'
    )
    marked = "@pytest.mark.floor(images_per_second=1e15)\ndef test_it(perf): perf(work, items=8)"
    run(WORK + marked).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limit = 3", "expected [[][[]limit[]][]] tables"),
        ("[[limit]]\nfloor.images_per_second = 1", "expected test ="),
        ("[[limit]]\ntest = '*'\nflor.x = 1", "flor is not known"),
        ("[[limit]]\ntest = '*'", "limits nothing"),
        ("[[limit]]\ntest = '*'\nceiling.p95 = '5 MiB'", "'5 MiB' is not in seconds"),
        ("[[", "expected a TOML file"),
    ],
)
def test_a_mistake_in_the_file_of_limits_is_named(
    run: Run, pytester: pytest.Pytester, text: str, told: str
) -> None:
    pytester.mkdir("benchmarks")
    (pytester.path / "benchmarks/limits.toml").write_text(text)
    result = run(WORK + "def test_it(perf): perf(work)")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*limits.toml*{told}*"])


def test_junit_has_rate_and_outcomes(run: Run, pytester: pytest.Pytester) -> None:
    source = WORK + "@pytest.mark.floor(images_per_second=1)\ndef test_it(perf): perf(work, items=8)"
    run(source, "--junitxml=report.xml")
    report = (pytester.path / "report.xml").read_text()
    assert '<property name="images_per_second" value="' in report
    assert '<property name="perfsuite.images_per_second" value="kept" />' in report


def test_pytest_benchmarks_json_has_our_samples(run: Run, pytester: pytest.Pytester) -> None:
    run(WORK + "def test_it(perf): perf(work, items=8)", "--benchmark-json=out.json")
    (entry,) = json.loads((pytester.path / "out.json").read_text())["benchmarks"]
    assert entry["stats"]["rounds"] >= 8
    assert entry["extra_info"]["images_per_second"] > 0
    assert entry["stats"]["median"] * entry["extra_info"]["images_per_second"] == pytest.approx(8)
