"""The eight workloads as plain pytest-benchmark tests."""

import numpy as np
import pytest
import torch
import vision_workloads


@pytest.fixture(scope="module")
def files():
    return vision_workloads.encoded_images(8)


@pytest.fixture(scope="module")
def images(files):
    return vision_workloads.decode(files)


@pytest.fixture(scope="module")
def resized(images):
    return vision_workloads.resize(images)


def test_decode(benchmark, files):
    benchmark(vision_workloads.decode, files)


def test_resize(benchmark, images):
    benchmark(vision_workloads.resize, images)


def test_augment(benchmark, resized):
    benchmark(vision_workloads.augment, resized)


def test_normalize(benchmark, resized):
    benchmark(vision_workloads.normalize, np.stack(resized))


def test_collate(benchmark, resized):
    tensors = [torch.from_numpy(image.copy()) for image in resized]
    benchmark(vision_workloads.collate, tensors)


def test_step(benchmark):
    benchmark(vision_workloads.Step())


def test_boxes(benchmark):
    lines = [f"{n % 80} {n / 997:.4f} {n / 991:.4f} {n / 983:.4f} {n / 977:.4f}" for n in range(2000)]
    benchmark(vision_workloads.boxes, lines)


def test_pipeline(benchmark, files):
    benchmark(vision_workloads.pipeline, files)
