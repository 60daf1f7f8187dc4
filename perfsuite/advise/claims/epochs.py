"""Measure whole epochs, loading included: a usual start, each optimization alone, and all combined."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.loading import epoch_call, limited_sources, pillow_loader
from perfsuite.advise.claims.variants import Call, VariantTimes, prepare_calls, speedup_rows, time_within
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.advise.timed_step import refuse_compile_fallback
from perfsuite.errors import PerfsuiteError

if TYPE_CHECKING:
    from torch import nn

MAX_EPOCH_IMAGES = 128  # short epochs take many turns
NUM_WORKERS = 2
ALL_COMBINED = "all combined"


@dataclass(frozen=True, slots=True)
class EpochVariant:
    """The preset of the step, and whether perfsuite's loader with workers takes the place of Pillow's."""

    preset: str = "eager"
    with_fast_loading: bool = False


EPOCH_VARIANTS = {
    "baseline": EpochVariant(),
    "loading": EpochVariant(with_fast_loading=True),
    "bf16": EpochVariant("bf16"),
    "compiled": EpochVariant("compiled"),
    ALL_COMBINED: EpochVariant("combined", with_fast_loading=True),
}


def compare_epochs(
    config: ClaimsConfig, image_dir: Path, model: nn.Module, verified: Collection[str], limit: TimeLimit
) -> VariantTimes:
    """Time an epoch of each variant against the baseline's; presets outside `verified` are rejected."""
    from perfsuite.advise.inputs.loaders import close_loader
    from perfsuite.training.step.presets import parse_preset

    loaders, images = _open_loaders(config, image_dir)

    def make(variant: EpochVariant) -> Call:
        if variant.preset not in verified:
            raise PerfsuiteError(f"{variant.preset}: its step was not compared with eager's; not timed")
        call = epoch_call(model, loaders[variant.with_fast_loading], parse_preset(variant.preset))
        with refuse_compile_fallback():
            call()  # compile, and start the workers
        return call

    try:
        prepared = prepare_calls(
            {name: partial(make, variant) for name, variant in EPOCH_VARIANTS.items()}, limit
        )
        turns = time_within(limit, prepared.calls, images, config.device)
        return VariantTimes(speedup_rows(turns), prepared.rejected)
    finally:
        for loader in loaders.values():
            close_loader(loader)


def _open_loaders(config: ClaimsConfig, image_dir: Path) -> tuple[dict[bool, Any], int]:
    """Pillow's and perfsuite's loader of the same images, and how many they are; all batches are full.

    A batch of another size would be compiled anew.
    """
    from perfsuite.data.loaders import make_loaders

    sources = limited_sources(image_dir, MAX_EPOCH_IMAGES)
    images = len(sources["train"])
    drop_last = images >= config.batch_size
    fast = make_loaders(
        sources, config.batch_size, NUM_WORKERS, image_size=config.image_size, drop_last=drop_last
    )
    slow = pillow_loader(image_dir, config, MAX_EPOCH_IMAGES, drop_last)
    full = images // config.batch_size * config.batch_size if drop_last else images
    return {True: fast.train, False: slow}, full
