"""Make docs/results/gate.md from the recordings: replayed gates, real gates, planted slowdowns."""

from __future__ import annotations

import argparse
import math
import platform
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from replay import (
    NAMES,
    RESULTS,
    NullPair,
    judge_pairs,
    median_error,
    plant_file_name,
    random_signs,
    read_records,
    recordings,
    recordings_of_any_schedule,
    replay,
    replay_as_recorded,
    sample_pairs,
)

from perfsuite.judge import sign_flip
from perfsuite.judge.sequential_rule import SequentialRule, minimum_detectable_effect
from perfsuite.judge.verdict import Outcome
from perfsuite.measure.environment import detect_environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results" / "gate.md"
GATES = 1000
OLDER_TARGET_ERROR = 0.015  # of recordings that do not say theirs
SIZES = (3.0, 5.0, 10.0)


def share_with_interval(hits: int, of: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if not of:
        return "not measured"
    z, p = 1.96, hits / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return f"{hits} of {of} ({100 * p:.1f} %, {100 * low:.1f}-{100 * high:.1f})"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    told = [" | ".join(map(str, row)) for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(f"| {row} |" for row in told)


def progress_rows() -> list[list[object]]:
    """What is recorded of what the proof asks for."""
    return [
        *([f"null pairs, {state}", len(recordings(state)), 200] for state in ("idle", "loaded")),
        ["gates run for real", len(read_records("real-null.jsonl")), 30],
        *(
            [
                f"gates with {percent:g} % planted ({kind})",
                len(read_records(plant_file_name(percent, faster))),
                10,
            ]
            for kind, faster in (("slower", False), ("faster", True))
            for percent in SIZES
        ),
    ]


def spread_rows(state: str) -> Iterator[list[object]]:
    seen = recordings(state)
    if len(seen) < 12:
        return
    rule, twelve = SequentialRule(workloads=len(NAMES)), SequentialRule(workloads=len(NAMES), max_pairs=12)
    for name in NAMES:
        ratios = [pair[name].log_ratio for pair in seen if name in pair]
        if len(ratios) < 12:
            continue
        yield [
            state,
            name,
            len(ratios),
            f"{100 * sign_flip.hodges_lehmann_center(ratios):+.2f} %",
            f"{100 * sign_flip.pair_deviation(ratios):.2f} %",
            f"{100 * max(map(abs, ratios)):.1f} %",
            f"{100 * recorded_mde(twelve, seen, name):.1f} %",
            f"{100 * recorded_mde(rule, seen, name):.1f} %",
        ]


def recorded_mde(rule: SequentialRule, seen: Sequence[NullPair], name: str) -> float:
    pairs = [pair[name] for pair in seen if name in pair]
    return minimum_detectable_effect(rule, [pair.log_ratio for pair in pairs], error=median_error(pairs))


def mde_within_twelve_pairs(state: str) -> str:
    """How many workloads reach an MDE of 5 % with twelve pairs."""
    seen = recordings(state)
    if any(sum(name in pair for pair in seen) < 12 for name in NAMES):
        return f"{state}: fewer than twelve pairs recorded of some workload"
    rule = SequentialRule(workloads=len(NAMES), max_pairs=12)
    able = sum(recorded_mde(rule, seen, name) <= 0.05 for name in NAMES)
    return f"{state}: {able} of {len(NAMES)} workloads reach an MDE of 5 % within 12 pairs."


def replayed_rows(state: str) -> tuple[list[list[object]], list[str]]:
    seen, rows, alarms = recordings_of_any_schedule(state), [], []
    if len(seen) < 24:
        return [], []
    rule = SequentialRule(workloads=len(NAMES))
    for how, one in (("lots cast again", replay), ("as recorded", replay_as_recorded)):
        chance = random.Random(20261121)
        counts: Counter[str] = Counter()
        for number in range(GATES):
            found = one(seen, rule, chance)
            outcomes = {decision.outcome for decision in found.values()}
            counts["regressed"] += Outcome.REGRESSED in outcomes
            counts["improved"] += Outcome.IMPROVED in outcomes
            counts["unclear"] += Outcome.UNCLEAR in outcomes
            for name, decision in found.items():
                if decision.outcome is Outcome.REGRESSED:
                    alarms.append(
                        f"{state}, {how}, gate {number}: {name} {100 * decision.estimate:+.1f} % after "
                        f"{decision.pairs} pairs"
                    )
        rows.append(
            [
                state,
                how,
                *(share_with_interval(counts[key], GATES) for key in ("regressed", "improved", "unclear")),
            ]
        )
    return rows, alarms


def planted_replay_rows(state: str) -> list[list[object]]:
    """Each size planted in each workload; power where the printed MDE allows it, and overall."""
    seen, rows = recordings_of_any_schedule(state), []
    if len(seen) < 24:
        return []
    rule = SequentialRule(workloads=len(NAMES))
    for percent in (*SIZES, *(-size for size in SIZES)):
        chance = random.Random(round(100 * percent))
        wanted = Outcome.REGRESSED if percent > 0 else Outcome.IMPROVED
        counts: Counter[str] = Counter()
        for number in range(GATES // 2):
            planted = NAMES[number % len(NAMES)]
            found = replay(seen, rule, chance, planted, percent)
            hit = found[planted].outcome is wanted
            counts["found"] += hit
            others = [found[name].outcome for name in NAMES if name != planted]
            counts["others"] += Outcome.REGRESSED in others
            if found[planted].mde <= abs(percent) / 100:
                counts["able"] += 1
                counts["able_found"] += hit
        rows.append(
            [
                state,
                f"{percent:+.0f} %",
                share_with_interval(counts["able_found"], counts["able"]),
                share_with_interval(counts["found"], GATES // 2),
                share_with_interval(counts["others"], GATES // 2),
            ]
        )
    return rows


def power_rows(state: str) -> list[list[object]]:
    """What each gate says it would have found, planted in its own pairs with the lots cast again."""
    seen, rows = recordings_of_any_schedule(state), []
    if len(seen) < 24:
        return []
    rule = SequentialRule(workloads=len(NAMES))
    for name in NAMES:
        chance, hits, printed = random.Random(name), 0, []
        for _ in range(GATES // 5):
            pairs = [pair[name] for pair in sample_pairs(seen, rule.max_pairs, chance)]
            told = judge_pairs(rule, pairs, random_signs(pairs, chance)).mde
            found = judge_pairs(rule, pairs, random_signs(pairs, chance), 100 * told)
            hits += found.outcome is Outcome.REGRESSED
            printed.append(100 * told)
        rows.append([state, name, f"{median(printed):.1f} %", share_with_interval(hits, len(printed))])
    return rows


def real_null_rows() -> tuple[list[list[object]], list[str]]:
    rows, alarms = [], []
    by_state = defaultdict(list)
    for line in read_records("real-null.jsonl"):
        by_state[line["state"]].append(line)
    for state, gates in by_state.items():
        counts: Counter[str] = Counter()
        for number, gate in enumerate(gates):
            outcomes = [found["outcome"] for found in gate["workloads"].values()]
            counts["regressed"] += "regressed" in outcomes
            counts["improved"] += "improved" in outcomes
            counts["unclear"] += "unclear" in outcomes
            counts["unfit"] += bool(gate["unfit"])
            alarms += [
                f"real, {state}, gate {number}: {name} {found['metric']}: {found['reason']}"
                for name, found in gate["workloads"].items()
                if found["outcome"] == "regressed"
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


def real_planted_rows() -> list[list[object]]:
    rows = []
    for path in sorted(RESULTS.glob("plant-*.jsonl")):
        counts: Counter[str] = Counter()
        gates = read_records(path.name)
        wanted = "improved" if "faster" in path.name else "regressed"
        for gate in gates:
            found = gate["workloads"][gate["planted"]]
            hit = found["outcome"] == wanted and found["metric"] == "time"
            counts["found"] += hit
            counts["stage"] += hit and found["stage"] == gate["stage"]
            able = found["mde"] is not None and found["mde"] <= gate["percent"] / 100
            counts["able"] += able
            counts["able_found"] += able and hit
            others = [w["outcome"] for name, w in gate["workloads"].items() if name != gate["planted"]]
            counts["others"] += "regressed" in others
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
    """Write the page."""
    states = ("idle", "loaded")
    replays = [replayed_rows(state) for state in states]
    real, real_alarms = real_null_rows()
    alarms = [alarm for _, found in replays for alarm in found] + real_alarms
    machines = sorted({line["cpu"] for path in RESULTS.glob("*.jsonl") for line in read_records(path.name)})
    parts = [
        "# What the gate sees, and how often it is wrong",
        "Made by `python benchmarks/gate/validation.py tables` from the recordings beside this page "
        "(`gate/*.jsonl`), which `proof.py record`, `real` and `plant` made. "
        "Eight workloads (`benchmarks/gate/sample_project`), "
        f"2 cores ({' and '.join(machines)}), Python {platform.python_version()}, "
        f"torch {detect_environment().soft['torch']}. `loaded`: one core is kept busy by bursts of hashing "
        "and "
        "writing.",
        "## How much has been recorded",
        table(["what", "recorded", "asked for"], progress_rows()),
        "## Null pairs: identical code on both sides",
        "One pair is two fresh processes in turns. `found with` is the slowdown that a gate of eight "
        "workloads finds nine times in ten (alpha 1 %, tolerance 1 %).",
        table(
            ["state", "workload", "pairs", "center", "spread", "largest", "found with 12", "found with 24"],
            [row for state in states for row in spread_rows(state)],
        ),
        "\n".join(f"- {mde_within_twelve_pairs(state)}" for state in states),
        f"## Whole gates replayed from them ({GATES} each)",
        "Shares of gates with at least one such verdict. Pairs recorded at an older pace, at which several "
        "threads are noisier, are among them; the table above has those of this pace alone.",
        table(
            ["state", "how", "false alarms", "false improvements", "unclear"],
            [r for rows, _ in replays for r in rows],
        ),
        "### Every false alarm",
        "\n".join(f"- {alarm}" for alarm in alarms) or "none",
        "## Whole gates run for real on identical code",
        table(["state", "false alarms", "false improvements", "unclear", "unfit", "took (median)"], real),
        "## Planted changes, replayed",
        "`where seen`: gates whose printed MDE was at most the planted size.",
        table(
            ["state", "planted", "found where seen", "found in all", "another accused"],
            [row for state in states for row in planted_replay_rows(state)],
        ),
        "## Planted changes, run for real",
        "Extra work of calibrated size in one stage of one workload. For speed-ups it is in base, and a gate "
        "has the three sizes in three workloads.",
        table(
            ["planted", "found where seen", "found in all", "stage named", "another accused"],
            real_planted_rows(),
        ),
        "## What a gate of twenty workloads costs in which nothing changed",
        table(
            ["a pair of several threads known to", "took", "pairs", "outcomes"],
            [
                [
                    f"{100 * gate.get('threads_sharp', OLDER_TARGET_ERROR):.1f} %",
                    f"{gate['seconds']} s",
                    gate["pairs"],
                    dict(Counter(found["outcome"] for found in gate["workloads"].values())),
                ]
                for gate in read_records("cost.jsonl")
            ],
        ),
        "## Does the printed MDE tell the truth?",
        "The MDE that each replayed gate prints, planted in that gate's own pairs: nine in ten are promised.",
        table(
            ["state", "workload", "printed (median)", "found"],
            [row for state in states for row in power_rows(state)],
        ),
    ]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n\n".join(parts) + "\n")
    print(f"wrote {PAGE}")
