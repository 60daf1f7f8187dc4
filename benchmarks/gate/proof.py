"""Prove the gate: record null pairs, replay whole gates from them, run real ones, plant slowdowns.

    python benchmarks/gate/proof.py record --state idle --pairs 200 --minutes 30
    python benchmarks/gate/proof.py real --gates 30
    python benchmarks/gate/proof.py plant --percent 5 --gates 10
    python benchmarks/gate/proof.py plant --faster --percent 3 5 10
    python benchmarks/gate/proof.py cost --gates 3
    python benchmarks/gate/proof.py tables

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

from replays import NAMES, PLANTED_STAGE, RESULTS, lines, plant_name  # noqa: E402

from perfsuite.gate.arms import Repository  # noqa: E402
from perfsuite.gate.gate import gate  # noqa: E402
from perfsuite.gate.pace import Pace  # noqa: E402
from perfsuite.gate.settings import Settings  # noqa: E402
from perfsuite.gate.stand import Stand, make_ready, survey  # noqa: E402
from perfsuite.gate.turns import PairResult  # noqa: E402
from perfsuite.gate.workplace import workplace  # noqa: E402
from perfsuite.judge.gated import GateReport  # noqa: E402
from perfsuite.judge.pairs import middle  # noqa: E402
from perfsuite.measure.environment import environment  # noqa: E402

EIGHT = Path(__file__).parent / "eight"
WEIGHED_PER_CENT = 20  # what is planted to weigh a grain
PAIRS_TO_WEIGH = 4
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
def project(plants: dict[str, int] | None = None, faster: bool = False) -> Iterator[Path]:
    """The eight as a repository of two commits; head (or base, for a speed-up) holds the planted work."""
    with tempfile.TemporaryDirectory(prefix="perfsuite-proof-") as folder:
        place = Path(folder) / "project"
        shutil.copytree(EIGHT, place, ignore=shutil.ignore_patterns("__pycache__"))
        _git(place, "init", "--quiet")
        for subject, planted in (("base", faster), ("head", not faster)):
            told = plants if planted and plants else {}
            text = f'"""Extra work by stage, in grains."""\n\nGRAINS: dict[str, int] = {told!r}\n'
            (place / "src" / "eight" / "plants.py").write_text(text)
            _git(place, "add", "--all")
            _git(place, "commit", "--quiet", "--allow-empty", "--message", subject)
        yield place


def _git(place: Path, *words: str) -> None:
    who = ["-c", "user.name=proof", "-c", "user.email=proof@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=place, check=True)  # noqa: S607


@contextmanager
def load(state: str) -> Iterator[None]:
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


def null_stand(place: Path) -> AbstractContextManager[tuple[Stand, list[str]]]:
    return stand_of(place, Settings(base="HEAD", head="HEAD", null=True))


@contextmanager
def stand_of(place: Path, settings: Settings) -> Iterator[tuple[Stand, list[str]]]:
    repository = Repository.at(place)
    with (
        workplace(repository.git_directory) as work,
        make_ready(repository, settings, work, random.Random(), lambda _: None) as stand,
    ):
        yield stand, list(survey(stand).nodes("head"))


def as_line(result: PairResult, state: str) -> dict[str, object]:
    """One pair: of each workload the seconds of a call and, turn by turn, head over base in log per mille."""
    ratios = turn_ratios(result)
    told = {}
    for seen in result.seen:
        seconds = median(turn.median for turn in seen.first)
        told[short(seen.name)] = {
            "seconds": float(f"{seconds:.4g}"),
            "turns": [round(1000 * t) for t in ratios[short(seen.name)]],
        }
    return {"at": round(time.time()), "state": state, "first": result.first_side, "workloads": told}


def turn_ratios(result: PairResult) -> dict[str, list[float]]:
    """Of each workload, turn by turn, the log of head over base."""
    sign = 1 if result.first_side == "base" else -1
    return {
        short(seen.name): [
            sign * math.log(b.median / a.median) for a, b in zip(seen.first, seen.second, strict=True)
        ]
        for seen in result.seen
    }


def short(name: str) -> str:
    return name.rpartition("test_")[2]


def append(name: str, line: dict[str, object]) -> None:
    """One line, with the machine it was taken on and the pace: a recording may go on elsewhere, and later."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    around = {"cpu": environment().hard["cpu"], "threads_sharp": Pace().threads_sharp}
    with (RESULTS / name).open("a") as file:
        file.write(json.dumps({**around, **line}, separators=(",", ":")) + "\n")


