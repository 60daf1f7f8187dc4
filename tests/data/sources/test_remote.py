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
from tests.data.sources.test_files import NESTED


@pytest.fixture
def in_memory(folder: Path) -> Iterator[str]:
    store = fsspec.filesystem("memory")
    for path in folder.rglob("*.jpg"):
        store.pipe_file(f"/images/{path.relative_to(folder).as_posix()}", path.read_bytes())
    yield "memory://images"
    store.rm("/images", recursive=True)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_remote_folder_is_read_like_a_local_one(folder: Path, in_memory: str, kind: str) -> None:
    remote = remote_folder(in_memory if kind == "memory" else f"file://{folder}")
    local = image_folder(folder)
    assert remote.class_names == local.class_names
    assert remote.labels.tolist() == local.labels.tolist()
    assert all(remote.read(row) == local.read(row) for row in range(40))
    assert remote.name(0).endswith(local.name(0))


def test_loaders_give_the_same_batches_from_a_remote_folder(folder: Path, in_memory: str) -> None:
    batches = []
    for source in (image_folder(folder), remote_folder(in_memory)):
        parts = {"train": source, "val": source, "test": source}
        batches.append(list(make_loaders(parts, 8, 2, image_size=32).train))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(*batches, strict=True))


def test_worker_processes_open_their_own_connection(folder: Path) -> None:
    source = remote_folder(f"file://{folder}")
    source.read(0)
    parts = {"train": source, "val": source, "test": source}
    loader = make_loaders(parts, 8, 2, image_size=32, engine="processes", start_method="fork").val
    assert sum(len(labels) for _, labels in loader) == 40
    loader.close()


# boto and moto close connections only when they are garbage collected
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_loaders_give_the_same_batches_from_an_s3_server(folder: Path, bucket: str, engine: str) -> None:
    store = fsspec.filesystem("s3")
    for path in folder.rglob("*.jpg"):
        store.pipe_file(f"{bucket}/{engine}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    batches = []
    for source in (image_folder(folder), remote_folder(f"{bucket}/{engine}")):
        parts = {"train": source, "val": source, "test": source}
        loaders = make_loaders(parts, 8, 2, image_size=32, engine=engine, start_method="fork")
        batches.append([(images.clone(), labels) for images, labels in loaders.train])
        loaders.close()
    assert len(batches[0]) == len(batches[1]) == 5
    for (images, labels), (expected, expected_labels) in zip(*batches, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, expected_labels)


def test_a_file_that_was_deleted_is_a_fault(in_memory: str) -> None:
    source = remote_folder(in_memory)
    fsspec.filesystem("memory").rm("/images/class_01/000001.jpg")
    parts = {"train": source, "val": source, "test": source}
    loader = make_loaders(parts, 8, 0, image_size=32, on_error="skip").val
    assert sum(len(labels) for _, labels in loader) == 39
    assert list(loader.faults.reasons) == ["memory://images/class_01/000001.jpg"]


@pytest.mark.parametrize(
    ("address", "message"), [("memory://absent", "no images found"), ("nosuch://x", "Protocol not known")]
)
def test_invalid_addresses_are_an_error(address: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        remote_folder(address)


HIDDEN = ("cat/.hidden.jpg", ".hidden/a.jpg", "cat/.sub/a.jpg", "a.jpg", "cat/a.txt")


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_nested_files_are_read_and_hidden_ones_ignored_as_in_a_local_folder(
    tmp_path: Path, kind: str
) -> None:
    store = fsspec.filesystem("memory")
    for name in (*NESTED, *HIDDEN):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        store.pipe_file(f"/nested/{name}", b"x")
    remote, local = (
        remote_folder("memory://nested" if kind == "memory" else tmp_path.as_uri()),
        image_folder(tmp_path),
    )
    assert [remote.names[row] for row in range(len(remote))] == [local.name(row) for row in range(len(local))]
    assert remote.labels.tolist() == local.labels.tolist()
    assert remote.class_names == local.class_names == ("ant", "cat", "dog")
    assert len(remote) == len(NESTED) - 1  # without notes.txt


def test_a_class_folder_without_images_is_refused_as_in_a_local_folder(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b_empty", "c"):
        (tmp_path / name).mkdir()
    for name in ("a", "c"):
        image = next(folder.rglob("*.jpg")).read_bytes()
        (tmp_path / name / "1.jpg").write_bytes(image)
    for open_folder in (image_folder, lambda path: remote_folder(f"file://{path}")):
        with pytest.raises(DataError, match=r"no image in 1 of 3 class folders \(b_empty\)"):
            open_folder(tmp_path)


def test_no_password_is_in_an_error_or_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class RefusingStore:
        def find(self, root: str, detail: bool) -> None:
            raise RuntimeError(f"cannot open https://ann:secret@host/{root}?sig=secret")

    module = "perfsuite.data.sources.remote"
    monkeypatch.setattr(f"{module}._open_filesystem", lambda *_: (RefusingStore(), "images"))
    with pytest.raises(DataError) as raised:
        remote_folder("https://ann:secret@host/images")
    assert "secret" not in str(raised.value)
    assert "https://ann:***@host/images: RuntimeError" in str(raised.value)
