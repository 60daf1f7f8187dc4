"""Feeding pictures: how many a second come out of the loaders, ready for a model."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from perfsuite.data import photos as made_photos
from perfsuite.data.decode import DECODERS, available
from perfsuite.data.folders import PilImageFolder
from perfsuite.data.loaders import default_workers, make_loaders
from perfsuite.data.sets import Files, image_folder
from perfsuite.data.shards import read_shards, write_shards


@pytest.mark.floor(images_per_second=50)
def test_slow_reference_feeds_training(perf, few_photos):
    perf(DataLoader(PilImageFolder(image_folder(few_photos), training=True), batch_size=32))


@pytest.mark.floor(images_per_second=100)
@pytest.mark.parametrize("mode", ["none", None, "conservative", "moderate", "aggressive"])
def test_loaders_feed_training(perf, few_photos, mode):
    perf(make_loaders(few_photos, batch_size=32, num_workers=0, augmentation_mode=mode).train)


@pytest.mark.floor(images_per_second=100)
def test_loaders_feed_validation(perf, few_photos):
    perf(make_loaders(few_photos, batch_size=32, num_workers=0, val_fraction=0.8).val)


@pytest.mark.floor(images_per_second=50)
@pytest.mark.parametrize("engine", ["threads", "processes", "subprocess"])
def test_engines_feed_training(perf, few_photos, engine):
    loaders = make_loaders(few_photos, batch_size=32, num_workers=2, engine=engine, start_method="fork")
    perf(loaders.train)
    loaders.close()


def parts_of(source):
    return dict.fromkeys(("train", "val", "test"), source)


class Holding(Files):
    """Reading keeps the lock of Python for some milliseconds, as a parser written in Python does."""

    def read(self, row):
        sum(range(200_000))
        return super().read(row)


@pytest.mark.floor(speedup=1.2)
def test_auto_takes_processes_where_reading_holds_the_lock(perf, few_photos):
    if default_workers() < 2:
        pytest.skip("one core: nothing works beside anything")
    whole = image_folder(few_photos)
    held = Holding(whole.root, whole.names, whole.labels, whole.class_names)
    threads, auto = (make_loaders(parts_of(held), 32, 2, engine=engine) for engine in ("threads", "auto"))
    perf.pair(threads=threads.train, auto=auto.train)
    assert auto.train.engine == "processes"
    threads.close()
    auto.close()


@pytest.mark.xfail(reason="known gap: 1.18 (1.01-1.30), as entropy decoding stays")
@pytest.mark.floor(speedup=1.5)
def test_large_pictures_are_decoded_smaller(perf):
    large = made_photos.cached(images=24, classes=2, size=(2400, 1800))
    whole, reduced = (make_loaders(large, 8, 0, "none", reduce=reduce).train for reduce in (False, True))
    perf.pair(whole=whole, reduced=reduced)


def test_decoders_side_by_side(perf, few_photos):
    """Whole pictures, as far as they are installed; `auto` decodes less than that, where it may."""
    files = image_folder(few_photos)
    pictures = [files.read(row) for row in range(16)]

    def decoding(decode):
        return lambda: [decode(data) for data in pictures]

    arms = {name: decoding(DECODERS[name]) for name in available()}
    if len(arms) < 2:
        pytest.skip("only Pillow is installed")
    perf.race(items=len(pictures), **arms)


def test_files_and_shards(perf, few_photos, tmp_path):
    """Of files that the system has in memory already: what a shard saves of a disk's way is not in it."""
    files = image_folder(few_photos)
    write_shards(files, tmp_path, per_shard=48)
    sources = {"files": files, "shards": read_shards(tmp_path)}
    perf.race(**{name: make_loaders(parts_of(source), 32, 0).train for name, source in sources.items()})


def test_smaller_pictures(perf, few_photos):
    """Decoding does not shrink with what is shown; resizing, drawing and normalising do."""
    perf.race(
        **{f"at_{side}": make_loaders(few_photos, 32, 0, "none", side).train for side in (128, 224, 320)}
    )


def test_workers_that_live_on_and_new_ones_each_epoch(perf, few_photos):
    """Where an epoch is as short as here, beginning workers is much of it."""
    arms = {
        name: make_loaders(
            few_photos, 32, 2, engine="processes", start_method="fork", persistent_workers=lives_on
        )
        for name, lives_on in (("live_on", True), ("new_each_epoch", False))
    }
    perf.race(**{name: loaders.train for name, loaders in arms.items()})
    arms["live_on"].close()


def test_batches_ahead(perf, few_photos):
    """Nobody computes beside it, so what waits ahead is not needed: more memory, and seldom more speed."""
    arms = {f"ahead_{ahead}": make_loaders(few_photos, 16, 2, prefetch_factor=ahead) for ahead in (1, 2, 4)}
    perf.race(**{name: loaders.train for name, loaders in arms.items()})
    for loaders in arms.values():
        loaders.close()


def test_normalised_batches_have_mean_0_and_deviation_1(few_photos):
    images, _ = next(iter(make_loaders(few_photos, batch_size=128, num_workers=0).train))
    assert abs(float(images.mean())) < 0.5
    assert 0.5 < float(images.std()) < 1.5
    assert torch.isfinite(images).all()


def test_seed_42_repeats_exactly(few_photos):
    one, two = (make_loaders(few_photos, num_workers=workers, seed=42).train for workers in (0, 2))
    for (images, labels), (again, labels_again) in zip(one, two, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, labels_again)
