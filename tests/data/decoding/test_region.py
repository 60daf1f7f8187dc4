from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from perfsuite.data.crop import UNIFORMS_PER_CROP, CropWindow, center_crop, random_resized_crop, scale_eighths
from perfsuite.data.decoding.region import RegionDecoder, is_available
from perfsuite.data.synthetic import dataset

pytestmark = pytest.mark.skipif(not is_available(), reason="no numba or no libjpeg-turbo that can crop")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Image.Image:
    folder = dataset.make_dataset(tmp_path_factory.mktemp("p") / "p", images=1, classes=1, size=(500, 375))
    with Image.open(next(folder.rglob("*.jpg"))) as image:
        return image.convert("RGB")


def jpeg(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 92, **options})
    return out.getvalue()


SIZE = (500, 375)


def crop_with_pillow(data: bytes, window: CropWindow) -> np.ndarray:
    left, top, width, height = window.box
    with Image.open(io.BytesIO(data)) as image:
        box = image.convert("RGB").crop((left, top, left + width, top + height))
    full = box.resize(window.resized_size, Image.Resampling.BILINEAR)
    x, y = window.offset
    part = full.crop((x, y, x + window.size[0], y + window.size[1]))
    if window.mirror:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(part).astype(int)


def crop_with_region_decoder(data: bytes, window: CropWindow, sides: tuple[int, int]) -> np.ndarray:
    out = np.zeros((window.size[1], window.size[0], 3), np.uint8)
    assert RegionDecoder().decode(data, window, sides, out)
    return out.astype(int)


ENCODINGS = [
    {"subsampling": "4:2:0"},
    {"subsampling": "4:2:2"},
    {"subsampling": "4:4:4"},
    {"progressive": True},
    {"quality": 30},
    {"restart_marker_rows": 1},
    {"mode": "L"},
]


@pytest.mark.parametrize("options", ENCODINGS, ids=str)
def test_crops_are_pillows_to_one_level(photo: Image.Image, options: dict[str, object]) -> None:
    options = dict(options)
    data = jpeg(photo.convert(str(options.pop("mode", "RGB"))), **options)
    rng = np.random.default_rng(11)
    windows = [center_crop(500, 375, 224), center_crop(500, 375, 96)]
    windows += [random_resized_crop(500, 375, 224, row) for row in rng.random((25, UNIFORMS_PER_CROP))]
    for window in windows:
        difference = np.abs(crop_with_region_decoder(data, window, SIZE) - crop_with_pillow(data, window))
        assert difference.max() <= 1, window
        assert difference.mean() < 0.4, window


@pytest.mark.parametrize("mirror", [False, True])
def test_a_crop_that_is_not_resized_has_the_exact_pixels(photo: Image.Image, mirror: bool) -> None:
    """Nothing is resampled, so every place where cropped decoding begins and ends must be bit-exact."""
    rng = np.random.default_rng(12)
    for subsampling in ("4:2:0", "4:2:2", "4:4:4"):
        data = jpeg(photo, subsampling=subsampling)
        for _ in range(60):
            width, height = int(rng.integers(1, 480)), int(rng.integers(1, 370))
            left, top = int(rng.integers(0, 501 - width)), int(rng.integers(0, 376 - height))
            box = (left, top, width, height)
            window = CropWindow(box, (width, height), (0, 0), (width, height), mirror)
            np.testing.assert_array_equal(
                crop_with_region_decoder(data, window, SIZE), crop_with_pillow(data, window)
            )


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (17, 5), (63, 65), (40, 900), (2000, 31)])
def test_small_and_long_images(photo: Image.Image, size: tuple[int, int]) -> None:
    data = jpeg(photo.resize(size))
    for window in (center_crop(*size, 32), random_resized_crop(*size, 32, [0.3] * UNIFORMS_PER_CROP)):
        difference = np.abs(crop_with_region_decoder(data, window, size) - crop_with_pillow(data, window))
        assert difference.max() <= 1


