"""Iterate over any loader without workers, with its stages announced as far as they can be told apart."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, Subset

from perfsuite.data.loader import Loader
from perfsuite.stages import iterate_in_stage, stage

# Attributes of data sets, as torchvision names them, that are functions of one image.
DATASET_FUNCTIONS = {"loader": "read and decode", "transform": "transform", "target_transform": "targets"}


def without_workers(loader: Any) -> Iterable[Any]:
    """The batches of a loader in this thread; each is waited for in the stage `load`.

    A data set is split into its `loader` and `transform` functions, as torchvision's have them, and the rest.
    The workers of an iterable of another kind than torch's and perfsuite's loaders stay.
    """
    if isinstance(loader, Loader):
        return loader.without_workers()
    if isinstance(loader, DataLoader) and loader.batch_sampler is not None and _is_map_style(loader):
        return _DataLoaderStages(loader)
    return _Announced(_in_this_thread(loader) if isinstance(loader, DataLoader) else loader)


def _in_this_thread(loader: DataLoader[Any]) -> DataLoader[Any]:
    """A copy that starts no workers, of any subclass and with all its other options."""
    inline = copy.copy(loader)
    inline.num_workers, inline.timeout = 0, 0.0
    return inline


class _Announced:
    """Any iterable of batches: one stage for all that it does."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iterate_in_stage("load", self._batches)


class _DataLoaderStages:
    """What a torch DataLoader without workers does, in stages."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._dataset = _announce_functions(loader.dataset)

    def __iter__(self) -> Iterator[Any]:
        for rows in self._loader.batch_sampler or ():
            with stage("load"):
                with stage("dataset"):
                    samples = self._fetch(rows)
                with stage("collate"):
                    batch = self._loader.collate_fn(samples)
            yield batch

    def _fetch(self, rows: list[int]) -> list[Any]:
        fetch_all = getattr(self._dataset, "__getitems__", None)
        return list(fetch_all(rows)) if fetch_all is not None else [self._dataset[row] for row in rows]


def _is_map_style(loader: DataLoader[Any]) -> bool:
    return hasattr(loader.dataset, "__getitem__") and not isinstance(loader.dataset, IterableDataset)


def _announce_functions(dataset: Any) -> Any:
    """A copy of the data set whose functions announce stages; the set itself if it has none."""
    inner = _announce_functions(dataset.dataset) if isinstance(dataset, Subset) else None
    functions = {name: getattr(dataset, name, None) for name in DATASET_FUNCTIONS}
    if inner is None and not any(callable(function) for function in functions.values()):
        return dataset
    try:
        announced = copy.copy(dataset)
        if inner is not None:
            announced.dataset = inner
        for name, function in functions.items():
            if callable(function):
                setattr(announced, name, _in_stage(DATASET_FUNCTIONS[name], function))
    except (AttributeError, TypeError):  # frozen, or with slots: its stages cannot be told apart
        return dataset
    return announced


def _in_stage(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        with stage(name):
            return function(*arguments, **named)

    return call
