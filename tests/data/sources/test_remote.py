from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch

from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.remote import remote_folder
from perfsuite.errors import DataError


@pytest.fixture
def in_memory(folder: Path) -> Iterator[str]:
    store = fsspec.filesystem("memory")
    for path in folder.rglob("*.jpg"):
        store.pipe_file(f"/images/{path.relative_to(folder).as_posix()}", path.read_bytes())
    yield "memory://images"
    store.rm("/images", recursive=True)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_remote_folder_is_read_as_one_on_disk(folder: Path, in_memory: str, kind: str) -> None:
    there = remote_folder(in_memory if kind == "memory" else f"file://{folder}")
    here = image_folder(folder)
    assert there.class_names == here.class_names
    assert there.labels.tolist() == here.labels.tolist()
    assert all(there.read(row) == here.read(row) for row in range(40))
    assert there.name(0).endswith(here.name(0))


def test_loaders_show_the_same_from_there(folder: Path, in_memory: str) -> None:
    shown = []
    for source in (image_folder(folder), remote_folder(in_memory)):
        parts = {"train": source, "val": source, "test": source}
        shown.append(list(make_loaders(parts, 8, 2, image_size=32).train))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(*shown, strict=True))


def test_worker_processes_open_their_own_connection(folder: Path) -> None:
    source = remote_folder(f"file://{folder}")
    source.read(0)
    parts = {"train": source, "val": source, "test": source}
    loader = make_loaders(parts, 8, 2, image_size=32, engine="processes", start_method="fork").val
    assert sum(len(labels) for _, labels in loader) == 40
    loader.close()


# boto and moto hand back connections when they are collected
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_loaders_show_the_same_from_a_server_that_speaks_s3(folder: Path, bucket: str, engine: str) -> None:
    store = fsspec.filesystem("s3")
    for path in folder.rglob("*.jpg"):
        store.pipe_file(f"{bucket}/{engine}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    shown = []
    for source in (image_folder(folder), remote_folder(f"{bucket}/{engine}")):
        parts = {"train": source, "val": source, "test": source}
        loaders = make_loaders(parts, 8, 2, image_size=32, engine=engine, start_method="fork")
        shown.append([(images.clone(), labels) for images, labels in loaders.train])
        loaders.close()
    assert len(shown[0]) == len(shown[1]) == 5
    for (images, labels), (expected, expected_labels) in zip(*shown, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, expected_labels)


def test_what_vanished_is_a_fault_that_is_named(in_memory: str) -> None:
    source = remote_folder(in_memory)
    fsspec.filesystem("memory").rm("/images/class_01/000001.jpg")
    parts = {"train": source, "val": source, "test": source}
    loader = make_loaders(parts, 8, 0, image_size=32, on_error="skip").val
    assert sum(len(labels) for _, labels in loader) == 39
    assert list(loader.faults.reasons) == ["memory://images/class_01/000001.jpg"]


@pytest.mark.parametrize(
    ("address", "said"), [("memory://absent", "no images found"), ("nosuch://x", "Protocol not known")]
)
def test_addresses_without_sense_are_refused(address: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        remote_folder(address)
