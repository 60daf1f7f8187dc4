"""Prove the gate: record null pairs, replay whole gates from them, run real ones, plant slowdowns.

    python benchmarks/gate/validation.py record --state idle --pairs 200 --minutes 30
    python benchmarks/gate/validation.py real --gates 30
    python benchmarks/gate/validation.py plant --percent 5 --gates 10
    python benchmarks/gate/validation.py plant --faster --percent 3 5 10
    python benchmarks/gate/validation.py cost --gates 3
    python benchmarks/gate/validation.py tables

Every command appends to docs/results/gate/*.jsonl and stops when it has as many as asked, or at --minutes:
what was recorded is kept, and the same command goes on from there.
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

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from replay import NAMES, PLANTED_STAGE, RESULTS, plant_file_name, read_records  # noqa: E402

from perfsuite.gate.gate import gate  # noqa: E402
from perfsuite.gate.git import Repository  # noqa: E402
from perfsuite.gate.pair_result import PairResult  # noqa: E402
from perfsuite.gate.pair_runner import PairRunner, collect_suites, prepare_sides  # noqa: E402
from perfsuite.gate.schedule import TurnSchedule  # noqa: E402
from perfsuite.gate.settings import GateSettings  # noqa: E402
from perfsuite.gate.workspace import gate_workspace  # noqa: E402
from perfsuite.judge.reports import GateReport  # noqa: E402
from perfsuite.judge.sequential_rule import interquartile_mean  # noqa: E402
from perfsuite.measure.environment import detect_environment  # noqa: E402

SAMPLE_PROJECT = Path(__file__).parent / "sample_project"
CALIBRATION_PERCENT = 20  # what is planted to weigh a grain
CALIBRATION_PAIRS = 4
GRAIN_SECONDS = 6e-8  # about; what it costs inside a workload is weighed
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
def sample_repository(plants: dict[str, int] | None = None, faster: bool = False) -> Iterator[Path]:
    """The eight as a repository of two commits; head (or base, for a speed-up) holds the planted work."""
    with tempfile.TemporaryDirectory(prefix="perfsuite-proof-") as folder:
        place = Path(folder) / "project"
        shutil.copytree(SAMPLE_PROJECT, place, ignore=shutil.ignore_patterns("__pycache__"))
        _git(place, "init", "--quiet")
        for subject, planted in (("base", faster), ("head", not faster)):
            told = plants if planted and plants else {}
            text = f'"""Extra work by stage, in grains."""\n\nGRAINS: dict[str, int] = {told!r}\n'
            (place / "src" / "vision_workloads" / "planted_work.py").write_text(text)
            _git(place, "add", "--all")
            _git(place, "commit", "--quiet", "--allow-empty", "--message", subject)
        yield place


def _git(place: Path, *words: str) -> None:
    who = ["-c", "user.name=proof", "-c", "user.email=proof@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=place, check=True)  # noqa: S607


@contextmanager
def background_load(state: str) -> Iterator[None]:
    """`loaded`: one core is kept busy by bursts of hashing and of writing to memory."""
    if state != "loaded":
        yield
        return
    maker = subprocess.Popen([sys.executable, "-c", NOISE])
    try:
        yield
    finally:
        maker.kill()
        maker.wait()


def null_pair_runner(place: Path) -> AbstractContextManager[tuple[PairRunner, list[str]]]:
    return pair_runner_of(place, GateSettings(base="HEAD", head="HEAD", null=True))


@contextmanager
def pair_runner_of(place: Path, settings: GateSettings) -> Iterator[tuple[PairRunner, list[str]]]:
    repository = Repository.at(place)
    with (
        gate_workspace(repository.git_directory) as work,
        prepare_sides(repository, settings, work, random.Random(), lambda _: None) as stand,
    ):
        yield stand, list(collect_suites(stand).nodes("head"))


def pair_record(result: PairResult, state: str) -> dict[str, object]:
    """One pair: of each workload the seconds of a call and, turn by turn, head over base in log per mille."""
    ratios = turn_ratios(result)
    told = {}
    for seen in result.workload_turns:
        seconds = median(turn.median for turn in seen.first_turns)
        told[short_name(seen.name)] = {
            "seconds": float(f"{seconds:.4g}"),
            "turns": [round(1000 * t) for t in ratios[short_name(seen.name)]],
        }
    return {"at": round(time.time()), "state": state, "first": result.first_side, "workloads": told}


def turn_ratios(result: PairResult) -> dict[str, list[float]]:
    """Of each workload, turn by turn, the log of head over base."""
    sign = 1 if result.first_side == "base" else -1
    return {
        short_name(seen.name): [
            sign * math.log(b.median / a.median)
            for a, b in zip(seen.first_turns, seen.second_turns, strict=True)
        ]
        for seen in result.workload_turns
    }


def short_name(name: str) -> str:
    return name.rpartition("test_")[2]


def append_record(name: str, line: dict[str, object]) -> None:
    """One line, with the machine it was taken on and the pace: a recording may go on elsewhere, and later."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    around = {"cpu": detect_environment().hard["cpu"], "threads_sharp": TurnSchedule().threads_target_error}
    with (RESULTS / name).open("a") as file:
        file.write(json.dumps({**around, **line}, separators=(",", ":")) + "\n")


