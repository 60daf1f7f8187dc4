"""`make fuzz SECONDS=600`: fuzz for so long; exit code 1 with the command that repeats each finding."""

from __future__ import annotations

import argparse
import faulthandler
import os
import secrets
import sys
import traceback
from pathlib import Path

from tests.fuzz.driver import HANG_SECONDS, TARGETS, FuzzFinding, fuzz, repeat


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--target", choices=sorted(TARGETS))
    parser.add_argument("--case", type=int, help="repeat this case only")
    arguments = parser.parse_args()
    if arguments.case is not None and arguments.target is None:
        parser.error("--case: no target, expected --target beside it")
    home = Path.cwd()
    # Where compiled code hangs, no Python signal handler runs: end with a stack.
    faulthandler.dump_traceback_later(arguments.seconds + 4 * HANG_SECONDS, exit=True)
    chosen = [TARGETS[name] for name in ([arguments.target] if arguments.target else sorted(TARGETS))]
    try:
        if arguments.case is not None:
            finding = repeat(chosen[0], arguments.seed, arguments.case)
            findings = [finding] if finding else []
        else:
            available = [target for target in chosen if target.is_available]
            cases, findings = fuzz(available, arguments.seed, arguments.seconds)
            print(f"seed {arguments.seed}: " + ", ".join(f"{name} {n}" for name, n in cases.items()))
            for target in set(chosen) - set(available):
                print(f"{target.name}: left out, {target.needs} is not installed")
    finally:
        os.chdir(home)
    for finding in findings:
        show(finding)
    return 1 if findings else 0


def show(finding: FuzzFinding) -> None:
    traceback.print_exception(finding.error)
    print(f"{finding.target}: case {finding.case} failed; repeat it with: {finding.command}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
