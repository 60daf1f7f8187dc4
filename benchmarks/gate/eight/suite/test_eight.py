"""The eight as plain pytest-benchmark tests; they know nothing of a gate."""

import eight
import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def files():
    return eight.photos(8)


@pytest.fixture(scope="module")
def images(files):
    return eight.decode(files)


@pytest.fixture(scope="module")
def pictures(images):
    return eight.resize(images)


def test_decode(benchmark, files):
    benchmark(eight.decode, files)


def test_resize(benchmark, images):
    benchmark(eight.resize, images)


def test_augment(benchmark, pictures):
    benchmark(eight.augment, pictures)


def test_normalise(benchmark, pictures):
    benchmark(eight.normalise, np.stack(pictures))


def test_collate(benchmark, pictures):
    tensors = [torch.from_numpy(picture.copy()) for picture in pictures]
    benchmark(eight.collate, tensors)


def test_step(benchmark):
    benchmark(eight.Step())


def test_boxes(benchmark):
    lines = [f"{n % 80} {n / 997:.4f} {n / 991:.4f} {n / 983:.4f} {n / 977:.4f}" for n in range(2000)]
    benchmark(eight.boxes, lines)


def test_pipeline(benchmark, files):
    benchmark(eight.pipeline, files)
