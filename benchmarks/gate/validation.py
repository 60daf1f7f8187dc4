"""Validate the gate: record null pairs, replay whole gates from them, run real gates, plant slowdowns.

    python -m benchmarks.gate.validation record --state idle --pairs 200 --minutes 30
    python -m benchmarks.gate.validation real --gates 30
    python -m benchmarks.gate.validation plant --percent 5 --gates 10
    python -m benchmarks.gate.validation plant --faster --percent 3 5 10
    python -m benchmarks.gate.validation tables

`tables` writes docs/results/gate.md from the recordings. Every other command appends to
docs/results/gate/*.jsonl and stops at the requested number or after --minutes; run again, it continues.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.gate.replay import NAMES, PLANTED_STAGE, RESULTS, plant_file_name, read_records
from perfsuite.gate.collect_suites import collect_suites
from perfsuite.gate.gate import gate
from perfsuite.gate.pair_result import NodeId, PairResult
from perfsuite.gate.pair_runner import PairRunner
from perfsuite.gate.prepare_sides import open_pair_runner
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.order_statistics import interquartile_mean
from perfsuite.measure.environment import detect_environment

SAMPLE_PROJECT = Path(__file__).parent / "sample_project"
CALIBRATION_PERCENT = 20  # planted to calibrate a unit of extra work
CALIBRATION_PAIRS = 4
UNIT_SECONDS = 6e-8  # about; what a unit costs inside a workload is measured
NOISE = """
import hashlib, random, time
block = bytearray(8 << 20)
while True:
    until = time.perf_counter() + random.uniform(0.02, 0.4)
    while time.perf_counter() < until:
        hashlib.sha256(block).digest()
        block[:] = bytes(len(block))
    time.sleep(random.uniform(0.0, 0.02))
"""


@contextmanager
def sample_repository(
    plants: dict[str, int] | None = None, faster: bool = False, extra_calls: int = 0
) -> Iterator[Path]:
    """The eight workloads as a repository of two commits; head (with `faster`, base) has planted work."""
    with tempfile.TemporaryDirectory(prefix="perfsuite-validation-") as folder:
        project = Path(folder) / "project"
        shutil.copytree(SAMPLE_PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
        git(project, "init", "--quiet")
        for subject, planted in (("base", faster), ("head", not faster)):
            units, calls = (plants or {}, extra_calls) if planted else ({}, 0)
            text = f"EXTRA_WORK_UNITS: dict[str, int] = {units!r}\nEXTRA_CALLS = {calls}\n"
            (project / "src" / "vision_workloads" / "planted_work.py").write_text(text)
            git(project, "add", "--all")
            git(project, "commit", "--quiet", "--allow-empty", "--message", subject)
        yield project


def git(folder: Path, *arguments: str) -> None:
    author = [
        "-c",
        "user.name=validation",
        "-c",
        "user.email=validation@localhost",
        "-c",
        "commit.gpgsign=false",
    ]
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True)  # noqa: S607


@contextmanager
def noise_makers(number: int) -> Iterator[None]:
    """Processes that hash and write to memory in bursts."""
    processes = [subprocess.Popen([sys.executable, "-c", NOISE]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def background_load(state: str) -> AbstractContextManager[None]:
    """In the state `loaded`, keep one core busy."""
    return noise_makers(1 if state == "loaded" else 0)


def null_pair_runner(project: Path) -> AbstractContextManager[tuple[PairRunner, list[NodeId]]]:
    return pair_runner_of(project, GateSettings(base="HEAD", head="HEAD", null=True))


@contextmanager
def pair_runner_of(project: Path, settings: GateSettings) -> Iterator[tuple[PairRunner, list[NodeId]]]:
    with open_pair_runner(project, settings, random.Random()) as runner:
        yield runner, list(collect_suites(runner).nodes("head"))


def pair_record(result: PairResult, state: str) -> dict[str, object]:
    """One pair: by workload, seconds per call and the log of head over base of each turn, in per mille."""
    ratios = turn_ratios(result)
    workloads = {}
    for turns in result.workload_turns:
        seconds = median(turn.median for turn in turns.first_turns)
        workloads[short_name(turns.name)] = {
            "seconds": float(f"{seconds:.4g}"),
            "turns": [round(1000 * ratio) for ratio in ratios[short_name(turns.name)]],
        }
    return {"at": round(time.time()), "state": state, "first": result.first_side, "workloads": workloads}


def turn_ratios(result: PairResult) -> dict[str, list[float]]:
    """By workload, the log of head over base of each turn."""
    sign = 1 if result.first_side == "base" else -1
    return {
        short_name(turns.name): [
            sign * math.log(second.median / first.median)
            for first, second in zip(turns.first_turns, turns.second_turns, strict=True)
        ]
        for turns in result.workload_turns
    }


def short_name(name: str) -> str:
    return name.rpartition("test_")[2]


def append_record(name: str, line: dict[str, object]) -> None:
    """Append one line with its machine and its turns: a recording may continue elsewhere or later."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / name).open("a") as file:
        around = {"cpu": detect_environment().hard["cpu"], "turn_seconds": TurnSchedule().turn_seconds}
        file.write(json.dumps({**around, **line}, separators=(",", ":")) + "\n")


