"""Count what training steps do and compare with what is expected of this version of torch.

  perfsuite counters              show what differs; exit 1 where anything does
  perfsuite counters --update     show it, and write it down as expected

Operators, casts, layout copies, waits for the device, FLOPs, bytes kept, graph breaks, generated kernels,
all-reduces: exact, the same on any machine with this torch, no GPU needed. A difference is no noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("benchmarks/expected"),
        help="where expected values are kept (benchmarks/expected)",
    )
    parser.add_argument("--update", action="store_true", help="write what was counted as expected")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.step_counters import count_all_cases, diff_counters, expected_file, read_expected
    from perfsuite.errors import ExitCode

    path = expected_file(arguments.folder)
    if not path.exists() and not arguments.update:
        print(f"{path}: nothing is expected of this torch yet; write it with --update", file=sys.stderr)
        return ExitCode.NOT_COMPARED
    expected = read_expected(path) if path.exists() else {}
    found = count_all_cases()
    differing = diff_counters(expected, found)
    for line in differing:
        print(line)
    if arguments.update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        print(f"{path}: written, {len(differing)} changes")
        return 0
    print(f"{len(found)} cases, {len(differing)} counters differ from {path}")
    return 1 if differing else 0
