"""Files that claim too many pixels, or have a format that is not accepted."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, FitsImagePlugin, Image, PsdImagePlugin

from perfsuite.data.crop import CropWindow, center_crop
from perfsuite.data.decoding import region, registry
from perfsuite.data.decoding.decoders.pillow import decode_with_pillow
from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_file import EXTENSIONS, FORMAT_OF_SUFFIX, FORMATS, open_image
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources import shards
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.shards import read_shards, write_shards
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError

SIDE = 14_000  # 196 million pixels; Pillow's limit is 179 million
ENGINES = [("threads", 0), ("threads", 2), ("processes", 1), ("subprocess", 1), ("device", 1)]


def encoded(kind: str, side: int = 64, **options: Any) -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (side, side, 3), np.uint8)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, kind, **options)
    return packed.getvalue()


def with_size(data: bytes, at: int, width: bytes, height: bytes) -> bytes:
    return data[:at] + width + height + data[at + len(width) + len(height) :]


def bombs(side: int = SIDE) -> dict[str, bytes]:
    """For each format a file of a few kilobytes whose header claims side x side pixels."""
    little, big = side.to_bytes(2, "little"), side.to_bytes(2, "big")
    found: dict[str, bytes] = {}
    for name, options in {"JPEG": {}, "progressive JPEG": {"progressive": True}}.items():
        jpeg = encoded("JPEG", **options)
        frame = jpeg.index(b"\xff\xc2" if options else b"\xff\xc0")
        found[name] = with_size(jpeg, frame + 5, big, big)
    png = with_size(encoded("PNG"), 16, side.to_bytes(4, "big"), side.to_bytes(4, "big"))
    found["PNG"] = png[:29] + zlib.crc32(png[12:29]).to_bytes(4, "big") + png[33:]
    found["BMP"] = with_size(encoded("BMP"), 18, side.to_bytes(4, "little"), side.to_bytes(4, "little"))
    gif = with_size(encoded("GIF"), 6, little, little)
    found["GIF"] = with_size(gif, gif.index(b"\x2c\0\0\0\0\x40\0\x40\0") + 5, little, little)
    tiff = encoded("TIFF")
    for tag in (256, 257):
        at = tiff.index(tag.to_bytes(2, "little") + b"\4\0" + (1).to_bytes(4, "little"))
        tiff = tiff[: at + 8] + side.to_bytes(4, "little") + tiff[at + 12 :]
    found["TIFF"] = tiff
    less_one = (side - 1).to_bytes(3, "little")
    body = encoded("WEBP")[12:]
    extended = b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + less_one + less_one + body
    found["WebP"] = b"RIFF" + len(extended).to_bytes(4, "little") + extended
    return found


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    def change(pixels: int | None) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)

    return change


def test_pillow_refuses_the_bombs() -> None:
    for name, data in bombs().items():
        with pytest.raises(Image.DecompressionBombError), Image.open(io.BytesIO(data)):
            pytest.fail(name)


MEMORY = """
import io, resource, sys
from pathlib import Path
from perfsuite.data.decoding import registry
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sources.files import image_folder
from perfsuite.errors import DataError
from perfsuite.transforms.augment.parameters import AugmentationParameters
import numpy as np

source = image_folder(sys.argv[1])
good = Path(sys.argv[2]).read_bytes()
files = [source.read(row) for row in range(len(source))]
out = np.empty((32, 32, 3), np.uint8)
makers = [ImageMaker(source, ImageConfig(32, scaled_decode=scaled)) for scaled in (False, True)]
random = ImageMaker(source, ImageConfig(32, "random"))
ways = [registry.get_decoder(name) for name in registry.available_decoders()]
same, none = AugmentationParameters(), np.empty(0)
ways += [lambda data, maker=maker: maker.make_from_bytes(data, none, same, out) for maker in makers]
ways += [lambda data: random.prepare_for_cache(data, 64, 64 * 64 * 3)]
for way in ways:
    way(good)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
refused = 0
for way in ways:
    for data in files:
        try:
            way(data)
        except DataError as error:
            refused += "pixels" in str(error)
