from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from perfsuite.data.cache.cached_source import (
    AugmentedCache,
    DecodedCache,
    augmented_cache,
    disk_cache,
    ram_cache,
)
from perfsuite.data.cache.storage import CachedImage
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.base import ImageSource, Subset
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.remote import remote_folder
from perfsuite.data.sources.shards import read_shards, write_shards
from perfsuite.errors import DataError

CENTER = ImageConfig(size=48)
RANDOM = ImageConfig(size=48, crop="random")


def loader(source: object, split: str = "val", **options: object) -> Loader:
    parts = {"train": source, "val": source, "test": source}
    settings = {"num_workers": 0, "image_size": 48, "batch_size": 8} | options
    return getattr(make_loaders(parts, **settings), split)  # type: ignore[arg-type, no-any-return]


def test_cached_images_equal_those_without_a_cache(folder: Path, tmp_path: Path) -> None:
    source = image_folder(folder)
    plain = list(loader(source))
    for cache in (ram_cache(source, CENTER), disk_cache(source, CENTER, folder=tmp_path)):
        for _ in range(2):
            for (images, labels), (expected, expected_labels) in zip(loader(cache), plain, strict=True):
                assert torch.equal(images, expected)
                assert torch.equal(labels, expected_labels)
        assert cache.cached_count == 40


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_make_loaders_caches_each_split(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Literal["ram", "disk"]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plain = make_loaders(folder, 8, 0, image_size=48)
    cached = make_loaders(folder, 8, 0, image_size=48, cache=kind)
    for _ in range(2):
        assert all(torch.equal(a[0], b[0]) for a, b in zip(cached.val, plain.val, strict=True))
        assert sum(len(images) for images, _ in cached.train) == 32
    for split, expected in (("train", 32), ("val", 4)):
        source = getattr(cached, split).source
        assert isinstance(source, DecodedCache)
        assert source.cached_count == source.capacity == expected
    with pytest.raises(ValueError, match="cache: 'tape', expected one of ram, disk"):
        make_loaders(folder, cache="tape")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_a_split_without_images_has_an_empty_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Literal["ram", "disk"]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):  # made, then found
        loaders = make_loaders(folder, 8, 0, image_size=48, cache=kind, val_fraction=0)
        assert list(loaders.val) == []
        assert sum(len(images) for images, _ in loaders.train) == 36


