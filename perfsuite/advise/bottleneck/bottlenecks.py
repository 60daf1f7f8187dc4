"""The bottlenecks that an epoch can have, the stages that belong to each, and what to set there."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import fsum


class Bottleneck(StrEnum):
    """A part of loading and training that can take the most time."""

    STORAGE = "storage"
    DECODE = "decode"
    TRANSFORM = "transform"
    LABELS = "labels"
    COLLATE = "collate"
    DATASET = "dataset"  # computation in the user's data set that cannot be told apart
    OVERHEAD = "overhead between images"
    DEVICE = "device"  # the training step


BOTTLENECK_OF_STAGE = {
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

# For perfsuite's loaders: an option to set. For the user's: what to change in it.
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
        "a lighter augmentation_mode, cache_epochs= with cache=, or augment on the device "
        "(perfsuite.transforms.augment.device)",
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
        "a profile of its __getitem__ or __iter__ (python -m cProfile), and a cache of what it computes",
    ),
    Bottleneck.OVERHEAD: ("larger batches", "larger batches"),
    Bottleneck.DEVICE: (
        "the step, not the loader: perfsuite train --fastest, --amp, --compile; fewer workers suffice",
        "the step, not the loader: mixed precision, torch.compile, channels_last; fewer workers suffice",
    ),
}
# Stages of perfsuite's loaders with another remedy than the rest of their bottleneck.
STAGE_REMEDIES = {
    "random numbers": "larger batches: they are drawn once a batch",
    "resize": "cache='ram' or 'disk', which stores images near the training size",
    "normalize": "bytes that are transferred and normalized on the device: device='cuda'",
}


def bottleneck_of(stage: str) -> Bottleneck:
    return BOTTLENECK_OF_STAGE.get(stage, Bottleneck.DATASET)


def seconds_by_bottleneck(stage_seconds: Mapping[str, float]) -> dict[Bottleneck, float]:
    """Sum the stages of each bottleneck, the largest first.

    >>> sums = seconds_by_bottleneck({"resize": 1, "decode": 5, "augment": 2})
    >>> [(str(bottleneck), seconds) for bottleneck, seconds in sums.items()]
    [('decode', 5.0), ('transform', 3.0)]
    """
    bottlenecks = {bottleneck_of(stage) for stage in stage_seconds}
    sums = {
        each: fsum(seconds for stage, seconds in stage_seconds.items() if bottleneck_of(stage) is each)
        for each in bottlenecks
    }
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def remedy(bottleneck: Bottleneck, is_user_loader: bool) -> str:
    return REMEDIES[bottleneck][is_user_loader]


def remedy_of_stage(stage: str, is_user_loader: bool) -> str:
    """What to set or change where one stage takes the most time."""
    if not is_user_loader and stage in STAGE_REMEDIES:
        return STAGE_REMEDIES[stage]
    return remedy(bottleneck_of(stage), is_user_loader)
