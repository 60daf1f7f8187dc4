"""Measure whole epochs, loading included: a usual start, each optimization alone, and all combined."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.loading import epoch_call, limited_sources, pillow_loader
from perfsuite.advise.claims.training import VariantTimes, speedup_rows
from perfsuite.advise.timed_step import time_in_turns

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
    "compiled": EpochVariant("compiled"),
    "bf16": EpochVariant("bf16"),
    ALL_COMBINED: EpochVariant("combined", with_fast_loading=True),
}


def compare_epochs(
    config: ClaimsConfig, image_dir: Path, model: nn.Module, rejected: Mapping[str, str], seconds: float
) -> VariantTimes:
    """Time an epoch of each variant against the baseline's; `rejected` has presets that must not be timed."""
    from perfsuite.advise.inputs.loaders import close_loader
    from perfsuite.training.step.compile import CompileFallbackWarning
    from perfsuite.training.step.presets import parse_preset

    loaders, images = _open_loaders(config, image_dir)
    calls: dict[str, Callable[[], object]] = {}
    reasons: dict[str, str] = {}
    try:
        for name, variant in EPOCH_VARIANTS.items():
            if variant.preset in rejected:
                reasons[name] = rejected[variant.preset]
                continue
            call = epoch_call(model, loaders[variant.with_fast_loading], parse_preset(variant.preset))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", CompileFallbackWarning)
                    call()  # compile, and start the workers
            except CompileFallbackWarning as error:
                reasons[name] = str(error)
                continue
            calls[name] = call
        return VariantTimes(speedup_rows(time_in_turns(calls, images, seconds, config.device)), reasons)
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
