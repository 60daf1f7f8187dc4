"""Open a Dataset or a loader of the user with any number of workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from perfsuite.data.loader import Loader
from perfsuite.data.loaders import Loaders
from perfsuite.errors import UsageError
from perfsuite.user_objects import accepted_keywords, call_factory, load_user_object

DATASET, LOADER = "--dataset", "--loader"


@dataclass(frozen=True, slots=True)
class UserLoader:
    """A loader of the user's: `open` makes it with a number of workers, as an iterable of batches.

    The subject is a Dataset, a DataLoader, an iterable of batches, or a function or class that makes one.
    A function gets those of num_workers, prefetch_factor and batch_size that it accepts.
    """

    subject: Any = field(repr=False)
    who: str  # the option and the reference, for messages
    batch_size: int = 32
    is_dataset: bool = False

    def open(self, num_workers: int = 0, prefetch_factor: int = 2) -> Iterable[Any]:
        made = self._make(num_workers, prefetch_factor)
        if self.is_dataset:
            return _dataset_loader(self._check_dataset(made), num_workers, prefetch_factor, self.batch_size)
        if isinstance(made, Loaders):
            made = made.train
        if isinstance(made, DataLoader):
            return self._with_workers(made, num_workers, prefetch_factor)
        if not isinstance(made, Iterable) or isinstance(made, Iterator):
            raise UsageError(
                f"{self.who}: found {type(made).__name__}, expected a DataLoader, an iterable of batches "
                "that can be iterated again, or a function that returns one"
            )
        self._check_accepts_workers(made, num_workers)
        return made

    def _make(self, num_workers: int, prefetch_factor: int) -> Any:
        if not _is_factory(self.subject):
            return self.subject
        sizes = {"num_workers": num_workers, "batch_size": self.batch_size}
        ahead = (
            {"prefetch_factor": prefetch_factor} if num_workers else {}
        )  # torch refuses it without workers
        return call_factory(self.subject, self.who, **sizes, **ahead)

    def _check_dataset(self, made: Any) -> Any:
        if isinstance(made, DataLoader):
            raise UsageError(f"{self.who}: found a DataLoader, expected a Dataset; give it as {LOADER}")
        if isinstance(made, IterableDataset) or (hasattr(made, "__getitem__") and hasattr(made, "__len__")):
            return made
        raise UsageError(
            f"{self.who}: found {type(made).__name__}, expected a torch Dataset: an IterableDataset, or an "
            "object with __getitem__ and __len__"
        )

    def _with_workers(
        self, loader: DataLoader[Any], num_workers: int, prefetch_factor: int
    ) -> DataLoader[Any]:
        """The same loader with these workers, which outlive an epoch: a turn must not start them anew."""
        if loader.num_workers == num_workers and (loader.persistent_workers or not num_workers):
            return loader
        if type(loader) is not DataLoader:
            if loader.num_workers == num_workers:
                return loader
            raise UsageError(
                f"{self.who}: a {type(loader).__name__} with {loader.num_workers} workers, expected "
                f"{num_workers}; give a function that takes num_workers"
            )
        return _rebuild(loader, num_workers, prefetch_factor)

    def _check_accepts_workers(self, made: Any, num_workers: int) -> None:
        if not num_workers:
            return
        accepted = accepted_keywords(self.subject) if _is_factory(self.subject) else frozenset()
        if accepted is not None and "num_workers" not in accepted:
            kind = "a perfsuite Loader" if isinstance(made, Loader) else type(made).__name__
            raise UsageError(
                f"{self.who}: {kind}, which cannot be given {num_workers} workers, expected a DataLoader or "
                "a function that takes num_workers; or use --num-workers 0"
            )


def load_user_dataset(reference: str, batch_size: int) -> UserLoader:
    return UserLoader(
        load_user_object(reference, DATASET), f"{DATASET} {reference}", batch_size, is_dataset=True
    )


def load_user_loader(reference: str, batch_size: int) -> UserLoader:
    return UserLoader(load_user_object(reference, LOADER), f"{LOADER} {reference}", batch_size)


def _is_factory(subject: Any) -> bool:
    """A class, or a callable that is neither a data set nor a loader itself."""
    is_data = hasattr(subject, "__getitem__") or hasattr(subject, "__iter__")
    return isinstance(subject, type) or (callable(subject) and not is_data)


def _dataset_loader(dataset: Any, num_workers: int, prefetch_factor: int, batch_size: int) -> DataLoader[Any]:
    shuffle = None if isinstance(dataset, IterableDataset) else True
    workers = _worker_options(num_workers, prefetch_factor)
    return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, num_workers=num_workers, **workers)


def _rebuild(loader: DataLoader[Any], num_workers: int, prefetch_factor: int) -> DataLoader[Any]:
    options = _worker_options(num_workers, prefetch_factor)
    if num_workers:
        options |= {"timeout": loader.timeout, "multiprocessing_context": loader.multiprocessing_context}
    return DataLoader(
        loader.dataset,
        num_workers=num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
        generator=loader.generator,
        **_batching_options(loader),
        **options,
    )


def _batching_options(loader: DataLoader[Any]) -> dict[str, Any]:
    if isinstance(loader.dataset, IterableDataset):
        return {"batch_size": loader.batch_size, "drop_last": loader.drop_last}
    if loader.batch_size is None and loader.batch_sampler is not None:
        return {"batch_sampler": loader.batch_sampler}
    if loader.batch_size is None:
        return {"batch_size": None, "sampler": loader.sampler}
    return {"batch_size": loader.batch_size, "sampler": loader.sampler, "drop_last": loader.drop_last}


def _worker_options(num_workers: int, prefetch_factor: int) -> dict[str, Any]:
    return {"prefetch_factor": prefetch_factor, "persistent_workers": True} if num_workers else {}


def close_loader(loader: Any) -> None:
    """Stop the workers of a loader that keeps them."""
    if hasattr(loader, "close"):
        loader.close()
    elif isinstance(loader, DataLoader):
        loader._iterator = None  # torch has no public way; its iterator stops the workers when it is freed