def record(arguments: argparse.Namespace) -> None:
    name, until = f"null-{arguments.state}.jsonl", time.time() + 60 * arguments.minutes
    with (
        sample_repository() as place,
        null_pair_runner(place) as (stand, nodes),
        background_load(arguments.state),
    ):
        stand.run(nodes)  # byte code and page cache
        while len(read_records(name)) < arguments.pairs and time.time() < until:
            result = stand.run(nodes)
            if len(result.workload_turns) == len(nodes):
                append_record(name, pair_record(result, arguments.state))
            print(f"{name}: {len(read_records(name))} pairs {result.abort_reason}", flush=True)


def grains_per_percent() -> dict[str, float]:
    """Grains that make one per cent of each workload's time: of many grains, by what pairs say they cost.

    A grain costs more where another thread spins on the other half of its core, so it is weighed in place.
    """
    with sample_repository() as place, null_pair_runner(place) as (stand, nodes):
        plain = stand.run(nodes)
    fastest = {
        short_name(seen.name): min(turn.low for turn in (*seen.first_turns, *seen.second_turns))
        for seen in plain.workload_turns
    }
    many = {
        name: max(1, round(CALIBRATION_PERCENT * 0.01 * fastest[name] / GRAIN_SECONDS)) for name in fastest
    }
    plants = {f"{name}.{PLANTED_STAGE[name]}": grains for name, grains in many.items()}
    costs: dict[str, list[float]] = {name: [] for name in many}
    with (
        sample_repository(plants) as place,
        pair_runner_of(place, GateSettings(base="HEAD~1", head="HEAD")) as (stand, nodes),
    ):
        for _ in range(CALIBRATION_PAIRS):
            result = stand.run(nodes)
            for name, turns in turn_ratios(result).items():
                costs[name].append(interquartile_mean(turns))
    return {name: many[name] / (100 * math.expm1(median(costs[name]))) for name in many}


def summary(report: GateReport, **more: object) -> dict[str, object]:
    return {
        **more,
        "at": round(time.time()),
        "exit": report.exit_code,
        "pairs": report.pairs,
        "seconds": round(report.seconds),
        "unfit": list(report.unfit),
        "null": {short_name(n): [round(r, 5) for r in seen] for n, seen in report.null_log_ratios.items()},
        "notes": list(report.notes),
        "workloads": {
            short_name(found.name): {
                "outcome": found.outcome.value,
                "metric": found.worst.metric,
                "reason": found.worst.reason,
                "estimate": found.worst.estimate,
                "mde": next((v.mde for v in found.verdicts if v.metric == "time"), None),
                "stage": found.moved_stage,
                "ratios": [round(r, 5) for r in found.log_ratios],
                "errors": [round(e, 5) for e in found.errors],
                "stages": [asdict(s) for s in found.stages[:4]],
            }
            for found in report.workloads
        },
    }