@pytest.mark.parametrize("kind", ["ram", "disk"])
def test_augmented_images_of_the_cached_epochs_are_repeated(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Literal["ram", "disk"]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def by_name(loader: Loader, epoch: int) -> dict[str, torch.Tensor]:
        rows = [row for rows in loader.order.batches(epoch) for row in rows]
        loader.set_epoch(epoch)
        images = torch.cat([images for images, _ in loader])
        return {loader.source.name(int(row)): image for row, image in zip(rows, images, strict=True)}

    options = {"image_size": 48, "augmentation_mode": "moderate"}
    plain = make_loaders(folder, 8, 0, **options).train  # type: ignore[arg-type]
    finished = make_loaders(folder, 8, 2, cache=kind, cache_epochs=2, **options).train  # type: ignore[arg-type]
    expected = {epoch: by_name(plain, epoch) for epoch in (0, 1)}
    for epoch in range(4):
        images_ = by_name(finished, epoch)
        assert all(torch.equal(images_[name], image) for name, image in expected[epoch % 2].items())
        assert isinstance(finished.source, AugmentedCache)
        assert finished.source.cached_count == min(epoch + 1, 2) * 32
    assert not any(torch.equal(expected[0][name], expected[1][name]) for name in expected[0])
    assert loader_order(finished, 0) != loader_order(finished, 2)


def loader_order(loader: Loader, epoch: int) -> list[int]:
    return [int(row) for rows in loader.order.batches(epoch) for row in rows]


def test_augmented_images_of_another_config_are_an_error(folder: Path) -> None:
    cache_ = augmented_cache(image_folder(folder), ImageConfig(size=48, crop="random", mode="moderate"), 2)
    with pytest.raises(DataError, match="made with another ImageConfig"):
        list(loader(cache_, "train"))
    with pytest.raises(ValueError, match="4 without a cache"):
        make_loaders(folder, cache_epochs=4)
    with pytest.raises(ValueError, match="0 epochs, expected at least 1"):
        augmented_cache(image_folder(folder), CENTER, 0)


def test_every_image_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    cache = ram_cache(image_folder(folder), RANDOM, shorter_side=64)
    monkeypatch.setattr(
        DecodedCache, "read", lambda self, row: pytest.fail("read past the cache"), raising=True
    )
    cache_ = ImageMaker.prepare_for_cache

    def counted(self: ImageMaker, data: bytes, shorter_side: int, slot_bytes: int) -> CachedImage:
        read.append(shorter_side)
        return cache_(self, data, shorter_side, slot_bytes)

    monkeypatch.setattr(ImageMaker, "prepare_for_cache", counted)
    train = loader(cache, "train")
    for _ in range(3):
        list(train)
    assert len(read) == 40


def test_random_crops_of_a_cached_image_are_nearly_those_of_the_file(folder: Path) -> None:
    source = image_folder(folder)
    plain, cached = loader(source, "train"), loader(ram_cache(source, RANDOM, shorter_side=120), "train")
    differences = [float((a - b).abs().mean()) for (a, _), (b, _) in zip(plain, cached, strict=True)]
    # The cached image has the file's size, so the crops differ at most by rounding.
    assert max(differences) < 0.02


def test_images_beyond_the_quota_are_decoded_each_time(folder: Path) -> None:
    source = image_folder(folder)
    cache = ram_cache(source, CENTER, quota_bytes=15 * (48 * 48 * 3 + 64))
    assert 10 <= cache.capacity <= 15
    plain = list(loader(source))
    for _ in range(2):
        assert all(torch.equal(a[0], b[0]) for a, b in zip(loader(cache), plain, strict=True))
    assert cache.cached_count == cache.capacity


def test_forked_workers_share_one_cache(folder: Path) -> None:
    cache = ram_cache(image_folder(folder), CENTER)
    shared = loader(cache, num_workers=2, engine="processes", start_method="fork")
    list(shared)
    shared.close()
    assert cache.cached_count == 40


def test_a_cache_in_memory_cannot_be_pickled_and_one_on_disk_can(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a cache on disk"):
        pickle.dumps(ram_cache(image_folder(folder), CENTER))
    unpickled = pickle.loads(pickle.dumps(disk_cache(image_folder(folder), CENTER, folder=tmp_path)))  # noqa: S301
    assert unpickled.capacity == 40


def test_a_cache_on_disk_is_reused_only_for_the_same_source_and_settings(
    folder: Path, tmp_path: Path
) -> None:
    source = image_folder(folder)
    first = disk_cache(source, CENTER, folder=tmp_path)
    list(loader(first))
    assert disk_cache(source, CENTER, folder=tmp_path).cached_count == 40
    assert disk_cache(source, ImageConfig(size=40), folder=tmp_path).cached_count == 0
    assert disk_cache(source, RANDOM, folder=tmp_path).cached_count == 0


def test_a_changed_file_is_decoded_again(folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    list(loader(disk_cache(image_folder(tmp_path / "copy"), CENTER, folder=tmp_path / "cache")))
    os.utime(next((tmp_path / "copy").rglob("*.jpg")), (1, 1))
    assert disk_cache(image_folder(tmp_path / "copy"), CENTER, folder=tmp_path / "cache").cached_count == 0


def test_a_damaged_slot_on_disk_is_decoded_again(folder: Path, tmp_path: Path) -> None:
    source = image_folder(folder)
    list(loader(disk_cache(source, CENTER, folder=tmp_path)))
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[5000] ^= 0xFF
    file.write_bytes(data)
    reopened = disk_cache(source, CENTER, folder=tmp_path)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(loader(reopened), loader(source), strict=True))


def test_a_full_disk_is_an_error_before_anything_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        DataError, match=r"No space left on device, expected room for .* bytes; lower quota_bytes"
    ):
        disk_cache(image_folder(folder), CENTER, folder=tmp_path)


def test_the_cache_of_a_killed_process_is_continued(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from perfsuite.data.cache.cached_source import disk_cache\n"
        "from perfsuite.data.image_maker import ImageMaker\n"
        "from perfsuite.data.image_config import ImageConfig\n"
        "from perfsuite.data.sources.files import image_folder\n"
        "source = image_folder(sys.argv[1])\n"
        "cache = disk_cache(source, ImageConfig(size=48), folder=sys.argv[2])\n"
        "maker = ImageMaker(cache, ImageConfig(size=48))\n"
        "for row in range(40):\n"
        "    cache.get_decoded(row, maker); print(row, flush=True); time.sleep(0.01)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(tmp_path)], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in range(12):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    time.sleep(0)
    source = image_folder(folder)
    reopened = disk_cache(source, CENTER, folder=tmp_path)
    assert 12 <= reopened.cached_count < 40
    assert all(torch.equal(a[0], b[0]) for a, b in zip(loader(reopened), loader(source), strict=True))


def changed_folder(folder: Path, target: Path) -> Path:
    """The same names with other pixels: each class's images in reverse order."""
    for path in folder.glob("*/*.jpg"):
        names = sorted(path.parent.glob("*.jpg"))
        other = names[-1 - names.index(path)]
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(other.read_bytes())
    return target


@pytest.mark.parametrize("kind", ["shards", "remote"])
def test_a_changed_shard_or_remote_file_is_decoded_again(folder: Path, tmp_path: Path, kind: str) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")

    def open_source(images: Path) -> ImageSource:
        if kind == "remote":
            for path in images.glob("*/*.jpg"):
                store.pipe_file(f"/changing/{path.relative_to(images).as_posix()}", path.read_bytes())
            return remote_folder("memory://changing")
        for shard in (tmp_path / "shards").glob("*.tar"):
            shard.unlink()
        write_shards(image_folder(images), tmp_path / "shards")
        return read_shards(tmp_path / "shards")

    def first_batch(source: ImageSource) -> torch.Tensor:
        cache = disk_cache(Subset(source, np.arange(8)), CENTER, folder=tmp_path / "cache")
        return next(iter(loader(cache)))[0]

    try:
        first = first_batch(open_source(folder))
        changed = changed_folder(folder, tmp_path / "changed")
        second = first_batch(open_source(changed))
        expected = next(iter(loader(Subset(image_folder(changed), np.arange(8)))))[0]
        assert torch.equal(second, expected)
        assert not torch.equal(second, first)
    finally:
        if kind == "remote":
            store.rm("/changing", recursive=True)


def test_a_link_in_the_place_of_the_cache_is_not_followed(folder: Path, tmp_path: Path) -> None:
    source = image_folder(folder)
    disk_cache(source, CENTER, folder=tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    path.unlink()
    (tmp_path / "mine").write_text("mine")
    path.symlink_to(tmp_path / "mine")
    with pytest.raises(DataError, match=r"cache: .*\.pixels"):
        disk_cache(source, CENTER, folder=tmp_path / "cache")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_slot_with_an_impossible_shape_is_decoded_again(folder: Path, tmp_path: Path) -> None:
    source = image_folder(folder)
    cache = disk_cache(source, CENTER, folder=tmp_path)
    expected = next(iter(loader(cache)))[0].clone()
    cache._storage._shapes[0] = 65_535, 65_535
    cache._storage._shapes[1] = 48, 0
    assert torch.equal(next(iter(loader(cache)))[0], expected)
