"""Feeding images: how many a second come out of the loaders, ready for a model."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from benchmarks.peers.datasets import PilImageFolder
from perfsuite.data.decoding.registry import available_decoders, get_decoder
from perfsuite.data.fast_image_folder import FastImageFolder
from perfsuite.data.loaders import default_num_workers, make_loaders
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.shards import read_shards, write_shards
from perfsuite.data.synthetic import dataset as made_images


@pytest.mark.floor(images_per_second=50)
def test_slow_reference_feeds_training(perf, small_image_dir):
    perf(DataLoader(PilImageFolder(image_folder(small_image_dir), training=True), batch_size=32))


@pytest.mark.floor(images_per_second=100)
def test_fast_image_folder_feeds_training(perf, small_image_dir):
    """The same work as the slow reference, except that batches are not normalized."""
    perf(DataLoader(FastImageFolder(small_image_dir, crop="random"), batch_size=32))


@pytest.mark.floor(images_per_second=100)
@pytest.mark.parametrize("mode", ["none", None, "conservative", "moderate", "aggressive"])
def test_loaders_feed_training(perf, small_image_dir, mode):
    perf(make_loaders(small_image_dir, batch_size=32, num_workers=0, augmentation_mode=mode).train)


@pytest.mark.floor(images_per_second=100)
def test_loaders_feed_validation(perf, small_image_dir):
    perf(make_loaders(small_image_dir, batch_size=32, num_workers=0, val_fraction=0.8).val)


@pytest.mark.floor(images_per_second=50)
@pytest.mark.parametrize("engine", ["threads", "processes", "subprocess"])
def test_engines_feed_training(perf, small_image_dir, engine):
    loaders = make_loaders(small_image_dir, batch_size=32, num_workers=2, engine=engine, start_method="fork")
    perf(loaders.train)
    loaders.close()


def parts_of(source):
    return dict.fromkeys(("train", "val", "test"), source)


class GilHoldingFiles(FileSource):
    """Reading keeps the lock of Python for some milliseconds, as a parser written in Python does."""

    def read(self, row):
        sum(range(200_000))
        return super().read(row)


@pytest.mark.floor(speedup=1.2)
def test_auto_takes_processes_where_reading_holds_the_lock(perf, small_image_dir):
    if default_num_workers() < 2:
        pytest.skip("one core: nothing works beside anything")
    whole = image_folder(small_image_dir)
    held = GilHoldingFiles(whole.root, whole.names, whole.labels, whole.class_names)
    threads, auto = (make_loaders(parts_of(held), 32, 2, engine=engine) for engine in ("threads", "auto"))
    perf.pair(threads=threads.train, auto=auto.train)
    assert auto.train.engine == "processes"
    threads.close()
    auto.close()


@pytest.mark.xfail(reason="known gap: 1.18 (1.01-1.30), as entropy decoding stays")
@pytest.mark.floor(speedup=1.5)
def test_large_images_are_decoded_smaller(perf):
    large = made_images.cached_dataset(images=24, classes=2, size=(2400, 1800))
    whole, reduced = (make_loaders(large, 8, 0, "none", scaled_decode=on).train for on in (False, True))
    perf.pair(whole=whole, reduced=reduced)


def test_decoders_side_by_side(perf, small_image_dir):
    """Whole images, as far as they are installed; `auto` decodes less than that, where it may."""
    files = image_folder(small_image_dir)
    images = [files.read(row) for row in range(16)]

    def decoding(decode):
        return lambda: [decode(data) for data in images]

    arms = {name: decoding(get_decoder(name)) for name in available_decoders()}
    if len(arms) < 2:
        pytest.skip("only Pillow is installed")
    perf.race(items=len(images), **arms)


def test_files_and_shards(perf, small_image_dir, tmp_path):
    """Of files that the system has in memory already: what a shard saves of a disk's way is not in it."""
    files = image_folder(small_image_dir)
    write_shards(files, tmp_path, per_shard=48)
    sources = {"files": files, "shards": read_shards(tmp_path)}
    perf.race(**{name: make_loaders(parts_of(source), 32, 0).train for name, source in sources.items()})


def test_smaller_images(perf, small_image_dir):
    """Decoding does not shrink with what is shown; resizing, drawing and normalizing do."""
    perf.race(
        **{f"at_{side}": make_loaders(small_image_dir, 32, 0, "none", side).train for side in (128, 224, 320)}
    )


def test_workers_that_live_on_and_new_ones_each_epoch(perf, small_image_dir):
    """Where an epoch is as short as here, beginning workers is much of it."""
    arms = {
        name: make_loaders(
            small_image_dir, 32, 2, engine="processes", start_method="fork", persistent_workers=lives_on
        )
        for name, lives_on in (("live_on", True), ("new_each_epoch", False))
    }
    perf.race(**{name: loaders.train for name, loaders in arms.items()})
    arms["live_on"].close()


def test_batches_ahead(perf, small_image_dir):
    """Nobody computes beside it, so what waits ahead is not needed: more memory, and seldom more speed."""
    arms = {
        f"ahead_{ahead}": make_loaders(small_image_dir, 16, 2, prefetch_factor=ahead) for ahead in (1, 2, 4)
    }
    perf.race(**{name: loaders.train for name, loaders in arms.items()})
    for loaders in arms.values():
        loaders.close()


def test_normalized_batches_have_mean_0_and_deviation_1(small_image_dir):
    images, _ = next(iter(make_loaders(small_image_dir, batch_size=128, num_workers=0).train))
    assert abs(float(images.mean())) < 0.5
    assert 0.5 < float(images.std()) < 1.5
    assert torch.isfinite(images).all()


def test_seed_42_repeats_exactly(small_image_dir):
    one, two = (make_loaders(small_image_dir, num_workers=workers, seed=42).train for workers in (0, 2))
    for (images, labels), (again, labels_again) in zip(one, two, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, labels_again)
