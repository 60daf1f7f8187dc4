"""Open the loader of one setting: perfsuite's, of a source of images, or the user's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from math import ceil
from typing import Any, Protocol

import numpy as np
import torch

from perfsuite.advise.inputs.loaders import UserLoader, close_loader
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.loader_setting import DATA_LOADER, LoaderSetting
from perfsuite.data.engines.auto import preferred_start_method
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.base import ImageSource, Subset, spaced_rows
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError, NothingMeasuredError, PerfsuiteError
from perfsuite.measure.workload import count_items

AUTO, PROCESSES = "auto", "processes"


@dataclass(frozen=True, slots=True)
class TurnLoader:
    """A loader in one setting: the batches of one turn, for an epoch that is the same in every setting."""

    batches: Callable[[int], Iterable[Any]]
    engine: Callable[[], str]
    close: Callable[[], None]
    images_per_epoch: Callable[[], int | None]  # of a whole epoch; None where the loader has no length


class SettingLoaders(Protocol):
    """Opens loaders for a sweep."""

    @property
    def modes(self) -> tuple[str, ...]:
        """Augmentation modes; the first decides the choice."""

    @property
    def has_fixed_order(self) -> bool:
        """Whether equal epochs must give equal batches in every setting."""

    def engines(self) -> tuple[str, ...]:
        """The engines to compare, each for all rows of the table."""

    def open(self, setting: LoaderSetting, mode: str, batches: int) -> TurnLoader:
        """A loader whose turn has the images of so many batches of the sweep's batch size."""


@dataclass(frozen=True)
class ImageLoaders:
    """perfsuite's loaders for a source of images; a turn is an epoch of evenly spaced images."""

    source: ImageSource
    config: SweepConfig
    has_fixed_order: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        if not len(self.source):
            raise NothingMeasuredError("sweep: the source has no images")

    @property
    def modes(self) -> tuple[str, ...]:
        return self.config.modes

    def engines(self) -> tuple[str, ...]:
        """`auto` is resolved once, with the most workers: rows of one table must differ in one thing only."""
        named = [self._resolve_auto() if name == AUTO else name for name in self.config.engines]
        return tuple(dict.fromkeys(named))

    def open(self, setting: LoaderSetting, mode: str, batches: int) -> TurnLoader:
        rows = self._rows(batches * self.config.batch_size)
        options = dict(self.config.loader_options)
        if setting.decoder is not None:
            options["decoder"] = setting.decoder
        if setting.engine == PROCESSES:  # as `auto` starts them
            options["start_method"] = preferred_start_method(options.get("start_method"))
        with warnings.catch_warnings():
            # More processes than cores: whether they pay off is the question.
            warnings.filterwarnings("ignore", "This DataLoader will create")
            loaders = make_loaders(
                dict.fromkeys(SPLITS, Subset(self.source, rows)),
                setting.batch_size or self.config.batch_size,
                setting.num_workers,
                mode,
                engine=setting.engine,
                prefetch_factor=setting.prefetch_factor,
                **options,
            )

        def batches_of(epoch: int) -> Iterable[Any]:
            loaders.train.set_epoch(epoch)
            return loaders.train

        return TurnLoader(batches_of, lambda: loaders.train.engine, loaders.close, lambda: len(self.source))

    def _rows(self, images: int) -> Any:
        """Evenly spaced rows of the source, repeated from the first where it has fewer."""
        return np.resize(np.asarray(spaced_rows(len(self.source), images)), images)

    def _resolve_auto(self) -> str:
        most = max(self.config.num_workers)
        if not most:
            return AUTO
        loader = self.open(LoaderSetting(most, self.config.prefetch_factors[0], AUTO), self.modes[0], 2)
        try:
            next(iter(loader.batches(0)))
            return loader.engine()
        finally:
            loader.close()


@dataclass(frozen=True)
class UserSettingLoaders:
    """The user's loader; a turn is the first batches of an epoch."""

    loader: UserLoader
    modes: tuple[str, ...] = field(default=("as given",), init=False)
    has_fixed_order: bool = field(default=False, init=False)

    def engines(self) -> tuple[str, ...]:
        return (DATA_LOADER,)

    def open(self, setting: LoaderSetting, mode: str, batches: int) -> TurnLoader:
        del mode  # augmentation is the user's
        given_size = self.loader.batch_size
        user_loader = replace(self.loader, batch_size=setting.batch_size or given_size)
        loader = user_loader.open(setting.num_workers, setting.prefetch_factor)
        turn_batches = ceil(batches * given_size / user_loader.batch_size)

        def batches_of(epoch: int) -> Iterable[Any]:
            torch.manual_seed(epoch)  # samplers of every setting draw the same order
            if hasattr(loader, "set_epoch"):
                loader.set_epoch(epoch)
            return self._with_named_errors(islice(loader, turn_batches))

        return TurnLoader(
            batches_of, lambda: DATA_LOADER, lambda: close_loader(loader), lambda: count_images(loader)
        )

    def _with_named_errors(self, batches: Iterable[Any]) -> Iterator[Any]:
        try:
            yield from batches
        except PerfsuiteError:
            raise
        except Exception as error:
            raise DataError(
                f"{self.loader.who}: {type(error).__name__}: {error}; expected batches; iterate over it in a "
                "script to see where it fails"
            ) from error


def count_images(loader: Iterable[Any]) -> int | None:
    """Images of one epoch as the loader states them; None where it does not."""
    samples = getattr(loader, "samples", None)
    if isinstance(samples, int):
        return samples
    for name in ("sampler", "dataset"):
        sized = getattr(loader, name, None)
        try:
            return len(sized)  # type: ignore[arg-type]
        except TypeError:
            continue  # torch gives data sets without a length a sampler without one
    return sum(map(count_items, loader)) if isinstance(loader, list | tuple) else None


def resolved(setting: LoaderSetting, loader: TurnLoader) -> LoaderSetting:
    """The setting with the engine that the loader really uses."""
    return replace(setting, engine=loader.engine())
