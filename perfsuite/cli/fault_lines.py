"""The images that could not be read, as lines at the end of a command with --on-error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from perfsuite.cli.output import print_message

if TYPE_CHECKING:
    from perfsuite.data.faults import FaultLog

MAX_LISTED = 20


def print_faults(loader: object, on_error: str) -> None:
    """Print the faults of a perfsuite Loader on standard error; with `on_error` "raise" there are none."""
    if on_error != "raise" and (faults := getattr(loader, "faults", None)) is not None:
        for line in fault_lines({"images": faults}):
            print_message(line)


def fault_lines(logs: Mapping[str, FaultLog]) -> Iterator[str]:
    """A line for each split with faults, and one for each of its first images."""
    for split, log in logs.items():
        if not log.count:
            continue
        yield f"{split}: {log.count} times an image could not be read, {len(log.reasons)} files"
        for name, reason in list(log.reasons.items())[:MAX_LISTED]:
            yield f"  {name}: {reason}"
        if len(log.reasons) > MAX_LISTED:
            yield f"  and {len(log.reasons) - MAX_LISTED} more; `perfsuite data check DIR` lists all"
