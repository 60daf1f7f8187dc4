"""The possible bottlenecks of an epoch, which stages belong to each, and what to set there."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import fsum


class Bottleneck(StrEnum):
    """Where the time of an epoch is spent."""

    STORAGE = "storage"
    DECODE = "decode"
    TRANSFORM = "transform"
    LABELS = "labels"
    COLLATE = "collate"
    DATASET = "dataset"  # computation in a data set of the user's own that cannot be told apart
    OVERHEAD = "overhead between images"
    DEVICE = "device"  # the training step


PLACES_OF_STAGES = {
    "read": Bottleneck.STORAGE,
    "decode": Bottleneck.DECODE,
    "read and decode": Bottleneck.DECODE,
    "resize": Bottleneck.TRANSFORM,
    "random numbers": Bottleneck.TRANSFORM,
    "augment": Bottleneck.TRANSFORM,
    "normalize": Bottleneck.TRANSFORM,
    "transform": Bottleneck.TRANSFORM,
    "targets": Bottleneck.LABELS,
    "map": Bottleneck.LABELS,
    "collate": Bottleneck.COLLATE,
    "rest": Bottleneck.OVERHEAD,
}

# For perfsuite's loaders: an option to set. For the user's own: what to change in it.
REMEDIES = {
    Bottleneck.STORAGE: (
        "cache='ram' or 'disk', or pack the files: perfsuite data shards",
        "more workers than cores, a copy on a local disk, or perfsuite data shards",
    ),
    Bottleneck.DECODE: (
        "cache='ram' or 'disk' (decode once); scaled_decode=True for images much larger than their crop",
        "perfsuite.data.FastImageFolder or make_loaders, which decode only the crop; or cache decoded images",
    ),
    Bottleneck.TRANSFORM: (
        "a lighter augmentation_mode, cache_epochs= with cache=, or augment on the device",
        "a cheaper transform (perfsuite profile transforms --pipeline module:name), or on the device",
    ),
    Bottleneck.LABELS: (
        "stored maps (perfsuite data maps), and fewer polygon corners",
        "labels that are computed once and stored",
    ),
    Bottleneck.COLLATE: (
        "larger batches",
        "a collate_fn that copies each image once, such as torch's default, or __getitems__",
    ),
    Bottleneck.DATASET: (
        "a source whose read() returns stored bytes",
        "a profile of __getitem__ (python -m cProfile), and a cache of what it computes",
    ),
    Bottleneck.OVERHEAD: ("larger batches", "larger batches"),
    Bottleneck.DEVICE: (
        "the step, not the loader: perfsuite train --fastest, --amp, --compile; fewer workers suffice",
        "the step, not the loader: mixed precision, torch.compile, channels_last; fewer workers suffice",
    ),
}


def place_of(stage: str) -> Bottleneck:
    return PLACES_OF_STAGES.get(stage, Bottleneck.DATASET)


def seconds_by_place(stage_seconds: Mapping[str, float]) -> dict[Bottleneck, float]:
    """Sum the stages of each place, the largest first.

    >>> sums = seconds_by_place({"resize": 1, "decode": 5, "augment": 2})
    >>> [(str(place), seconds) for place, seconds in sums.items()]
    [('decode', 5.0), ('transform', 3.0)]
    """
    places = {place_of(stage) for stage in stage_seconds}
    sums = {
        place: fsum(seconds for stage, seconds in stage_seconds.items() if place_of(stage) is place)
        for place in places
    }
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def remedy(place: Bottleneck, is_own_loader: bool) -> str:
    return REMEDIES[place][is_own_loader]
