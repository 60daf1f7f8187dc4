"""Pillow alone decides which damaged files are accepted, whatever the crop, epoch, engine and decoder."""

from __future__ import annotations

import ctypes
import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from perfsuite.data.crop import CropWindow
from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.decoding.jpeg_markers import ends_after_one_scan
from perfsuite.data.decoding.nvjpeg import suits_nvjpeg
from perfsuite.data.decoding.region import RegionDecoder, is_available
from perfsuite.data.decoding.registry import available_decoders, get_decoder
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError
from tests.data.images import block_image, encode

MUTATED_FILES = 400
needs_region = pytest.mark.skipif(not is_available(), reason="no numba or no libjpeg-turbo that can crop")


def decode_with_pil(data: bytes) -> NDArray[np.uint8] | None:
    """The reference: PIL itself; None if it refuses the file."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return np.asarray(image.convert("RGB"))
    except Exception:  # PIL raises many types for damaged files
        return None


@cache
def undamaged_files() -> tuple[bytes, ...]:
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 12, (144, 192, 3))
    pixels = np.asarray(block_image(size=(144, 192)), float) + noise
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return (
        encode(image, "JPEG", quality=85),
        encode(image, "JPEG", quality=85, progressive=True),
        encode(image, "JPEG", quality=85, restart_marker_rows=1),
        encode(image, "JPEG", quality=85, icc_profile=b"x" * 300, comment=b"a comment"),
        encode(image, "JPEG", quality=85, optimize=True, subsampling="4:4:4"),
        encode(image.convert("L"), "JPEG", quality=85),
    )


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file: bytes replaced, a marker planted, a part removed, or its header changed."""
    mutated = bytearray(data)
    kind = int(rng.integers(4))
    if kind == 0:
        for at in rng.integers(2, len(data), rng.integers(1, 4)):
            mutated[at] = rng.integers(256)
    elif kind == 1:
        at = int(rng.integers(2, len(data) - 2))
        mutated[at : at + 2] = 0xFF, int(rng.integers(256))
    elif kind == 2:
        at = int(rng.integers(2, len(data) - 2))
        del mutated[at : min(len(data) - 2, at + int(rng.integers(1, 400)))]
    else:
        for at in rng.integers(2, 800, rng.integers(1, 3)):
            mutated[at] = rng.integers(256)
    return bytes(mutated)


def mutated_files(count: int = MUTATED_FILES, seed: int = 12) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    files = undamaged_files()
    for number in range(count):
        yield mutate(files[number % len(files)], rng)