def record(arguments: argparse.Namespace) -> None:
    name, until = f"null-{arguments.state}.jsonl", time.time() + 60 * arguments.minutes
    with (
        sample_repository() as project,
        null_pair_runner(project) as (runner, nodes),
        background_load(arguments.state),
    ):
        runner.run(nodes)  # fills bytecode and page cache
        while len(read_records(name)) < arguments.pairs and time.time() < until:
            result = runner.run(nodes)
            if len(result.workload_turns) == len(nodes):
                append_record(name, pair_record(result, arguments.state))
            print(f"{name}: {len(read_records(name))} pairs {result.abort_reason}", flush=True)


def units_per_percent() -> dict[str, float]:
    """Units of extra work that take one percent of each workload's time, measured by pairs with many units.

    A unit costs more where another thread spins on the other half of its core, so it is measured in project.
    """
    with sample_repository() as project, null_pair_runner(project) as (runner, nodes):
        plain = runner.run(nodes)
    fastest = {
        short_name(turns.name): min(turn.low for turn in (*turns.first_turns, *turns.second_turns))
        for turns in plain.workload_turns
    }
    many = {
        name: max(1, round(CALIBRATION_PERCENT * 0.01 * fastest[name] / UNIT_SECONDS)) for name in fastest
    }
    plants = {f"{name}.{PLANTED_STAGE[name]}": units for name, units in many.items()}
    costs: dict[str, list[float]] = {name: [] for name in many}
    with (
        sample_repository(plants) as project,
        pair_runner_of(project, GateSettings(base="HEAD~1", head="HEAD")) as (runner, nodes),
    ):
        for _ in range(CALIBRATION_PAIRS):
            result = runner.run(nodes)
            for name, ratios in turn_ratios(result).items():
                costs[name].append(interquartile_mean(ratios))
    return {name: many[name] / (100 * math.expm1(median(costs[name]))) for name in many}


def summary(report: GateReport, **more: object) -> dict[str, object]:
    return {
        **more,
        "at": round(time.time()),
        "exit": report.exit_code,
        "pairs": report.pairs,
        "seconds": round(report.seconds),
        "unfit": list(report.unfit),
        "null": {
            short_name(name): [round(ratio, 5) for ratio in ratios]
            for name, ratios in report.null_log_ratios.items()
        },
        "notes": list(report.notes),
        "workloads": {
            short_name(workload.name): {
                "outcome": workload.outcome.value,
                "metric": workload.worst.metric,
                "reason": workload.worst.reason,
                "estimate": workload.worst.estimate,
                "mde": next((v.mde for v in workload.verdicts if v.metric == "time"), None),
                "stage": workload.attributed_stage,
                "ratios": [round(r, 5) for r in workload.log_ratios],
                "errors": [round(e, 5) for e in workload.standard_errors],
                "stages": [asdict(s) for s in workload.stages[:4]],
            }
            for workload in report.workloads
        },
    }


def real(arguments: argparse.Namespace) -> None:
    """Run whole gates on identical code."""
    name, until = "real-null.jsonl", time.time() + 60 * arguments.minutes
    while len(read_records(name)) < arguments.gates and time.time() < until:
        with sample_repository() as project, background_load(arguments.state):
            report = gate(GateSettings(base="HEAD~1", head="HEAD", time_everything=True), project)
        append_record(name, summary(report, state=arguments.state))
        print(
            f"{name}: {len(read_records(name))} gates; {report.headline}, {report.seconds:.0f} s", flush=True
        )


def plant(arguments: argparse.Namespace) -> None:
    """Run whole gates with one workload made slower by each size; with --faster, in base instead."""
    until = time.time() + 60 * arguments.minutes
    names = {percent: plant_file_name(percent, arguments.faster) for percent in arguments.percent}
    unit_rate: dict[str, float] = {}
    while time.time() < until:
        done = min(len(read_records(name)) for name in names.values())
        if done >= arguments.gates:
            break
        unit_rate = unit_rate or units_per_percent()
        chosen = {percent: NAMES[(done + project) % len(NAMES)] for project, percent in enumerate(names)}
        units = {p: max(1, round(p * unit_rate[workload])) for p, workload in chosen.items()}
        plants = {f"{workload}.{PLANTED_STAGE[workload]}": units[p] for p, workload in chosen.items()}
        with sample_repository(plants, arguments.faster) as project:
            report = gate(GateSettings(base="HEAD~1", head="HEAD", time_everything=True), project)
        for percent, workload in chosen.items():
            true = round(units[percent] / unit_rate[workload], 2)
            facts = {"planted": workload, "stage": PLANTED_STAGE[workload], "percent": true}
            append_record(names[percent], summary(report, **facts))
            found = next(w for w in report.workloads if short_name(w.name) == workload)
            print(f"{names[percent]}: {workload} {true} %: {found.outcome} {found.worst.reason}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for function in (record, real, plant):
        parser_of_command = commands.add_parser(function.__name__)
        parser_of_command.set_defaults(run=function)
        parser_of_command.add_argument("--minutes", type=float, default=1e6)
        parser_of_command.add_argument("--state", choices=("idle", "loaded"), default="idle")
        parser_of_command.add_argument("--pairs", type=int, default=200)
        parser_of_command.add_argument("--gates", type=int, default=30 if function is real else 10)
        if function is plant:
            parser_of_command.add_argument("--percent", type=float, nargs="+", required=True)
            parser_of_command.add_argument("--faster", action="store_true")
    from benchmarks.gate.results_page import write_page

    commands.add_parser("tables").set_defaults(run=write_page)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
