"""What this machine can detect: null pairs of three workloads, and the slowdowns that a gate would find."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from perfsuite.errors import NothingMeasuredError, UsageError
from perfsuite.gate import machine_checks
from perfsuite.gate.collect_suites import collect_suites
from perfsuite.gate.machine_checks import MachineCheck
from perfsuite.gate.pair_result import WorkloadName
from perfsuite.gate.prepare_sides import OnProgress, open_pair_runner
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.timing_plan import format_time_option
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.judge import sign_flip
from perfsuite.judge.machine_fitness import unfit_workloads
from perfsuite.judge.pairs_needed import pairs_to_narrow
from perfsuite.judge.sequential_rule import SequentialRule, minimum_detectable_effect

PAIRS_SHOWN = (6, 12, 20)
FEWEST_PAIRS = 2  # one pair has no spread
SMALL_MDE = 0.02
PROBE_WORKLOADS = Path(__file__).with_name("probe_workloads.py")
PROBE_CONFIGURATION = '[project]\nname = "doctor"\nversion = "1"\n'
PROBE_REQUIREMENTS = ("torch", "PIL", "pytest_benchmark")


@dataclass(frozen=True, slots=True)
class DetectableEffect:
    """The smallest slowdown that is found nine times in ten, and the chance of a false alarm it is for."""

    mde: float
    alpha: float


@dataclass(frozen=True, slots=True)
class WorkloadSensitivity:
    """What a gate would detect of one workload: the spread of its pairs and, by number of pairs, the MDE."""

    workload: str
    spread: float
    effects: Mapping[int, DetectableEffect]
    log_ratios: tuple[float, ...]
    small_mde_pairs: int | None  # that a gate with --mde 0.02 takes; None where it would end as unclear


@dataclass(frozen=True, slots=True)
class MachineDiagnosis:
    """What the doctor found out about this machine."""

    workloads: tuple[WorkloadSensitivity, ...]
    checks: tuple[MachineCheck, ...]
    unfit: tuple[str, ...]  # workloads whose base differed from base
    seconds_per_pair: float


def diagnose(
    pairs: int,
    alpha: float,
    tolerance: float,
    on_progress: OnProgress,
    time_budget_seconds: float = math.inf,
) -> MachineDiagnosis:
    """Run null pairs, as many of them as the time suffices for, and check the machine around them."""
    end = time.monotonic() + time_budget_seconds
    _refuse_without_requirements()
    before = machine_checks.cpu_seconds()
    with tempfile.TemporaryDirectory(prefix="perfsuite-doctor-") as folder:
        project = Path(folder) / "doctor"
        _write_probe_repository(project)
        workloads, seconds_per_pair = _run_null_pairs(project, pairs, end, on_progress)
    checks = machine_checks.run_checks(before, machine_checks.cpu_seconds())
    if not workloads:
        raise NothingMeasuredError("doctor: no null pair could be run, expected three workloads")
    ratios = {str(workload.name): workload.log_ratios for workload in workloads}
    return MachineDiagnosis(
        workloads=tuple(
            sensitivity(workload.name, workload.log_ratios, alpha, tolerance, workload.pair_error)
            for workload in workloads
        ),
        checks=tuple(checks),
        unfit=unfit_workloads(ratios, tolerance),
        seconds_per_pair=seconds_per_pair,
    )


def sensitivity(
    workload: str, log_ratios: list[float], alpha: float, tolerance: float, pair_error: float = 0.0
) -> WorkloadSensitivity:
    """What would be found in pairs that scatter like these, each with at least this standard error.

    >>> decode = sensitivity("decode", [0.01, -0.01, 0.005, -0.005, 0.002, -0.003], 0.01, 0.01)
    >>> decode.effects[6].alpha, decode.effects[12].alpha, decode.effects[20].mde < decode.effects[12].mde
    (0.015625, 0.01, True)
    """
    effects = {}
    for number in PAIRS_SHOWN:
        # n pairs have 2^n sign patterns, so no smaller chance of error can be promised.
        possible_alpha = max(alpha, 2.0**-number)
        rule = SequentialRule(workloads=1, alpha=possible_alpha, tolerance=tolerance, max_pairs=number)
        mde = minimum_detectable_effect(rule, log_ratios, error=pair_error)
        effects[number] = DetectableEffect(mde, possible_alpha)
    beyond = math.log1p(effects[PAIRS_SHOWN[-1]].mde) - math.log1p(tolerance)
    return WorkloadSensitivity(
        workload=workload,
        spread=sign_flip.pair_deviation(log_ratios),
        effects=effects,
        log_ratios=tuple(log_ratios),
        small_mde_pairs=pairs_for_small_mde(beyond, tolerance),
    )


def pairs_for_small_mde(beyond: float, tolerance: float) -> int | None:
    """The pairs that find `SMALL_MDE`, where the last number shown finds what is `beyond` the tolerance.

    >>> pairs_for_small_mde(0.01, 0.01), pairs_for_small_mde(0.02, 0.01), pairs_for_small_mde(0.05, 0.01)
    (21, 83, None)
    """
    room = math.log1p(SMALL_MDE) - math.log1p(tolerance)
    return pairs_to_narrow(PAIRS_SHOWN[-1], beyond, room) if room > 0 else None


def _refuse_without_requirements() -> None:
    missing = [name for name in PROBE_REQUIREMENTS if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"doctor: {', '.join(missing)} not found, expected for its three workloads; "
            "install perfsuite[vision]"
        )


def _write_probe_repository(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(PROBE_WORKLOADS, folder / "test_doctor.py")
    (folder / "pyproject.toml").write_text(PROBE_CONFIGURATION)
    author = ["-c", "user.name=doctor", "-c", "user.email=doctor@localhost", "-c", "commit.gpgsign=false"]
    commit = [*author, "commit", "--quiet", "--message", "doctor"]
    for arguments in (["init", "--quiet"], ["add", "--all"], commit):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S607


def _run_null_pairs(
    project: Path, number: int, end: float, on_progress: OnProgress
) -> tuple[list[WorkloadState], float]:
    """Time identical code on both sides, with the schedule of a gate; also the seconds that a pair took.

    From the second pair on, none begins that would end after `end`.
    """
    settings = GateSettings(base="HEAD", head="HEAD", null=True, python=sys.executable)
    workloads: dict[str, WorkloadState] = {}
    with open_pair_runner(project, settings, random.Random()) as runner:
        nodes = collect_suites(runner).nodes("head")
        begin, seconds_per_pair = time.monotonic(), 0.0
        for done in range(number):
            if done >= FEWEST_PAIRS and time.monotonic() + seconds_per_pair > end:
                on_progress(f"the time budget is spent after {done} of {number} null pairs")
                break
            result = runner.run(nodes)
            for turns in result.workload_turns:
                name = WorkloadName(turns.name.partition("::test_")[2])
                workload = workloads.setdefault(name, WorkloadState(name, turns.node))
                workload.add_pair(turns, result.first_side)
            seconds_per_pair = (time.monotonic() - begin) / (done + 1)
            left = min((number - done - 1) * seconds_per_pair, max(0.0, end - time.monotonic()))
            on_progress(f"null pair {done + 1} of {number}, about {format_time_option(left)} left")
    return list(workloads.values()), seconds_per_pair
