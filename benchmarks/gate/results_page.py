"""Make docs/results/gate.md from the recordings: replayed gates, real gates, planted slowdowns."""

from __future__ import annotations

import argparse
import itertools
import math
import platform
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.gate import contention
from benchmarks.gate.replay import (
    NAMES,
    RESULTS,
    NullPair,
    Record,
    judge_pairs,
    median_error,
    plant_file_name,
    random_signs,
    read_records,
    recordings,
    replay,
    replay_as_recorded,
    sample_pairs,
)
from benchmarks.gate.wall_time import in_words
from perfsuite.judge import sign_flip
from perfsuite.judge.sequential_rule import (
    DEFAULT_TOLERANCE,
    SequentialRule,
    max_pairs_for,
    minimum_detectable_effect,
)
from perfsuite.judge.verdict import Outcome
from perfsuite.measure.environment import detect_environment
from perfsuite.report.markdown_table import markdown_table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results" / "gate.md"
GATES = 1000
STATES = ("idle", "loaded")
SIZES = (3.0, 5.0, 10.0)
REPLAYS = {"sides drawn again": replay, "as recorded": replay_as_recorded}
SMALL_CHANGE = 0.02
FIRST_TURN_SECONDS = 0.005  # of recordings that do not name theirs

Row = list[Any]  # of a table


