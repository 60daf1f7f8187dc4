"""Seconds of each stage of loading an image, on one core, also for the user's loader."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any

from perfsuite.advise.bottleneck.call_places import profile_calls
from perfsuite.advise.profile.loading import profile_loading
from perfsuite.advise.profile.stage_loaders import without_workers

LUMPS = ("dataset", "load", "read and decode")  # stages that hide several kinds of work
MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class CallShares:
    """What a profile of the calls attributes to each stage, as shares of the time, and waiting."""

    by_stage: Mapping[str | None, float]  # None: time that no name explains
    waiting: float = 0.0  # of the thread: neither computing nor, as far as it can be told, reading


def measure_stages(loader: Iterable[Any], seconds: float, is_user_loader: bool) -> dict[str, float]:
    """Seconds per image by stage; lumps of a user's data set are split by the calls in them."""
    profile = profile_loading(loader, seconds)
    stages = {stage.name: 1 / stage.images_per_second for stage in profile.stages}
    if not is_user_loader or not any(lump in stages for lump in LUMPS):
        return stages
    return split_lumps(stages, _call_shares(loader, seconds / 2))


def split_lumps(stages: Mapping[str, float], shares: CallShares) -> dict[str, float]:
    """Divide the stages that hide several kinds of work by the shares of the calls.

    >>> shares = CallShares({"read": 0.1, "decode": 0.6, "transform": 0.2, None: 0.1})
    >>> split = split_lumps({"dataset": 9.0, "collate": 1.0}, shares)
    >>> {name: round(value, 6) for name, value in split.items()}
    {'collate': 1.0, 'read': 1.0, 'decode': 6.0, 'transform': 2.0}
    """
    total = fsum(stages.values())
    rest = fsum(value for name, value in stages.items() if name in LUMPS)
    split = {name: value for name, value in stages.items() if name not in LUMPS}
    for name in ("read", "decode", "transform", "collate"):
        found = max(0.0, shares.by_stage.get(name, 0.0) * total - split.get(name, 0.0))
        part = min(rest, found)
        if part > 0:
            split[name] = split.get(name, 0.0) + part
            rest -= part
    if rest > MOSTLY * total and shares.waiting > MOSTLY:  # it waits, and no name says what for
        waited = min(rest, max(0.0, shares.waiting * total - split.get("read", 0.0)))
        split["read"] = split.get("read", 0.0) + waited
        rest -= waited
    if rest > 1e-9 * total:
        name = "read and decode" if "read and decode" in stages else "dataset"
        split[name] = rest
    return split


def _call_shares(loader: Iterable[Any], seconds: float) -> CallShares:
    """Profile the calls of this thread while it loads, over whole batches."""
    inline = without_workers(loader)
    begin, cpu_begin = time.perf_counter(), time.thread_time()
    with profile_calls() as profile:
        while time.perf_counter() - begin < seconds:
            count = 0
            for _ in inline:
                count += 1
                if time.perf_counter() - begin >= seconds:
                    break
            if not count:
                break
    wall, cpu = time.perf_counter() - begin, time.thread_time() - cpu_begin
    total = fsum(profile.seconds.values()) or 1.0
    return CallShares(
        {stage: value / total for stage, value in profile.seconds.items()}, max(0.0, 1 - cpu / wall)
    )
