"""Count the operations of training steps, and compare them with what is expected of this version of PyTorch.

  perfsuite counters             # print what differs; exit 1 where anything does
  perfsuite counters --update    # print it, and save the new counts as expected

Operators, casts, layout copies, host syncs, FLOPs, saved bytes, graph breaks, generated kernels and
all-reduces are exact: the same on any machine with this PyTorch, no GPU needed. A difference is never noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from perfsuite.errors import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--expected-dir",
        type=Path,
        default=Path("benchmarks/expected"),
        metavar="DIR",
        help="folder of the expected counts (benchmarks/expected)",
    )
    parser.add_argument("--update", action="store_true", help="save the counts as expected")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.step_counters import count_all_cases, diff_counters, expected_file, read_expected

    path = expected_file(arguments.expected_dir)
    if not path.exists() and not arguments.update:
        print(f"{path}: no counts of this PyTorch, expected some; save them with --update", file=sys.stderr)
        return ExitCode.NOT_COMPARED
    expected = read_expected(path) if path.exists() else {}
    counted = count_all_cases()
    differences = diff_counters(expected, counted)
    for line in differences:
        print(line)
    if arguments.update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(counted, indent=1, sort_keys=True) + "\n")
        print(f"{path}: written, {len(differences)} changes")
        return ExitCode.KEPT
    outcome = "broken" if differences else "kept"
    print(f"{outcome}: {len(counted)} cases, {len(differences)} counters differ from {path}")
    return ExitCode.REGRESSED if differences else ExitCode.KEPT