def record(arguments: argparse.Namespace) -> None:
    name, until = f"null-{arguments.state}.jsonl", time.time() + 60 * arguments.minutes
    with project() as place, null_stand(place) as (stand, nodes), load(arguments.state):
        stand.run(nodes)  # byte code and page cache
        while len(lines(name)) < arguments.pairs and time.time() < until:
            result = stand.run(nodes)
            if len(result.seen) == len(nodes):
                append(name, as_line(result, arguments.state))
            print(f"{name}: {len(lines(name))} pairs {result.broken_off}", flush=True)


def calibrate() -> dict[str, float]:
    """Grains that make one per cent of each workload's time: of many grains, by what pairs say they cost.

    A grain costs more where another thread spins on the other half of its core, so it is weighed in place.
    """
    with project() as place, null_stand(place) as (stand, nodes):
        plain = stand.run(nodes)
    fastest = {short(seen.name): min(turn.low for turn in (*seen.first, *seen.second)) for seen in plain.seen}
    many = {name: max(1, round(WEIGHED_PER_CENT * 0.01 * fastest[name] / GRAIN_SECONDS)) for name in fastest}
    plants = {f"{name}.{PLANTED_STAGE[name]}": grains for name, grains in many.items()}
    costs: dict[str, list[float]] = {name: [] for name in many}
    with project(plants) as place, stand_of(place, Settings(base="HEAD~1", head="HEAD")) as (stand, nodes):
        for _ in range(PAIRS_TO_WEIGH):
            result = stand.run(nodes)
            for name, turns in turn_ratios(result).items():
                costs[name].append(middle(turns))
    return {name: many[name] / (100 * math.expm1(median(costs[name]))) for name in many}


def summary(report: GateReport, **more: object) -> dict[str, object]:
    return {
        **more,
        "at": round(time.time()),
        "exit": report.exit_code,
        "pairs": report.pairs,
        "seconds": round(report.seconds),
        "unfit": list(report.unfit),
        "null": {short(n): [round(r, 5) for r in seen] for n, seen in report.null_log_ratios.items()},
        "notes": list(report.notes),
        "workloads": {
            short(found.name): {
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
    while len(lines(name)) < arguments.gates and time.time() < until:
        with project() as place, load(arguments.state):
            report = gate(Settings(base="HEAD~1", head="HEAD"), place)
        append(name, summary(report, state=arguments.state))
        print(f"{name}: {len(lines(name))} gates; {report.headline}, {report.seconds:.0f} s", flush=True)


def plant(arguments: argparse.Namespace) -> None:
    """Whole gates with a workload made slower (or its base made slower: head is a speed-up) by each size."""
    until = time.time() + 60 * arguments.minutes
    names = {percent: plant_name(percent, arguments.faster) for percent in arguments.percent}
    per_cent = calibrate()
    while time.time() < until:
        done = min(len(lines(name)) for name in names.values())
        if done >= arguments.gates:
            break
        chosen = {percent: NAMES[(done + place) % len(NAMES)] for place, percent in enumerate(names)}
        grains = {p: max(1, round(p * per_cent[workload])) for p, workload in chosen.items()}
        plants = {f"{workload}.{PLANTED_STAGE[workload]}": grains[p] for p, workload in chosen.items()}
        with project(plants, arguments.faster) as place:
            report = gate(Settings(base="HEAD~1", head="HEAD"), place)
        for percent, workload in chosen.items():
            true = round(grains[percent] / per_cent[workload], 2)
            facts = {"planted": workload, "stage": PLANTED_STAGE[workload], "percent": true}
            append(names[percent], summary(report, **facts))
            found = next(w for w in report.workloads if short(w.name) == workload)
            print(f"{names[percent]}: {workload} {true} %: {found.outcome} {found.worst.reason}", flush=True)


TWENTY = """
import eight
import pytest


@pytest.fixture(scope="module")
def files():
    return eight.photos(8)


@pytest.mark.parametrize("place", range(20))
def test_twenty(benchmark, files, place):
    images = eight.decode(files)
    lines = [f"1 {n / 997:.4f} 0.5 0.25 0.125" for n in range(1000)]
    calls = [
        lambda: eight.decode(files),
        lambda: eight.resize(images),
        lambda: eight.augment(eight.resize(images)),
        lambda: eight.boxes(lines),
        eight.Step(),
    ]
    benchmark(calls[place % len(calls)])
"""


def cost(arguments: argparse.Namespace) -> None:
    """What a gate of twenty workloads costs in which nothing changed."""
    name = "cost.jsonl"
    while len(lines(name)) < arguments.gates:
        with project() as place:
            (place / "suite" / "test_eight.py").write_text(TWENTY)
            _git(place, "commit", "--quiet", "--all", "--message", "twenty")
            _git(place, "commit", "--quiet", "--allow-empty", "--message", "nothing changed")
            report = gate(Settings(base="HEAD~1", head="HEAD"), place)
        append(name, summary(report))
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
    from tables import tables

    commands.add_parser("tables").set_defaults(run=tables)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
