"""Which inputs normalizing refuses, and the fallback where the fastest implementation is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from perfsuite.errors import UsageError
from perfsuite.transforms import normalize
from perfsuite.transforms.normalization import registry
from perfsuite.transforms.normalization.implementations import torch_
from perfsuite.transforms.normalization.implementations.base import NormalizeFunction, NormalizeImplementation
from perfsuite.transforms.normalization.registry import IMPLEMENTATIONS, select_implementation

BAD_STATISTICS = [
    ({"std": (0.2, 0.0, 0.2)}, "channel 1 has std 0.0, expected above 0"),
    ({"std": (0.2, -0.1, 0.2)}, "expected above 0"),
    ({"std": (0.2, float("nan"), 0.2)}, "expected finite"),
    ({"mean": (float("inf"), 0.5, 0.5)}, "expected finite"),
    ({"mean": (0.5, 0.5)}, "2 means and 3 deviations"),
    ({"mean": (), "std": ()}, "0 means"),
    ({"mean": (123.7, 116.3, 103.5)}, "are the statistics in 0..255"),
    ({"std": (58.4, 57.1, 57.4)}, "are the statistics in 0..255"),
    ({"mean": (0.5,), "std": (0.2,)}, "has 3 channels, expected 1"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD_STATISTICS)
def test_bad_statistics_are_refused_before_anything_is_written(wrong: dict[str, Any], message: str) -> None:
    out = torch.full((1, 3, 2, 2), 7.0)
    with pytest.raises(ValueError, match=message):
        normalize(
            torch.zeros(1, 3, 2, 2, dtype=torch.uint8),
            **({"mean": (0.5,) * 3, "std": (0.2,) * 3} | wrong),
            out=out,
        )
    assert (out == 7).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.bool])
def test_images_that_are_not_bytes_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=r"expected torch\.uint8"):
        normalize(torch.zeros(1, 3, 2, 2, dtype=dtype), mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (torch.zeros(3, dtype=torch.uint8), {}, "1 dimensions"),
        (torch.zeros(1, 4, 4, 3, dtype=torch.uint8), {}, "give layout='NHWC'"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), {"layout": "CHWN"}, "expected 'NCHW' or 'NHWC'"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), {"out": torch.zeros(1, 3, 4, 5)}, "out is"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(
    images: torch.Tensor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        normalize(images, mean=(0.5,) * 3, std=(0.5,) * 3, **options)


def test_an_integer_output_is_refused() -> None:
    with pytest.raises(TypeError, match=r"expected one of torch\.float32"):
        normalize(
            torch.zeros(1, 3, 2, 2, dtype=torch.uint8), mean=(0.5,) * 3, std=(0.5,) * 3, dtype=torch.int32
        )


def test_without_numba_torch_normalizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        IMPLEMENTATIONS, "numba", replace(IMPLEMENTATIONS["numba"], requires="no_such_module")
    )
    registry._fastest_for_device.cache_clear()
    try:
        assert select_implementation(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)) is torch_.write
    finally:
        registry._fastest_for_device.cache_clear()


def test_a_broken_numba_is_reported_and_torch_normalizes(monkeypatch: pytest.MonkeyPatch) -> None:

    def load() -> NormalizeFunction:
        raise ImportError("its library does not load")

    broken = NormalizeImplementation(load=load, requires="torch")
    monkeypatch.setitem(IMPLEMENTATIONS, "numba", broken)
    registry._fastest_for_device.cache_clear()
    registry._load_implementation.cache_clear()
    try:
        with pytest.warns(UserWarning, match="numba is installed but broken"):
            assert select_implementation(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)) is torch_.write
    finally:
        registry._fastest_for_device.cache_clear()
        registry._load_implementation.cache_clear()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fastest", "expected one of albumentations, compiled, numba"),
        ("triton", "triton on cpu, expected one of cuda"),
    ],
)
def test_an_unknown_or_unsuitable_implementation_is_refused(name: str, message: str) -> None:
    if not IMPLEMENTATIONS.get(name, IMPLEMENTATIONS["torch"]).is_available:
        pytest.skip(f"{name} is not installed")
    with pytest.raises(UsageError, match=message):
        select_implementation(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), name)


@pytest.mark.parametrize("images", [np.zeros((3, 4, 4), np.uint8), Image.new("RGB", (4, 4)), [1]])
def test_what_is_no_tensor_is_refused_with_the_way_to_make_one(images: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a tensor of bytes; torch\.from_numpy"):
        normalize(images, mean=(0.5,) * 3, std=(0.2,) * 3)
