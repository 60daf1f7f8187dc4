"""What the history needs of each run, in a small file beside it, so that a thousand runs are read in a blink.

A summary is a convenience: it is made from the run, believed only while the run's size and time of change
are those it was made from, and made again wherever it is missing, damaged or old.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from perfsuite.errors import StoreError
from perfsuite.store.locations import Location
from perfsuite.store.schema import Run, parse

FOLDER = ".summaries"
VERSION = 1


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A stored run without its samples: when, of what, where, and how long each workload took."""

    reference: str  # the name it is stored under
    name: str
    created_at: str
    commit: str
    dirty: bool
    complete: bool
    fingerprint: str
    seconds_per_item: Mapping[str, float]


def summarize_run(run: Run, reference: str) -> RunSummary:
    return RunSummary(
        reference,
        run.name,
        run.created_at,
        run.commit,
        run.dirty,
        run.complete,
        run.fingerprint,
        run.seconds_per_item,
    )


def write(place: Location, summary: RunSummary, stamp: str) -> None:
    """Keep a summary; where that is not possible it is made anew each time, which is only slower."""
    told = json.dumps({"version": VERSION, "stamp": stamp, **asdict(summary)})
    try:
        place.replace(f"{FOLDER}/{summary.reference}.json", told.encode(), durable=False)
    except StoreError:
        return


def read_all(place: Location, stamps: Mapping[str, str]) -> dict[str, RunSummary]:
    """Those summaries that still fit their runs; `stamps` maps references to the runs' stamps."""
    found = {}
    kept = place.read_all(f"{FOLDER}/{reference}.json" for reference in stamps)
    for path, data in kept.items():
        reference = path.removeprefix(f"{FOLDER}/").removesuffix(".json")
        summary = _parse_summary(data, reference, stamps[reference])
        if summary is not None:
            found[reference] = summary
    return found


def rebuild(place: Location, reference: str, stamp: str) -> RunSummary:
    run = parse(place.read(f"{reference}.json"), f"{place.root}/{reference}.json")
    summary = summarize_run(run, reference)
    write(place, summary, stamp)
    return summary


def _parse_summary(data: bytes, reference: str, stamp: str) -> RunSummary | None:
    try:
        told = json.loads(data)
        if told.pop("version") != VERSION or told.pop("stamp") != stamp or told["reference"] != reference:
            return None
        return RunSummary(**told)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
