"""Summaries of runs for the history, in small files beside the runs, so that a thousand runs load quickly.

A summary is a cache. It is valid while its run's size and modification time are unchanged, and it is rebuilt
wherever it is missing, damaged or old.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from perfsuite.errors import StoreError
from perfsuite.store import fields
from perfsuite.store.locations import Location
from perfsuite.store.run import Run
from perfsuite.store.schema import parse

FOLDER = ".summaries"
VERSION = 2


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A stored run without its samples: date, commit, environment, and the time of each workload."""

    reference: str  # its stored name
    name: str
    created_at: str
    commit: str
    dirty: bool
    complete: bool
    fingerprint: str
    seconds_per_item: Mapping[str, float]
    series: str = ""


def summarize_run(run: Run, reference: str) -> RunSummary:
    return RunSummary(
        reference=reference,
        name=run.name,
        created_at=run.created_at,
        commit=run.commit,
        dirty=run.dirty,
        complete=run.complete,
        fingerprint=run.fingerprint,
        seconds_per_item=run.seconds_per_item,
        series=run.series,
    )


def write(location: Location, summary: RunSummary, stamp: str) -> None:
    """Write a summary. A location that cannot be written only makes later reading slower."""
    document = json.dumps({"version": VERSION, "stamp": stamp, **asdict(summary)})
    try:
        location.replace(f"{FOLDER}/{summary.reference}.json", document.encode(), durable=False)
    except StoreError:
        return


def read_all(location: Location, stamps: Mapping[str, str]) -> dict[str, RunSummary]:
    """The valid summaries; `stamps` maps references to the stamps of their runs."""
    valid = {}
    contents = location.read_all(f"{FOLDER}/{reference}.json" for reference in stamps)
    for path, data in contents.items():
        reference = path.removeprefix(f"{FOLDER}/").removesuffix(".json")
        summary = _parse_summary(data, reference, stamps[reference])
        if summary is not None:
            valid[reference] = summary
    return valid


def rebuild(location: Location, reference: str, stamp: str) -> RunSummary:
    run = parse(location.read(f"{reference}.json"), f"{location.root}/{reference}.json")
    summary = summarize_run(run, reference)
    write(location, summary, stamp)
    return summary


def _parse_summary(data: bytes, reference: str, stamp: str) -> RunSummary | None:
    try:
        values = json.loads(data)
        if values["version"] != VERSION or values["stamp"] != stamp:
            return None
        if values["reference"] != reference:
            return None
        times = fields.mapping(values["seconds_per_item"], "seconds_per_item")
        return RunSummary(
            reference=reference,
            name=fields.string(values, "name"),
            created_at=fields.string(values, "created_at"),
            commit=fields.string(values, "commit"),
            dirty=fields.boolean(values, "dirty"),
            complete=fields.boolean(values, "complete"),
            fingerprint=fields.string(values, "fingerprint"),
            seconds_per_item={name: fields.number(times[name], name) for name in times},
            series=fields.string(values, "series"),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
