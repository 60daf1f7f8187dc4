"""The `--perf-...` options and their ini keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.filesystems import is_url


@dataclass(frozen=True, slots=True)
class PerfOptions:
    """What the command line and the project's settings ask for."""

    max_seconds: float
    level: float
    fail_on_unclear: bool
    with_extras: bool
    run_name: str | None
    compare_with: str | None
    saves_runs: bool
    store: str
    baselines: str
    limits_file: Path


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("perfsuite", "perfsuite: limits, baselines, verdicts")
    group.addoption(
        "--perf-save", metavar="NAME", help="name the stored run (every run is stored, named or not)"
    )
    group.addoption(
        "--perf-compare",
        metavar="RUN",
        help="judge against a stored run, a file or a URL; without it, against the accepted baseline of this"
        " environment where there is one",
    )
    group.addoption("--perf-no-save", action="store_true", help="store nothing")
    group.addoption(
        "--perf-max-time",
        type=float,
        metavar="SECONDS",
        help="how long a workload may be looked at while a limit is undecided (ini: perf_max_time, 10)",
    )
    group.addoption(
        "--perf-level",
        type=float,
        metavar="CHANCE",
        help="the chance that an interval holds the true value, over all looks (ini: perf_level, 0.99)",
    )
    group.addoption(
        "--perf-unclear",
        choices=("fail", "keep"),
        help="what an undecided limit does to its test (ini: perf_unclear, fail)",
    )
    group.addoption(
        "--perf-no-extras",
        action="store_true",
        help="time only: no counters, stages or memory, which take two more calls of each workload",
    )
    group.addoption(
        "--perf-images",
        metavar="DIR",
        help="your own images, a folder for each class, for the fixture image_dir (made here without it)",
    )
    group.addoption("--perf-store", metavar="DIR|URL", help="where runs are kept (ini: perf_store)")
    parser.addini("perf_max_time", "seconds a workload may be looked at", default="10")
    parser.addini("perf_level", "the chance that an interval holds the true value", default="0.99")
    parser.addini("perf_unclear", "fail or keep a test whose limit is undecided", default="fail")
    parser.addini("perf_store", "where runs are kept: a folder or a URL", default=".perfsuite/runs")
    parser.addini("perf_baselines", "where accepted baselines are kept", default="benchmarks/baselines")
    parser.addini("perf_limits", "the file of limits by environment", default="benchmarks/limits.toml")


def read_options(config: pytest.Config) -> PerfOptions:
    """The options of this run, checked; the command line comes before the ini file."""
    unclear = config.getoption("perf_unclear") or config.getini("perf_unclear")
    if unclear not in ("fail", "keep"):
        raise UsageError(f"perf_unclear: {unclear!r}, expected fail or keep")
    return PerfOptions(
        max_seconds=_number(config, "perf_max_time", above=0, below=float("inf")),
        level=_number(config, "perf_level", above=0.5, below=1),
        fail_on_unclear=unclear == "fail",
        with_extras=not config.getoption("perf_no_extras"),
        run_name=config.getoption("perf_save"),
        compare_with=config.getoption("perf_compare"),
        saves_runs=not config.getoption("perf_no_save"),
        store=_resolve_location(config, config.getoption("perf_store") or config.getini("perf_store")),
        baselines=_resolve_location(config, config.getini("perf_baselines")),
        limits_file=config.rootpath / config.getini("perf_limits"),
    )


def _number(config: pytest.Config, name: str, above: float, below: float) -> float:
    written = config.getoption(name)
    try:
        value = float(config.getini(name) if written is None else written)
    except ValueError as error:
        raise UsageError(f"{name}: {config.getini(name)!r} is not a number") from error
    if not above < value < below:
        raise UsageError(f"{name}: {value:g}, expected above {above:g} and below {below:g}")
    return value


def _resolve_location(config: pytest.Config, written: str) -> str:
    """A folder is meant from the project's root; a URL is left as it is."""
    return written if is_url(written) else str(config.rootpath / written)