def real(arguments: argparse.Namespace) -> None:
    """Whole gates on identical code."""
    name, until = "real-null.jsonl", time.time() + 60 * arguments.minutes
    while len(read_records(name)) < arguments.gates and time.time() < until:
        with sample_repository() as place, background_load(arguments.state):
            report = gate(GateSettings(base="HEAD~1", head="HEAD"), place)
        append_record(name, summary(report, state=arguments.state))
        print(
            f"{name}: {len(read_records(name))} gates; {report.headline}, {report.seconds:.0f} s", flush=True
        )


def plant(arguments: argparse.Namespace) -> None:
    """Whole gates with a workload made slower (or its base made slower: head is a speed-up) by each size."""
    until = time.time() + 60 * arguments.minutes
    names = {percent: plant_file_name(percent, arguments.faster) for percent in arguments.percent}
    per_cent = grains_per_percent()
    while time.time() < until:
        done = min(len(read_records(name)) for name in names.values())
        if done >= arguments.gates:
            break
        chosen = {percent: NAMES[(done + place) % len(NAMES)] for place, percent in enumerate(names)}
        grains = {p: max(1, round(p * per_cent[workload])) for p, workload in chosen.items()}
        plants = {f"{workload}.{PLANTED_STAGE[workload]}": grains[p] for p, workload in chosen.items()}
        with sample_repository(plants, arguments.faster) as place:
            report = gate(GateSettings(base="HEAD~1", head="HEAD"), place)
        for percent, workload in chosen.items():
            true = round(grains[percent] / per_cent[workload], 2)
            facts = {"planted": workload, "stage": PLANTED_STAGE[workload], "percent": true}
            append_record(names[percent], summary(report, **facts))
            found = next(w for w in report.workloads if short_name(w.name) == workload)
            print(f"{names[percent]}: {workload} {true} %: {found.outcome} {found.worst.reason}", flush=True)


TWENTY_BENCHMARKS = """
import vision_workloads
import pytest


@pytest.fixture(scope="module")
def files():
    return vision_workloads.encoded_images(8)


@pytest.mark.parametrize("place", range(20))
def test_twenty(benchmark, files, place):
    images = vision_workloads.decode(files)
    lines = [f"1 {n / 997:.4f} 0.5 0.25 0.125" for n in range(1000)]
    calls = [
        lambda: vision_workloads.decode(files),
        lambda: vision_workloads.resize(images),
        lambda: vision_workloads.augment(vision_workloads.resize(images)),
        lambda: vision_workloads.boxes(lines),
        vision_workloads.Step(),
    ]
    benchmark(calls[place % len(calls)])
"""


def cost(arguments: argparse.Namespace) -> None:
    """What a gate of twenty workloads costs in which nothing changed."""
    name = "cost.jsonl"
    while len(read_records(name)) < arguments.gates:
        with sample_repository() as place:
            (place / "suite" / "test_workloads.py").write_text(TWENTY_BENCHMARKS)
            _git(place, "commit", "--quiet", "--all", "--message", "twenty")
            _git(place, "commit", "--quiet", "--allow-empty", "--message", "nothing changed")
            report = gate(GateSettings(base="HEAD~1", head="HEAD"), place)
        append_record(name, summary(report))
        print(f"{name}: {report.headline}, {report.pairs} pairs, {report.seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for function in (record, real, plant, cost):
        one = commands.add_parser(function.__name__)
        one.set_defaults(run=function)
        one.add_argument("--minutes", type=float, default=1e6)
        one.add_argument("--state", choices=("idle", "loaded"), default="idle")
        one.add_argument("--pairs", type=int, default=200)
        one.add_argument("--gates", type=int, default={real: 30, cost: 3}.get(function, 10))
        if function is plant:
            one.add_argument("--percent", type=float, nargs="+", required=True)
            one.add_argument("--faster", action="store_true")
    from results_page import write_page

    commands.add_parser("tables").set_defaults(run=write_page)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