def test_damage_is_reported_and_the_decoder_stays_usable(photo: Image.Image) -> None:
    undamaged = jpeg(photo)
    reader = RegionDecoder()
    window = center_crop(500, 375, 64)
    expected, out = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    assert reader.decode(undamaged, window, SIZE, expected)
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(undamaged)
        for at in rng.integers(2, len(damaged), 3):
            damaged[at] = rng.integers(0, 256)
        refused += not reader.decode(bytes(damaged), window, SIZE, out)
        refused += not reader.decode(undamaged[: int(rng.integers(0, len(undamaged)))], window, SIZE, out)
    assert refused > 250
    assert reader.decode(undamaged, window, SIZE, out)
    np.testing.assert_array_equal(out, expected)


def test_a_file_of_another_size_is_refused(photo: Image.Image) -> None:
    out = np.zeros((64, 64, 3), np.uint8)
    assert not RegionDecoder().decode(jpeg(photo), center_crop(900, 900, 64), (900, 900), out)


def test_an_image_without_tables_does_not_use_those_of_the_one_before(photo: Image.Image) -> None:
    undamaged = jpeg(photo)
    tables = undamaged.index(b"\xff\xdb")
    length = int.from_bytes(undamaged[tables + 2 : tables + 4])
    without = undamaged[:tables] + undamaged[tables + 2 + length :]
    reader, window = RegionDecoder(), center_crop(500, 375, 64)
    out = np.zeros((64, 64, 3), np.uint8)
    assert reader.decode(undamaged, window, SIZE, out)
    assert not reader.decode(without, window, SIZE, out)


@pytest.mark.parametrize("eighths", [1, 2, 4])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_a_image_decoded_smaller_is_libjpeg_s_own(photo: Image.Image, eighths: int, subsampling: str) -> None:
    """Windows on whole pixels of the smaller image, not resampled: bit-exact, cropped or not."""
    data = jpeg(photo, subsampling=subsampling)
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (500 * eighths // 8, 375 * eighths // 8))
        smaller = np.asarray(image.convert("RGB")).astype(int)
    assert smaller.shape[:2] == (-(-375 * eighths // 8), -(-500 * eighths // 8))
    per = 8 // eighths
    rng = np.random.default_rng(5)
    for _ in range(40):
        width, height = int(rng.integers(1, 500 // per)), int(rng.integers(1, 375 // per))
        left, top = (
            int(rng.integers(0, 500 // per - width + 1)),
            int(rng.integers(0, 375 // per - height + 1)),
        )
        box = (left * per, top * per, width * per, height * per)
        out = np.zeros((height, width, 3), np.uint8)
        window = CropWindow(box, (width, height), (0, 0), (width, height))
        assert RegionDecoder().decode(data, window, SIZE, out, eighths)
        np.testing.assert_array_equal(out, smaller[top : top + height, left : left + width])


def test_scaled_decoding_gives_nearly_the_same_crops(photo: Image.Image) -> None:
    large = photo.resize((2000, 1500), Image.Resampling.BICUBIC)
    data = jpeg(large)
    rng = np.random.default_rng(11)
    windows = [center_crop(2000, 1500, 224), center_crop(2000, 1500, 64)]
    windows += [random_resized_crop(2000, 1500, 96, row) for row in rng.random((25, UNIFORMS_PER_CROP))]
    used = set()
    for window in windows:
        eighths = scale_eighths(window)
        used.add(eighths)
        out = np.zeros((window.size[1], window.size[0], 3), np.uint8)
        assert RegionDecoder().decode(data, window, (2000, 1500), out, eighths)
        difference = np.abs(out.astype(int) - crop_with_pillow(data, window))
        assert difference.mean() < 1
        # A box that was moved by one pixel of the smaller image would differ more than the right one.
        wrong = replace(window, box=(window.box[0] + 8 // eighths * 4, *window.box[1:]))
        if eighths < 8 and wrong.box[0] + wrong.box[2] <= 2000:
            assert np.abs(out.astype(int) - crop_with_pillow(data, wrong)).mean() > 2 * difference.mean()
    assert used >= {1, 2, 4}
