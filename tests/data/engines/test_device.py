from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from perfsuite.data import crop
from perfsuite.data.decoding.pillow_resize import resize_with_pillow as show_on_the_host
from perfsuite.data.engines.device import resize_on_device
from perfsuite.data.loader import Normalize
from perfsuite.data.loaders import Loaders, make_loaders

BYTES = Normalize(dtype=torch.uint8)


def loaders(folder: Path, engine: str, **options: object) -> Loaders:
    settings = {"batch_size": 8, "num_workers": 2, "image_size": 48, "normalize": BYTES} | options
    return make_loaders(folder, engine=engine, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("law", [crop.center_crop, crop.stretch_to_square])
@pytest.mark.parametrize("side", [(160, 120), (97, 131), (40, 40)])
def test_a_window_shows_what_pillow_shows(law: object, side: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (side[1], side[0], 3), np.uint8)
    window = law(*side, 48)  # type: ignore[operator]
    expected = np.empty((48, 48, 3), np.uint8)
    show_on_the_host(pixels, window, expected)
    found = resize_on_device(torch.from_numpy(pixels).permute(2, 0, 1), window).permute(1, 2, 0).numpy()
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 2


@pytest.mark.parametrize("mode", ["none", None, "moderate", "aggressive"])
def test_the_device_shows_what_the_host_shows(folder: Path, mode: str | None) -> None:
    here, there = (
        loaders(folder, "threads", augmentation_mode=mode),
        loaders(folder, "device", augmentation_mode=mode),
    )
    for part in ("train", "val"):
        for _ in range(2):
            pairs = zip(getattr(there, part), getattr(here, part), strict=True)
            for (images, labels), (expected, expected_labels) in pairs:
                assert torch.equal(labels, expected_labels)
                difference = (images.int() - expected.int()).abs()
                assert float(difference.float().mean()) < 1
                assert (difference > 8).float().mean() < 0.005  # at sharp edges, sampled in two ways


def test_targets_and_maps_follow_there_too(folder: Path, tmp_path: Path) -> None:
    options = {"annotations": folder / "annotations.json", "maps": tmp_path, "augmentation_mode": "moderate"}
    pairs = zip(
        loaders(folder, "device", **options).train, loaders(folder, "threads", **options).train, strict=True
    )
    for (_, targets), (_, expected) in pairs:
        for found, wanted in zip(targets, expected, strict=True):
            assert found.keys() == wanted.keys()
            assert found["row"] == wanted["row"]
            for name in ("boxes", "labels", "keypoints"):
                assert torch.allclose(found[name], wanted[name], atol=1e-4)
            assert torch.equal(found["map"], wanted["map"])


@pytest.mark.parametrize("policy", ["skip", "substitute"])
def test_what_nvjpeg_cannot_read_is_made_on_the_host(tmp_path: Path, folder: Path, policy: str) -> None:
    chance = np.random.default_rng(3)
    (tmp_path / "one").mkdir()
    for number, options in enumerate(
        [{}, {"progressive": True}, {}, {"mode": "L"}, {"mode": "CMYK"}, {}, {}, {}]
    ):
        mode = options.pop("mode", "RGB")
        image = (
            Image.fromarray(chance.integers(0, 256, (7, 9, 3), np.uint8)).resize((90, 70)).convert(str(mode))
        )
        packed = io.BytesIO()
        image.save(packed, "JPEG", **options)  # type: ignore[arg-type]
        (tmp_path / "one" / f"{number}.jpg").write_bytes(packed.getvalue())
    (tmp_path / "one" / "5.jpg").write_bytes(b"")
    (tmp_path / "one" / "6.jpg").unlink()
    (tmp_path / "one" / "6.jpg").symlink_to(tmp_path / "nowhere.jpg")
    seen = []
    for engine in ("device", "threads"):
        found = loaders(tmp_path, engine, on_error=policy, val_fraction=0, test_fraction=0)
        seen.append([(images, labels) for images, labels in found.train])
        assert found.train.faults.count >= 2
        assert {Path(name).name for name in found.train.faults.reasons} == {"5.jpg", "6.jpg"}
    for (images, labels), (expected, expected_labels) in zip(*seen, strict=True):
        assert torch.equal(labels, expected_labels)
        assert (images.int() - expected.int()).abs().float().mean() < 1


@pytest.mark.gpu
def test_nvjpeg_waits_for_what_its_stream_has_still_to_read(folder: Path) -> None:
    """Tensors of a known value are freed while sums of them are still queued; none may change (Hopper)."""
    loader = loaders(folder, "device", device="cuda").train
    wrong = 0
    for _ in range(20):
        for _ in loader:
            known = [torch.full((48 * 48 * 3,), 7, dtype=torch.uint8, device="cuda") for _ in range(32)]
            torch.cuda._sleep(20_000_000)
            sums = [one.sum(dtype=torch.int64) for one in known]
            del known
            wrong += sum(int(one) != 7 * 48 * 48 * 3 for one in sums)
    assert wrong == 0