def windows(width: int, height: int) -> list[CropWindow]:
    """Exact windows at the top, in the middle, and of everything."""
    boxes = [
        (0, 0, width, max(1, height // 4)),
        (width // 4, height // 4, max(1, width // 2), max(1, height // 3)),
        (0, 0, width, height),
    ]
    return [CropWindow(box, box[2:], (0, 0), box[2:]) for box in boxes]


def decode_region(decoder: RegionDecoder, data: bytes, window: CropWindow) -> NDArray[np.uint8] | None:
    header = read_jpeg_header(data)
    assert header is not None
    out = np.zeros((window.size[1], window.size[0], 3), np.uint8)
    is_decoded = decoder.decode(data, window, (header.width, header.height), out)
    return out if is_decoded else None


@needs_region
def test_the_region_decoder_accepts_no_file_that_pillow_refuses_and_gives_its_pixels() -> None:
    decoder = RegionDecoder()
    outcomes = {"accepted": 0, "refused by both": 0}
    for data in mutated_files():
        header = read_jpeg_header(data)
        if header is None or not header.is_plain or header.width * header.height > 1 << 20:
            continue
        expected = decode_with_pil(data)
        for window in windows(header.width, header.height):
            pixels = decode_region(decoder, data, window)
            if pixels is not None:
                left, top, width, height = window.box
                assert expected is not None, "accepted, and Pillow refuses it"
                np.testing.assert_array_equal(pixels, expected[top : top + height, left : left + width])
                outcomes["accepted"] += 1
            elif expected is None:
                outcomes["refused by both"] += 1
    assert min(outcomes.values()) > 100, outcomes


def plant_segment(segment: bytes) -> bytes:
    """A file with a segment in the lowest tenth of its scan, far below a crop of the upper quarter."""
    data = undamaged_files()[0]
    at = len(data) * 9 // 10
    return data[:at] + segment + data[at:]


FATAL_SEGMENTS = {
    "second start of image": "ffd8",
    "second frame": "ffc0 0011 08 0090 00c0 03 01 22 00 02 11 01 03 11 01",
    "bogus scan header": "ffda 0000",
    "bogus Huffman table": "ffc4 0005 00 ffff",
    "arithmetic coding": "ffc9 0000",
}


@needs_region
@pytest.mark.parametrize("segment", FATAL_SEGMENTS.values(), ids=FATAL_SEGMENTS.keys())
def test_a_fatal_marker_below_the_crop_refuses_the_file(segment: str) -> None:
    data = plant_segment(bytes.fromhex(segment))
    assert decode_with_pil(data) is None
    for window in windows(192, 144):
        assert decode_region(RegionDecoder(), data, window) is None


@pytest.mark.parametrize("segment", FATAL_SEGMENTS.values(), ids=FATAL_SEGMENTS.keys())
def test_a_fatal_marker_keeps_a_file_from_nvjpeg(segment: str) -> None:
    assert suits_nvjpeg(undamaged_files()[0])
    assert not suits_nvjpeg(plant_segment(bytes.fromhex(segment)))


@needs_region
def test_an_undamaged_file_and_restart_markers_are_still_decoded_by_region() -> None:
    for data in undamaged_files():
        for window in windows(192, 144):
            assert decode_region(RegionDecoder(), data, window) is not None


@pytest.mark.parametrize("name", available_decoders())
def test_every_decoder_accepts_what_pillow_accepts(name: str) -> None:
    decode = get_decoder(name)
    for data in mutated_files(200, seed=5):
        header = read_jpeg_header(data)
        if header is not None and header.width * header.height > 1 << 20:
            continue
        expected = decode_with_pil(data)
        try:
            pixels = decode(data)
        except DataError:
            assert expected is None
            continue
        assert expected is not None
        assert np.abs(pixels.astype(int) - expected).max() <= 1


def faults_of(source: Any, engine: str, workers: int, **options: Any) -> list[set[str]]:
    """The names of the refused files in each of two epochs."""
    sources = dict.fromkeys(SPLITS, source)
    loader = make_loaders(
        sources,
        8,
        workers,
        image_size=32,
        engine=engine,
        on_error="substitute",
        start_method="fork",
        **options,
    ).train
    refused = []
    try:
        for _ in range(2):
            before = loader.faults.count
            assert sum(len(labels) for _, labels in loader) == len(source)
            refused.append(set(loader.faults.reasons))
            assert loader.faults.count - before == len(refused[0])
    finally:
        loader.close()
    return refused


def test_the_same_files_are_refused_whatever_the_crop_epoch_engine_and_decoder(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    for number, data in enumerate(mutated_files(120, seed=8)):
        (tmp_path / "class" / f"{number:03d}.jpg").write_bytes(data)
    source = image_folder(tmp_path)
    expected = {source.name(row) for row in range(len(source)) if decode_with_pil(source.read(row)) is None}
    assert 10 < len(expected) < 100
    for crop in ("random", "center", "stretch"):
        assert faults_of(source, "threads", 0, train_crop=crop) == [expected, expected]
    for engine in ("threads", "processes", "subprocess", "device"):
        assert faults_of(source, engine, 2) == [expected, expected]
    for decoder in available_decoders():
        assert faults_of(source, "threads", 0, decoder=decoder) == [expected, expected]
    assert faults_of(source, "threads", 0, cache="ram") == [expected, expected]


def compiled_ends_the_image(scan: bytes) -> bool:
    from perfsuite.data.decoding.jpeg_scan import ends_the_image

    memchr = ctypes.cast(ctypes.CDLL(None).memchr, ctypes.c_void_p).value
    array = np.frombuffer(scan + b"\0", np.uint8)
    return bool(ends_the_image(memchr, array.ctypes.data, array.ctypes.data + len(scan)))


@needs_region
def test_both_forms_of_the_marker_rule_agree_with_a_regular_expression() -> None:
    rng = np.random.default_rng(2)
    header = bytes.fromhex("ffd8 ffda0003 00")
    seen = set()
    for _ in range(3000):
        scan = bytes(
            rng.choice([0x00, 0x12, 0xD0, 0xD7, 0xD8, 0xD9, 0xC4, 0xFF], rng.integers(0, 12)).tolist()
        )
        marker = re.search(rb"\xff+([^\x00\xff\xd0-\xd7])", scan, re.DOTALL)
        expected = marker is not None and marker[1] == b"\xd9"
        assert ends_after_one_scan(header + scan) == compiled_ends_the_image(scan) == expected, scan.hex()
        seen.add(expected)
    assert seen == {True, False}
