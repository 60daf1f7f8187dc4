from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from perfsuite.data import crop
from perfsuite.data.decoding.pillow_resize import resize_with_pillow
from perfsuite.data.engines.device import resize_on_device
from perfsuite.data.loader import Normalize
from perfsuite.data.loaders import Loaders, make_loaders

BYTES = Normalize(dtype=torch.uint8)


def loaders(folder: Path, engine: str, **options: object) -> Loaders:
    settings = {"batch_size": 8, "num_workers": 2, "image_size": 48, "normalize": BYTES} | options
    return make_loaders(folder, engine=engine, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("crop_function", [crop.center_crop, crop.stretch_to_square])
@pytest.mark.parametrize("side", [(160, 120), (97, 131), (40, 40)])
def test_crops_on_the_device_are_nearly_pillows(crop_function: object, side: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (side[1], side[0], 3), np.uint8)
    window = crop_function(*side, 48)  # type: ignore[operator]
    expected = np.empty((48, 48, 3), np.uint8)
    resize_with_pillow(pixels, window, expected)
    loaders_ = resize_on_device(torch.from_numpy(pixels).permute(2, 0, 1), window).permute(1, 2, 0).numpy()
    assert np.abs(loaders_.astype(int) - expected.astype(int)).max() <= 2


@pytest.mark.parametrize("mode", ["none", "mirror", "moderate", "aggressive"])
def test_the_device_gives_nearly_the_images_of_the_host(folder: Path, mode: str) -> None:
    host, device = (
        loaders(folder, "threads", augmentation_mode=mode),
        loaders(folder, "device", augmentation_mode=mode),
    )
    for split in ("train", "val"):
        for _ in range(2):
            pairs = zip(getattr(device, split), getattr(host, split), strict=True)
            for (images, labels), (expected, expected_labels) in pairs:
                assert torch.equal(labels, expected_labels)
                difference = (images.int() - expected.int()).abs()
                assert float(difference.float().mean()) < 1
                assert (
                    difference > 8
                ).float().mean() < 0.005  # at sharp edges, which the two resize differently


def test_targets_and_maps_are_those_of_the_host(folder: Path, tmp_path: Path) -> None:
    options = {"annotations": folder / "annotations.json", "maps": tmp_path, "augmentation_mode": "moderate"}
    pairs = zip(
        loaders(folder, "device", **options).train, loaders(folder, "threads", **options).train, strict=True
    )
    for (_, targets), (_, expected) in pairs:
        for loaders_, expected_target in zip(targets, expected, strict=True):
            assert loaders_.keys() == expected_target.keys()
            assert loaders_["row"] == expected_target["row"]
            for name in ("boxes", "labels", "keypoints"):
                assert torch.allclose(loaders_[name], expected_target[name], atol=1e-4)
            assert torch.equal(loaders_["map"], expected_target["map"])


@pytest.mark.parametrize("policy", ["skip", "substitute"])
def test_the_host_makes_what_nvjpeg_cannot_decode(tmp_path: Path, folder: Path, policy: str) -> None:
    rng = np.random.default_rng(3)
    (tmp_path / "tensor").mkdir()
    encodings: list[dict[str, Any]] = [
        {},
        {"progressive": True},
        {},
        {"mode": "L"},
        {"mode": "CMYK"},
        {},
        {},
        {},
    ]
    for number, options in enumerate(encodings):
        mode = options.pop("mode", "RGB")
        image = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8)).resize((90, 70)).convert(str(mode))
        packed = io.BytesIO()
        image.save(packed, "JPEG", **options)
        (tmp_path / "tensor" / f"{number}.jpg").write_bytes(packed.getvalue())
    (tmp_path / "tensor" / "5.jpg").write_bytes(b"")
    (tmp_path / "tensor" / "6.jpg").unlink()
    (tmp_path / "tensor" / "6.jpg").symlink_to(tmp_path / "nowhere.jpg")
    batches = []
    for engine in ("device", "threads"):
        loaders_ = loaders(tmp_path, engine, on_error=policy, val_fraction=0, test_fraction=0)
        batches.append([(images, labels) for images, labels in loaders_.train])
        assert loaders_.train.faults.count >= 2
        assert {Path(name).name for name in loaders_.train.faults.reasons} == {"5.jpg", "6.jpg"}
    for (images, labels), (expected, expected_labels) in zip(*batches, strict=True):
        assert torch.equal(labels, expected_labels)
        assert (images.int() - expected.int()).abs().float().mean() < 1


@pytest.mark.gpu
def test_nvjpeg_waits_for_earlier_reads_of_its_stream(folder: Path) -> None:
    """Tensors of a known value are freed while sums of them are still queued; none may change (Hopper)."""
    loader = loaders(folder, "device", device="cuda").train
    changed = 0
    for _ in range(20):
        for _ in loader:
            known = [torch.full((48 * 48 * 3,), 7, dtype=torch.uint8, device="cuda") for _ in range(32)]
            torch.cuda._sleep(20_000_000)  # type: ignore[no-untyped-call]
            sums = [tensor.sum(dtype=torch.int64) for tensor in known]
            del known
            changed += sum(int(tensor) != 7 * 48 * 48 * 3 for tensor in sums)
    assert changed == 0
