"""Data sets and loaders of a user: each kind opens with any number of workers, others are errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from perfsuite.advise.inputs.batches import (
    batch_bytes,
    first_images,
    images_and_labels,
    tensors_of,
)
from perfsuite.advise.inputs.loaders import close_loader, load_user_dataset, load_user_loader
from perfsuite.errors import UsageError
from perfsuite.measure.workload import count_items
from tests.advise.inputs import user_things

USER_THINGS = "tests.advise.inputs.user_things"


def labels_of(loader: Any) -> list[int]:
    return sorted(int(label) for batch in loader for label in images_and_labels(batch, "x")[1])


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Any]:
    kind, name, num_workers = request.param
    load = load_user_dataset if kind == "dataset" else load_user_loader
    loader = load(f"{USER_THINGS}:{name}", 4).open(num_workers)
    yield loader
    close_loader(loader)


EVERY = [
    ("dataset", "images", 0),
    ("dataset", "Images", 2),
    ("dataset", "stream", 0),
    *(
        ("loader", name, num_workers)
        for name in ("loader", "dict_loader", "dataclass_loader", "named_tuple_loader", "make_loader")
        for num_workers in (0, 2)
    ),
    ("loader", "stream_loader", 1),
    ("loader", "plain_batches", 0),
    ("loader", "make_plain_batches", 0),
]


@pytest.mark.parametrize("opened", EVERY, indirect=True, ids=lambda case: "-".join(map(str, case)))
def test_every_kind_gives_the_same_images(opened: Any) -> None:
    assert labels_of(opened) == sorted(row % 3 for row in range(24))
    assert [count_items(batch) for batch in opened] == [4] * 6


def test_a_rebuilt_loader_keeps_its_options_and_its_workers() -> None:
    loader = load_user_loader(f"{USER_THINGS}:dict_loader", 4).open(2, 3)
    assert isinstance(loader, DataLoader)
    assert (loader.num_workers, loader.prefetch_factor, loader.persistent_workers) == (2, 3, True)
    assert loader.collate_fn is user_things.as_dict
    assert user_things.dict_loader.num_workers == 0
    assert load_user_loader(f"{USER_THINGS}:dict_loader", 4).open(0) is user_things.dict_loader


@pytest.mark.parametrize(
    ("load", "name", "num_workers", "message"),
    [
        (load_user_loader, "number", 0, f"--loader {USER_THINGS}:number: found int, expected a DataLoader"),
        (load_user_loader, "make_iterator", 0, "expected a DataLoader, an iterable of batches that can be"),
        (load_user_loader, "plain_batches", 2, "list, which cannot be given 2 workers"),
        (load_user_loader, "make_plain_batches", 2, "function that takes num_workers"),
        (load_user_dataset, "loader", 0, "found a DataLoader, expected a Dataset; give it as --loader"),
        (load_user_dataset, "number", 0, "found int, expected a torch Dataset"),
    ],
)
def test_the_wrong_kind_is_named(load: Any, name: str, num_workers: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(f"{USER_THINGS}:{name}", 4).open(num_workers)


def test_bytes_images_and_tensors_are_found_in_any_batch() -> None:
    for loader in (user_things.loader, user_things.dict_loader, user_things.dataclass_loader):
        batch = next(iter(loader))
        assert batch_bytes(batch) == 4 * (3 * 16 * 16 * 4 + 8)
        images = first_images(batch)
        assert images is not None
        assert images.shape == (4, 3, 16, 16)
    assert first_images([torch.zeros(3)]) is None
    assert list(tensors_of(["names", 3, None])) == []


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([torch.zeros(2, 3, 4, 4)], "a batch of 1 parts, expected images and labels"),
        ({"picture": 1, "label": 2}, "dict with picture, label, expected images and labels"),
        ((torch.zeros(2, 3), torch.zeros(2)), r"images are torch.float32 of shape \(2, 3\)"),
        ((torch.zeros(2, 3, 4, 4), [{"boxes": 1}]), "labels are list, expected a tensor of one class index"),
        ((torch.zeros(2, 3, 4, 4), torch.zeros(2)), "labels are torch.float32"),
        (3, "int with no names"),
    ],
)
def test_a_batch_that_no_classifier_can_use_is_an_error(batch: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"--loader m:x: .*{message}|{message}"):
        images_and_labels(batch, "--loader m:x")
