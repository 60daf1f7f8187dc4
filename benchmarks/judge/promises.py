"""Measure on invented noise whether the stated chances of error hold, and write docs/results/promises.md.

    python -m benchmarks.judge.promises errors --comparisons 1000
    python -m benchmarks.judge.promises power --suites 100
    python -m benchmarks.judge.promises limits --runs 1000
    python -m benchmarks.judge.promises detectable --gates 500
    python -m benchmarks.judge.promises table

Each of the first four writes docs/results/promises/<name>.json as it goes; `table` makes the page from them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.judge import compare_promise, detectable_promise, limit_promise, promises_page
from benchmarks.judge.noise import SHAPES

ROOT = Path(__file__).resolve().parents[2]

RESULTS = ROOT / "docs" / "results" / "promises"
SEED = 20261128
OLD_RULE_COMPARISONS = 200  # it fails by far more than the uncertainty of so few

Row = dict[str, Any]


def errors(arguments: argparse.Namespace) -> Iterable[Row]:
    for shape, noise in SHAPES.items():
        for number, setting in enumerate(compare_promise.SETTINGS):
            counts = compare_promise.count_errors(
                noise, setting, arguments.comparisons, SEED + number, compare_promise.present_rule
            )
            yield {"shape": shape, "setting": setting.label, **asdict(counts)}
        setting = compare_promise.SETTINGS[0]
        old = compare_promise.count_errors(
            noise,
            setting,
            min(arguments.comparisons, OLD_RULE_COMPARISONS),
            SEED,
            compare_promise.previous_rule,
        )
        yield {"shape": shape, "setting": promises_page.PREVIOUS_RULE, **asdict(old)}


def power(arguments: argparse.Namespace) -> Iterable[Row]:
    for shape, noise in SHAPES.items():
        yield {"shape": shape, **asdict(compare_promise.count_found(noise, arguments.suites, SEED))}


def limits(arguments: argparse.Namespace) -> Iterable[Row]:
    for shape in limit_promise.SHAPES:
        for rounds in limit_promise.ROUNDS:
            counts = limit_promise.count_outcomes(shape, rounds, arguments.runs, SEED)
            yield {"shape": shape, "rounds": rounds, **asdict(counts)}


def detectable(arguments: argparse.Namespace) -> Iterable[Row]:
    for name, shape in detectable_promise.SHAPES.items():
        counts = detectable_promise.count_detected(shape, arguments.gates, SEED)
        yield {"shape": name, "is_promised": shape.is_promised, **asdict(counts)}


def write_rows(name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows so far after each one, so that an interrupted run leaves what it has."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    written: list[Mapping[str, Any]] = []
    for row in rows:
        written.append(row)
        lines = ",\n".join(json.dumps(each) for each in written)
        (RESULTS / f"{name}.json").write_text(f"[\n{lines}\n]\n")
        print(row, flush=True)


COMMANDS = {"errors": errors, "power": power, "limits": limits, "detectable": detectable}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("errors").add_argument("--comparisons", type=int, default=1000)
    commands.add_parser("power").add_argument("--suites", type=int, default=100)
    commands.add_parser("limits").add_argument("--runs", type=int, default=1000)
    commands.add_parser("detectable").add_argument("--gates", type=int, default=500)
    commands.add_parser("table")
    arguments = parser.parse_args()
    if arguments.command == "table":
        page = promises_page.render(
            {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
        )
        (ROOT / "docs" / "results" / "promises.md").write_text(page)
    else:
        write_rows(
            arguments.command,
            COMMANDS[arguments.command](arguments),
        )


if __name__ == "__main__":
    main()
