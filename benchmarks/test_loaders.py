"""Loaders: images per second, decoded, augmented and normalized."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from benchmarks.peers.pillow_ import PilImageFolder
from perfsuite.data import FastImageFolder
from perfsuite.data.decoding.registry import available_decoders, get_decoder
from perfsuite.data.loaders import default_num_workers, make_loaders
from perfsuite.data.sources.base import ImageSource
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.shards import read_shards, write_shards
from perfsuite.data.synthetic import dataset
from perfsuite.pytest_plugin.fixture import Perf


@pytest.mark.floor(images_per_second=50)
def test_pillow_reference_throughput(perf: Perf, small_image_dir: Path) -> None:
    perf(DataLoader(PilImageFolder(image_folder(small_image_dir), training=True), batch_size=32))


@pytest.mark.floor(images_per_second=100)
def test_fast_image_folder_throughput(perf: Perf, small_image_dir: Path) -> None:
    """The work of the Pillow reference, except that batches are not normalized."""
    perf(DataLoader(FastImageFolder(small_image_dir, crop="random"), batch_size=32))


@pytest.mark.floor(images_per_second=100)
@pytest.mark.parametrize("mode", ["none", "mirror", "conservative", "moderate", "aggressive"])
def test_training_throughput_by_mode(perf: Perf, small_image_dir: Path, mode: str) -> None:
    perf(make_loaders(small_image_dir, batch_size=32, num_workers=0, augmentation_mode=mode).train)


@pytest.mark.floor(images_per_second=100)
def test_validation_throughput(perf: Perf, small_image_dir: Path) -> None:
    perf(make_loaders(small_image_dir, batch_size=32, num_workers=0, val_fraction=0.8).val)


@pytest.mark.floor(images_per_second=50)
@pytest.mark.parametrize("engine", ["threads", "processes", "subprocess"])
def test_training_throughput_by_engine(perf: Perf, small_image_dir: Path, engine: str) -> None:
    loaders = make_loaders(small_image_dir, batch_size=32, num_workers=2, engine=engine, start_method="fork")
    perf(loaders.train)
    loaders.close()


def all_splits(source: ImageSource) -> dict[str, ImageSource]:
    return dict.fromkeys(("train", "val", "test"), source)


class GilHoldingFiles(FileSource):
    """Reading holds the GIL ten times as long as decoding takes, as a parser written in Python does."""

    def read(self, row: int) -> bytes:
        sum(range(1_000_000))
        return super().read(row)


@pytest.mark.floor(speedup=1.05)  # two hardware threads of one core give little more
def test_auto_engine_uses_processes_where_reading_holds_the_gil(perf: Perf, small_image_dir: Path) -> None:
    if default_num_workers() < 2:
        pytest.skip("needs two cores")
    files = image_folder(small_image_dir)
    slow = GilHoldingFiles(files.root, files.names, files.labels, files.class_names)
    threads, auto = (make_loaders(all_splits(slow), 32, 2, engine=engine) for engine in ("threads", "auto"))
    perf.pair(threads=threads.train, auto=auto.train)
    assert auto.train.engine == "processes"
    threads.close()
    auto.close()


@pytest.mark.floor(speedup=0.8)
@pytest.mark.aim(speedup=1.5)  # 1.01 to 1.30: entropy decoding is not reduced
def test_reduced_decoding_of_large_images(perf: Perf) -> None:
    """libjpeg decodes at 1/2, 1/4 or 1/8 of the size."""
    large = dataset.cached_dataset(images=24, classes=2, size=(2400, 1800))
    full, reduced = (make_loaders(large, 8, 0, "none", scaled_decode=on).train for on in (False, True))
    perf.pair(full=full, reduced=reduced)


def test_installed_decoders(perf: Perf, small_image_dir: Path) -> None:
    """Whole images by every installed decoder; `auto` decodes only the region that it needs, where it can."""
    files = image_folder(small_image_dir)
    images = [files.read(row) for row in range(16)]

    def decode_all(decode: Callable[[bytes], object]) -> Callable[[], object]:
        return lambda: [decode(data) for data in images]

    calls: dict[str, Any] = {name: decode_all(get_decoder(name)) for name in available_decoders()}
    if len(calls) < 2:
        pytest.skip("only Pillow is installed")
    perf.race(items=len(images), **calls)


def test_files_and_shards(perf: Perf, small_image_dir: Path, tmp_path: Path) -> None:
    """The page cache holds the files, so what shards save on a disk or network is not measured."""
    files = image_folder(small_image_dir)
    write_shards(files, tmp_path, per_shard=48)
    sources: dict[str, Any] = {"files": files, "shards": read_shards(tmp_path)}
    loader_of: dict[str, Any] = {
        name: make_loaders(all_splits(source), 32, 0).train for name, source in sources.items()
    }
    perf.race(**loader_of)


def test_output_sizes(perf: Perf, small_image_dir: Path) -> None:
    """Decoding takes the same time at every output size; resizing, augmenting and normalizing do not."""
    loader_of: dict[str, Any] = {
        f"at_{side}": make_loaders(small_image_dir, 32, 0, "none", side).train for side in (128, 224, 320)
    }
    perf.race(**loader_of)


def test_persistent_workers(perf: Perf, small_image_dir: Path) -> None:
    """In an epoch as short as this one, starting workers takes much of the time."""
    variants = {
        name: make_loaders(
            small_image_dir, 32, 2, engine="processes", start_method="fork", persistent_workers=persistent
        )
        for name, persistent in (("persistent", True), ("new_each_epoch", False))
    }
    loader_of: dict[str, Any] = {name: loaders.train for name, loaders in variants.items()}
    perf.race(**loader_of)
    variants["persistent"].close()


def test_prefetch_factor(perf: Perf, small_image_dir: Path) -> None:
    """Nothing computes meanwhile, so prefetched batches take memory and rarely save time.

    One engine for all: `auto` chooses by speed, and not always the same.
    """
    variants = {
        f"prefetch_{factor}": make_loaders(
            small_image_dir, 16, 2, engine="processes", start_method="fork", prefetch_factor=factor
        )
        for factor in (1, 2, 4)
    }
    loader_of: dict[str, Any] = {name: loaders.train for name, loaders in variants.items()}
    perf.race(**loader_of)
    for loaders in variants.values():
        loaders.close()


def test_normalized_batches_have_mean_0_and_deviation_1(small_image_dir: Path) -> None:
    images, _ = next(iter(make_loaders(small_image_dir, batch_size=128, num_workers=0).train))
    assert abs(float(images.mean())) < 0.5
    assert 0.5 < float(images.std()) < 1.5
    assert torch.isfinite(images).all()


def test_seed_42_repeats_exactly(small_image_dir: Path) -> None:
    one, two = (make_loaders(small_image_dir, num_workers=workers, seed=42).train for workers in (0, 2))
    for (images, labels), (again, labels_again) in zip(one, two, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, labels_again)
