"""A cache of normalized images: the same floats as without it, in four times the memory of bytes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from perfsuite.data.cache.normalized import NormalizedCacheEngine
from perfsuite.data.engines.inline import InlineEngine
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.loader import Normalize
from perfsuite.data.loaders import Loaders, make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.data.synthetic import dataset
from perfsuite.errors import DataError

CENTER = ImageConfig(size=48)


def loaders(folder: Path, workers: int = 0, **options: Any) -> Loaders:
    fixed: dict[str, Any] = {"augmentation_mode": "none", "image_size": 48, "start_method": "fork"}
    return make_loaders(folder, 8, workers, **fixed | options)


@pytest.mark.parametrize(
    ("engine", "workers"), [("auto", 0), ("threads", 2), ("processes", 2), ("subprocess", 2)]
)
def test_images_equal_bit_for_bit_those_that_are_normalized_after_the_cache(
    folder: Path, engine: str, workers: int
) -> None:
    after = loaders(folder, workers, engine=engine, cache="ram")
    once = loaders(folder, workers, engine=engine, cache="ram", cache_normalized=True)
    for epoch in range(3):
        for split in ("train", "val"):
            pairs = list(zip(getattr(once, split), getattr(after, split), strict=True))
            assert len(pairs) == {"train": 4, "val": 1}[split]
            for (images, labels), (expected, expected_labels) in pairs:
                assert images.stride() == expected.stride(), f"epoch {epoch}"
                assert torch.equal(images, expected)
                assert torch.equal(labels, expected_labels)
    after.close()
    once.close()


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_every_type_and_layout_is_kept(
    folder: Path, dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    normalize = Normalize(dtype=dtype, memory_format=memory_format)
    after = loaders(folder, normalize=normalize).train
    once = loaders(folder, normalize=normalize, cache="ram", cache_normalized=True).train
    for _ in range(2):
        for (images, _), (expected, _) in zip(once, after, strict=True):
            assert (images.dtype, images.stride()) == (dtype, expected.stride())
            assert torch.equal(images, expected)


def test_an_image_is_made_once_and_a_batch_may_be_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    fill = ImageMaker.fill

    def counting_fill(self: ImageMaker, epoch: int, rows: Any, view: Any) -> Any:
        made.extend(rows.tolist())
        return fill(self, epoch, rows, view)

    monkeypatch.setattr(ImageMaker, "fill", counting_fill)
    train = loaders(folder, cache="ram", cache_normalized=True).train
    next(iter(train))  # an epoch that is left early
    assert len(made) == 8
    for _ in range(2):
        for images, _ in train:
            assert float(images.abs().max()) > 0
            images.zero_()
    assert sorted(made) == list(range(32))
    list(loaders(folder, cache_normalized=False).train)
    assert len(made) == 64, "the negative control: without the cache every image is made again"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": None}, "cache=None, cache_epochs=0, expected cache='ram' alone"),
        ({"cache": "disk"}, "cache='disk', cache_epochs=0, expected cache='ram' alone"),
        ({"cache_epochs": 2}, "cache_epochs=2, expected cache='ram' alone"),
        (
            {"augmentation_mode": "moderate"},
            "'moderate' works on bytes .*, expected augmentation_mode='none'",
        ),
        ({"augmentation_mode": "mirror"}, "'mirror' works on bytes"),
        ({"val_crop": "random"}, "val_crop='random', expected 'center' or 'stretch'"),
        ({"on_error": "skip"}, "on_error='skip', expected 'raise'"),
    ],
)
def test_what_cannot_be_cached_as_floats_is_refused(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"cache_normalized: .*{message}"):
        loaders(folder, **{"cache": "ram", "cache_normalized": True, **options})


def test_annotations_and_a_device_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="annotations or maps, expected neither"):
        loaders(folder, cache="ram", cache_normalized=True, annotations=folder / "annotations.json")
    with pytest.raises(ValueError, match="device='meta', expected 'cpu'"):
        loaders(folder, cache="ram", cache_normalized=True, device="meta")


def test_images_that_do_not_fit_are_refused_and_name_the_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Memory:
        available = 2 * 4 * 40 * 48 * 48 * 3

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory)
    source = image_folder(folder)
    engine = InlineEngine(source, CENTER)
    NormalizedCacheEngine(engine, source, CENTER, Normalize())
    Memory.available -= 2
    with pytest.raises(DataError, match="1,105,920 bytes for 40 images, expected at most half of the free"):
        NormalizedCacheEngine(engine, source, CENTER, Normalize())


def test_another_process_gets_the_settings_and_not_the_images(tmp_path: Path) -> None:
    folder = dataset.make_dataset(tmp_path / "images", images=8, classes=2, size=(80, 60))
    train = loaders(folder, cache="ram", cache_normalized=True).train
    expected = [images for images, _ in train]
    sent = pickle.dumps(train)
    assert len(sent) < expected[0].nbytes
    copy = pickle.loads(sent)  # noqa: S301 - made one line above
    copy.set_epoch(0)
    assert all(torch.equal(images, again) for (images, _), again in zip(copy, expected, strict=True))