print(len(ways) * len(files), refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_no_decoder_allocates_the_claimed_size(tmp_path: Path) -> None:
    """Decoded whole each file would take 600 MB or more."""
    (tmp_path / "c").mkdir()
    for name, data in bombs().items():
        (tmp_path / "c" / f"{name}.jpg").write_bytes(data)
    good = tmp_path / "good.jpg"
    good.write_bytes(encoded("JPEG"))
    command = [sys.executable, "-c", MEMORY, str(tmp_path), str(good)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tried, refused, kilobytes = map(int, done.stdout.split())
    assert refused == tried
    assert kilobytes < 100 << 10


@pytest.mark.parametrize("name", registry.available_decoders())
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_every_decoder_applies_pillows_limit(
    name: str, kind: str, limit: Callable[[int | None], None]
) -> None:
    data = encoded(kind)
    for allowed in (None, 64 * 64 // 2):
        limit(allowed)
        with warnings.catch_warnings():
            # Image.open warns between once and twice the limit, and so does the TIFF plug-in by itself.
            warnings.simplefilter("ignore" if kind == "TIFF" else "error")
            assert registry.get_decoder(name)(data).shape == (64, 64, 3)
    limit(64 * 64 // 2 - 1)
    with pytest.raises(DataError, match=r"64 x 64 pixels, expected at most 4,094; raise PIL.Image.MAX_IMAGE"):
        registry.get_decoder(name)(data)


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_every_engine_and_spawned_workers_apply_the_limit(
    folder: Path, engine: str, workers: int, limit: Callable[[int | None], None]
) -> None:
    def faults() -> int:
        options: dict[str, Any] = {"engine": engine, "on_error": "substitute", "start_method": "spawn"}
        loader = make_loaders(dict.fromkeys(SPLITS, image_folder(folder)), 20, workers, **options).val
        for pixels in (100, 160 * 120, None):
            limit(pixels)
            list(loader)
            counts.append(loader.faults.count)
        loader.close()
        return loader.faults.count

    counts: list[int] = []
    assert faults() == 40
    assert counts == [40, 40, 40]


@pytest.mark.parametrize("side", [(14_000, 14_000), (65_535, 3_000)])
def test_a_cache_applies_the_limit(side: tuple[int, int], folder: Path) -> None:
    jpeg = encoded("JPEG")
    data = with_size(jpeg, jpeg.index(b"\xff\xc0") + 5, *(one.to_bytes(2, "big") for one in side[::-1]))
    maker = ImageMaker(image_folder(folder), ImageConfig(32, "random"))
    with pytest.raises(DataError, match="pixels, expected at most"):
        maker.prepare_for_cache(data, 64, 64 * 64 * 3)


@pytest.mark.skipif(not region.is_available(), reason="no numba or no libjpeg-turbo that can crop")
def test_the_region_decoder_is_not_called_beyond_the_limit(
    limit: Callable[[int | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, out = region.RegionDecoder(), np.zeros((32, 32, 3), np.uint8)
    calls: list[object] = []

    def record(*arguments: object) -> int:
        calls.append(arguments)
        return 0

    monkeypatch.setattr(reader, "_decode_window", record)
    limit(64 * 64 // 2 - 1)
    for eighths in (8, 1):
        with pytest.raises(Image.DecompressionBombError):
            reader.decode(encoded("JPEG"), center_crop(64, 64, 32), (64, 64), out, eighths)
    assert not calls
    limit(64 * 64 // 2)
    assert reader.decode(encoded("JPEG"), center_crop(64, 64, 32), (64, 64), out)
    assert calls


@pytest.mark.skipif(not region.is_available(), reason="no numba or no libjpeg-turbo that can crop")
def test_the_region_decoder_refuses_a_file_of_another_size() -> None:
    """The limit was checked for one size, so no other size may be decoded."""
    window, out = CropWindow((0, 0, 32, 32), (32, 32), (0, 0), (32, 32)), np.zeros((32, 32, 3), np.uint8)
    assert region.RegionDecoder().decode(encoded("JPEG"), window, (64, 64), out)
    assert not region.RegionDecoder().decode(encoded("JPEG"), window, (32, 32), out)


@pytest.mark.parametrize("marker", [0x00, 0x01, 0x02, *range(0xD0, 0xDA)])
def test_no_marker_without_a_length_can_hide_a_frame_from_the_check(marker: int) -> None:
    """A parser that skips the hidden frame as the marker's content would use the small size after it."""
    bomb, small = bombs()["JPEG"], encoded("JPEG")
    hidden = b"\xff" + bytes([marker]) + len(bomb).to_bytes(2, "big") + bomb[2:]
    assert read_jpeg_header(small[:2] + hidden + small[2:]) is None


def test_the_device_engine_leaves_the_bomb_to_the_host(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perfsuite.data.engines import device

    given: list[bytes] = []

    def decoded(files: list[bytes], device: object) -> None:
        given.extend(files)

    monkeypatch.setattr(device, "decode_batch", decoded)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "bomb.jpg").write_bytes(bombs()["JPEG"])
    (tmp_path / "c" / "good.jpg").write_bytes(encoded("JPEG"))
    loader = loader_that_skips(tmp_path, "device", 1)
    assert [len(labels) for _, labels in loader] == [1]
    assert given == [encoded("JPEG")]
    assert set(loader.faults.reasons) == {"c/bomb.jpg"}


def loader_that_skips(folder: Path, engine: str, workers: int, **more: Any) -> Loader:
    options: dict[str, Any] = {"engine": engine, "on_error": "skip", "start_method": "fork", "image_size": 32}
    parts = dict.fromkeys(SPLITS, image_folder(folder))
    return make_loaders(parts, 8, workers, **(options | more)).val


def test_a_bomb_in_a_shard_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_refuse_oversized", lambda data: None)  # a shard that something else wrote
    (tmp_path / "p" / "c").mkdir(parents=True)
    (tmp_path / "p" / "c" / "bomb.jpg").write_bytes(bombs()["JPEG"])
    (tmp_path / "p" / "c" / "good.jpg").write_bytes(encoded("JPEG"))
    write_shards(image_folder(tmp_path / "p"), tmp_path / "s")
    loader = make_loaders(
        dict.fromkeys(SPLITS, read_shards(tmp_path / "s")), 8, 0, on_error="skip", image_size=32
    ).val
    assert [len(labels) for _, labels in loader] == [1]
    (reason,) = loader.faults.reasons.values()
    assert "14,000 x 14,000 pixels" in reason


HOSTILE = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3" + (9).to_bytes(4, "big") * 2 + b"\0\x08\0\3",
    "FITS": b"SIMPLE  =                    T",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_other_plug_in_of_pillow_gets_the_bytes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        pytest.fail(f"{kind} was opened")

    for plug_in in (
        EpsImagePlugin.EpsImageFile,
        PsdImagePlugin.PsdImageFile,
        FitsImagePlugin.FitsImageFile,
    ):
        monkeypatch.setattr(plug_in, "_open", fail)
    expected = (
        f"of {len(HOSTILE[kind])} bytes: not a readable image, expected one of BMP, GIF, JPEG, PNG, TIFF"
    )
    with pytest.raises(DataError, match=expected):
        decode_with_pillow(HOSTILE[kind])


def test_the_formats_are_those_of_the_accepted_suffixes_and_gif() -> None:
    Image.init()
    assert {Image.EXTENSION[suffix] for suffix in EXTENSIONS} == set(FORMATS) - {"GIF"}
    for suffix, name in FORMAT_OF_SUFFIX.items():
        assert Image.EXTENSION[suffix] == name


def test_a_multi_picture_jpeg_is_accepted() -> None:
    packed, image = io.BytesIO(), Image.new("RGB", (40, 24), (200, 10, 10))
    image.save(packed, "MPO", save_all=True, append_images=[image])
    assert open_image(io.BytesIO(packed.getvalue())).format == "MPO"
    assert decode_with_pillow(packed.getvalue()).shape == (24, 40, 3)
