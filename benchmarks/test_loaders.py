"""Feeding pictures: how many a second come out of the loaders, ready for a model."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from perfsuite.data.loaders import PilImageFolder, make_loaders
from perfsuite.data.sets import ImageFolder


@pytest.mark.floor(images_per_second=50)
def test_slow_reference_feeds_training(perf, few_photos):
    whole = ImageFolder.read(few_photos)
    perf(DataLoader(PilImageFolder(whole, training=True), batch_size=32))


@pytest.mark.floor(images_per_second=100)
def test_fast_folder_feeds_training(perf, few_photos):
    loaders = make_loaders(few_photos, batch_size=32, num_workers=0)
    perf(loaders.train)


@pytest.mark.floor(images_per_second=100)
def test_fast_folder_feeds_validation(perf, few_photos):
    loaders = make_loaders(few_photos, batch_size=32, num_workers=0, val_fraction=0.8)
    perf(loaders.val)


def test_normalised_batches_have_mean_0_and_deviation_1(few_photos):
    loaders = make_loaders(few_photos, batch_size=128, num_workers=0)
    images, _ = next(iter(loaders.train))
    assert abs(float(images.mean())) < 0.5
    assert 0.5 < float(images.std()) < 1.5
    assert torch.isfinite(images).all()