def share_with_interval(hits: int, of: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if not of:
        return "not measured"
    z, p = 1.96, hits / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return f"{hits} of {of} ({100 * p:.1f} %, {100 * low:.1f}-{100 * high:.1f})"


def progress_rows() -> list[Row]:
    """How much has been recorded, how much the validation asks for, and with turns of which length."""
    gates = read_records("real-null.jsonl")
    rows: list[Row] = []
    for state in ("idle", "loaded"):
        records = read_records(f"null-{state}.jsonl")
        records += [gate for gate in gates if gate["state"] == state]
        rows.append([f"null pairs, {state}", len(recordings(state)), 200, _turn_lengths(records)])
    rows.append(["gates run for real", len(gates), 30, _turn_lengths(gates)])
    for kind, faster in (("slower", False), ("faster", True)):
        for percent in SIZES:
            records = read_records(plant_file_name(percent, faster))
            what = f"gates with {percent:g} % planted ({kind})"
            rows.append([what, len(records), 10, _turn_lengths(records)])
    return rows


def _turn_lengths(records: Sequence[Record]) -> str:
    lengths = {record.get("turn_seconds", FIRST_TURN_SECONDS) for record in records}
    return ", ".join(f"{1000 * seconds:g} ms" for seconds in sorted(lengths))


def spread_rows(state: str) -> Iterator[Row]:
    pairs = recordings(state)
    if len(pairs) < 12:
        return
    rule, twelve = SequentialRule(workloads=len(NAMES)), SequentialRule(workloads=len(NAMES), max_pairs=12)
    for name in NAMES:
        ratios = [pair[name].log_ratio for pair in pairs if name in pair]
        if len(ratios) < 12:
            continue
        yield [
            state,
            name,
            len(ratios),
            f"{100 * sign_flip.hodges_lehmann_center(ratios):+.2f} %",
            f"{100 * sign_flip.pair_deviation(ratios):.2f} %",
            f"{100 * max(map(abs, ratios)):.1f} %",
            f"{100 * recorded_mde(twelve, pairs, name):.1f} %",
            f"{100 * recorded_mde(rule, pairs, name):.1f} %",
        ]


def recorded_mde(rule: SequentialRule, null_pairs: Sequence[NullPair], name: str) -> float:
    """The MDE of one workload with the spread of all its recorded pairs."""
    pairs = [pair[name] for pair in null_pairs if name in pair]
    return minimum_detectable_effect(rule, [pair.log_ratio for pair in pairs], error=median_error(pairs))


def mde_within_twelve_pairs(state: str) -> str:
    """A sentence: how many workloads reach an MDE of 5 % with twelve pairs."""
    pairs = recordings(state)
    if any(sum(name in pair for pair in pairs) < 12 for name in NAMES):
        return f"{state}: fewer than twelve pairs recorded of some workload"
    rule = SequentialRule(workloads=len(NAMES), max_pairs=12)
    able = sum(recorded_mde(rule, pairs, name) <= 0.05 for name in NAMES)
    return f"{state}: {able} of {len(NAMES)} workloads reach an MDE of 5 % within 12 pairs."


def in_parallel(row_of: Callable[..., Row | None], *cases: Iterable[object]) -> list[Row]:
    """One row for each combination of these cases, computed on all cores; a row of None is left out."""
    rows = []
    combinations = list(itertools.product(*cases))
    with ProcessPoolExecutor() as pool:
        for case, row in zip(combinations, pool.map(row_of, *zip(*combinations, strict=True)), strict=True):
            print(row_of.__name__, *case, flush=True)
            if row is not None:
                rows.append(row)
    return rows


def replayed_row(state: str, how: str) -> Row | None:
    """Whole gates of equal code: the shares with an alarm, and in the last cell every alarm."""
    pairs = recordings(state)
    if len(pairs) < 24:
        return None
    rule = SequentialRule(workloads=len(NAMES))
    rng = random.Random(20261121)
    counts: Counter[str] = Counter()
    alarms = []
    for number in range(GATES):
        decisions = REPLAYS[how](pairs, rule, rng)
        outcomes = {decision.outcome for decision in decisions.values()}
        counts["regressed"] += Outcome.REGRESSED in outcomes
        counts["improved"] += Outcome.IMPROVED in outcomes
        counts["unclear"] += Outcome.UNCLEAR in outcomes
        alarms += [
            f"{state}, {how}, gate {number}: {name} {100 * decision.estimate:+.1f} % after "
            f"{decision.pairs} pairs"
            for name, decision in decisions.items()
            if decision.outcome is Outcome.REGRESSED
        ]
    shares = (share_with_interval(counts[key], GATES) for key in ("regressed", "improved", "unclear"))
    return [state, how, *shares, alarms]


def planted_replay_row(state: str, percent: float) -> Row | None:
    """One size planted in each workload: how often it is found, where detectable and overall."""
    pairs = recordings(state)
    if len(pairs) < 24:
        return None
    rule = SequentialRule(workloads=len(NAMES))
    rng = random.Random(round(100 * percent))
    expected = Outcome.REGRESSED if percent > 0 else Outcome.IMPROVED
    counts: Counter[str] = Counter()
    for number in range(GATES // 2):
        planted = NAMES[number % len(NAMES)]
        decisions = replay(pairs, rule, rng, planted, percent)
        hit = decisions[planted].outcome is expected
        counts["found"] += hit
        others = [decisions[name].outcome for name in NAMES if name != planted]
        counts["others"] += Outcome.REGRESSED in others
        if decisions[planted].mde <= abs(percent) / 100:
            counts["able"] += 1
            counts["able_found"] += hit
    return [
        state,
        f"{percent:+.0f} %",
        share_with_interval(counts["able_found"], counts["able"]),
        share_with_interval(counts["found"], GATES // 2),
        share_with_interval(counts["others"], GATES // 2),
    ]


def power_row(state: str, name: str) -> Row | None:
    """The printed MDE of each replayed gate, planted in its own pairs with the sides drawn again."""
    pairs = recordings(state)
    if len(pairs) < 24:
        return None
    rule = SequentialRule(workloads=len(NAMES))
    rng, hits = random.Random(name), 0
    printed: list[float] = []
    for _ in range(GATES // 5):
        taken = [pair[name] for pair in sample_pairs(pairs, rule.max_pairs, rng)]
        mde = judge_pairs(rule, taken, random_signs(taken, rng)).mde
        decision = judge_pairs(rule, taken, random_signs(taken, rng), 100 * mde)
        hits += decision.outcome is Outcome.REGRESSED
        printed.append(100 * mde)
    return [state, name, f"{median(printed):.1f} %", share_with_interval(hits, len(printed))]


def small_change_row(state: str, name: str) -> Row | None:
    """A slowdown of `SMALL_CHANGE` planted in one workload of gates that are asked to find it."""
    pairs = recordings(state)
    rule = SequentialRule(
        workloads=len(NAMES),
        target_mde=SMALL_CHANGE,
        max_pairs=max_pairs_for(SMALL_CHANGE, DEFAULT_TOLERANCE),
    )
    if len(pairs) < rule.max_pairs:
        return None
    start_seconds, pair_seconds = real_gate_seconds()
    rng, hits, alarms = random.Random(name), 0, 0
    taken_pairs: list[int] = []
    for _ in range(GATES // 10):
        taken = [pair[name] for pair in sample_pairs(pairs, rule.max_pairs, rng)]
        decision = judge_pairs(rule, taken, random_signs(taken, rng), 100 * SMALL_CHANGE)
        hits += decision.outcome is Outcome.REGRESSED
        taken_pairs.append(decision.pairs)
        alarms += judge_pairs(rule, taken, random_signs(taken, rng)).outcome is Outcome.REGRESSED
    found, alarmed = (share_with_interval(count, GATES // 10) for count in (hits, alarms))
    minutes = (start_seconds + pair_seconds * median(taken_pairs)) / 60
    return [state, name, found, f"{median(taken_pairs):.0f}", f"{minutes:.1f} min", alarmed]


def real_gate_seconds() -> tuple[float, float]:
    """What a real gate takes before its pairs, and for each of them: the line through the recorded gates."""
    gates = read_records("real-null.jsonl")
    slope, start = statistics.linear_regression(
        [gate["pairs"] for gate in gates], [gate["seconds"] for gate in gates]
    )
    return start, slope


def wall_time_rows() -> list[Row]:
    return [
        [
            line["case"],
            f"{line['seconds']:.0f} s",
            line["pairs"],
            line["timed"],
            line["exit"],
            in_words(line["outcomes"]),
            line["cpu"],
            _turn_lengths([line]),
        ]
        for line in read_records("wall-time.jsonl")
    ]


def real_null_rows() -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    alarms: list[str] = []
    by_state = defaultdict(list)
    for line in read_records("real-null.jsonl"):
        by_state[line["state"]].append(line)
    for state, gates in by_state.items():
        counts: Counter[str] = Counter()
        for number, gate in enumerate(gates):
            outcomes = [result["outcome"] for result in gate["workloads"].values()]
            counts["regressed"] += "regressed" in outcomes
            counts["improved"] += "improved" in outcomes
            counts["unclear"] += "unclear" in outcomes
            counts["unfit"] += bool(gate["unfit"])
            alarms += [
                f"real, {state}, gate {number}: {name} {result['metric']}: {result['reason']}"
                for name, result in gate["workloads"].items()
                if result["outcome"] == "regressed"
            ]
        seconds = median(gate["seconds"] for gate in gates)
        rows.append(
            [
                state,
                *(
                    share_with_interval(counts[key], len(gates))
                    for key in ("regressed", "improved", "unclear", "unfit")
                ),
                f"{seconds:.0f} s",
            ]
        )
    return rows, alarms


def planted_together(faster: bool) -> list[set[str]]:
    """The workloads in which each gate has planted work: one for each size."""
    by_size = (read_records(plant_file_name(percent, faster)) for percent in SIZES)
    return [{record["planted"] for record in records} for records in zip(*by_size, strict=False)]


def real_planted_rows() -> list[Row]:
    rows: list[Row] = []
    for path in sorted(RESULTS.glob("plant-*.jsonl")):
        counts: Counter[str] = Counter()
        gates = read_records(path.name)
        expected = "improved" if "faster" in path.name else "regressed"
        for gate, planted in zip(gates, planted_together("faster" in path.name), strict=False):
            result = gate["workloads"][gate["planted"]]
            hit = result["outcome"] == expected and result["metric"] == "time"
            counts["found"] += hit
            counts["stage"] += hit and result["stage"] == gate["stage"]
            able = result["mde"] is not None and result["mde"] <= gate["percent"] / 100
            counts["able"] += able
            counts["able_found"] += able and hit
            others = {each["outcome"] for name, each in gate["workloads"].items() if name not in planted}
            counts["others"] += not others.isdisjoint({"regressed", "improved"})
        rows.append(
            [
                path.stem.removeprefix("plant-"),
                share_with_interval(counts["able_found"], counts["able"]),
                share_with_interval(counts["found"], len(gates)),
                share_with_interval(counts["stage"], counts["found"]),
                share_with_interval(counts["others"], len(gates)),
            ]
        )
    return rows


def write_page(arguments: argparse.Namespace) -> None:
    """Write docs/results/gate.md."""
    replays = in_parallel(replayed_row, STATES, REPLAYS)
    real, real_alarms = real_null_rows()
    alarms = [alarm for *_, alarms_of_row in replays for alarm in alarms_of_row] + real_alarms
    contended = read_records(contention.RECORDING)
    machines = sorted({line["cpu"] for path in RESULTS.glob("*.jsonl") for line in read_records(path.name)})
    parts = [
        "# What the gate detects, and how often it is wrong",
        "Made by `python -m benchmarks.gate.validation tables` from the recordings beside this page "
        "(`gate/*.jsonl`), which its commands `record`, `real` and `plant` made. "
        "Eight workloads (`benchmarks/gate/sample_project`), "
        f"2 cores ({' and '.join(machines)}), Python {platform.python_version()}, "
        f"torch {detect_environment().soft['torch']}. `loaded`: one core is kept busy with bursts of hashing "
        "and writing.",
        "## How much has been recorded",
        markdown_table(["what", "recorded", "asked for", "turns of one thread"], progress_rows()),
        "## Null pairs: identical code on both sides",
        "A pair is two fresh processes that take turns. `found with` is the slowdown that a gate of eight "
        "workloads finds nine times in ten (alpha 1 %, tolerance 1 %) with that many pairs.",
        markdown_table(
            ["state", "workload", "pairs", "center", "spread", "largest", "found with 12", "found with 24"],
            [row for state in STATES for row in spread_rows(state)],
        ),
        "\n".join(f"- {mde_within_twelve_pairs(state)}" for state in STATES),
        f"## Whole gates replayed from these pairs ({GATES} each)",
        "Shares of gates with at least one such verdict.",
        markdown_table(
            ["state", "how", "false alarms", "false improvements", "unclear"],
            [cells for *cells, _ in replays],
        ),
        "### Every false alarm",
        "\n".join(f"- {alarm}" for alarm in alarms) or "none",
        "## Real gates on identical code",
        markdown_table(
            ["state", "false alarms", "false improvements", "unclear", "unfit", "took (median)"], real
        ),
        "## Planted changes, replayed",
        "`found where detectable`: of the gates whose printed MDE was at most the planted size.",
        markdown_table(
            ["state", "planted", "found where detectable", "found in all", "another reported"],
            in_parallel(planted_replay_row, STATES, (*SIZES, *(-size for size in SIZES))),
        ),
        "## Planted changes in real gates",
        "Extra work of calibrated size in one stage of one workload, for speed-ups in base. Each gate "
        "has the three sizes in three workloads.",
        markdown_table(
            ["planted", "found where detectable", "found in all", "stage named", "another reported"],
            real_planted_rows(),
        ),
        "## The size of a change beside other work",
        "`python -m benchmarks.gate.contention`: each workload does its work eleven times instead of ten "
        "while three processes hash and write to memory on the two cores. Right is a size from 8 to 12 % "
        f"whose interval holds 10 %, or a machine that is called unfit: {contention.summary(contended)}.",
        markdown_table(
            ["workload", "reads", "outcome", "pairs", "took", ""], map(contention.row_of, contended)
        ),
        "## How long whole gates take",
        "`python -m benchmarks.gate.wall_time`, which says what each case is. `timed`: the benchmarks whose "
        "code was not proven to be the same on both sides.",
        markdown_table(
            ["case", "took", "pairs", "timed", "exit code", "outcomes", "machine", "turns of one thread"],
            wall_time_rows(),
        ),
        f"## A slowdown of {SMALL_CHANGE:.0%} in gates with --mde {SMALL_CHANGE:g}",
        f"Planted in the recorded pairs, {GATES // 10} gates for each workload. The time is that of a gate "
        "of all eight workloads with so many pairs, from the line through the real gates above.",
        markdown_table(
            ["state", "workload", "found", "pairs (median)", "takes", "found where nothing is planted"],
            in_parallel(small_change_row, ["idle"], NAMES),
        ),
        "## Is the printed MDE correct?",
        "The MDE that each replayed gate prints, planted in that gate's own pairs: it should be found nine "
        "times in ten.",
        markdown_table(
            ["state", "workload", "printed (median)", "found"],
            in_parallel(power_row, STATES, NAMES),
        ),
    ]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n\n".join(parts) + "\n")
    print(f"wrote {PAGE}")
