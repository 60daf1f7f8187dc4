from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from perfsuite.data.crop import UNIFORMS_PER_CROP
from perfsuite.data.decoding.decoders.pillow import decode_with_pillow
from perfsuite.data.faults import Fault, FaultLog
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.errors import DataError
from perfsuite.transforms.augment.parameters import AugmentationParameters

DAMAGE: dict[str, Callable[[Path, bytes], object]] = {
    "empty": lambda path, data: path.write_bytes(b""),
    "cut": lambda path, data: path.write_bytes(data[: len(data) // 2]),
    "cut in its header": lambda path, data: path.write_bytes(data[:30]),
    "text": lambda path, data: path.write_text("<html>404</html>"),
    "broken link": lambda path, data: path.symlink_to("nowhere"),
    "link to itself": lambda path, data: path.symlink_to(path.name),
}


@pytest.fixture
def damaged_folder(folder: Path, tmp_path: Path) -> Path:
    """40 images, of which six are damaged in different ways."""
    for source in folder.rglob("*.jpg"):
        target = tmp_path / source.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
    for path, damage in zip(sorted(tmp_path.rglob("*.jpg"))[::5], DAMAGE.values(), strict=False):
        data = path.read_bytes()
        path.unlink()
        damage(path, data)
    return tmp_path


def whole(damaged_folder: Path, engine: str = "threads", workers: int = 0, on_error: str = "raise") -> Loader:
    source = image_folder(damaged_folder)
    parts = {"train": source, "val": source, "test": source}
    options = {"engine": engine, "start_method": "fork", "on_error": on_error}
    return make_loaders(parts, 8, workers, image_size=32, **options).val  # type: ignore[arg-type]


@pytest.mark.parametrize(("engine", "workers"), [("threads", 0), ("threads", 2), ("processes", 2)])
def test_skip_leaves_out_exactly_the_damaged_images(damaged_folder: Path, engine: str, workers: int) -> None:
    loader = whole(damaged_folder, engine, workers, on_error="skip")
    images = sum(len(labels) for _, labels in loader)
    loader.close()
    assert images == 40 - len(DAMAGE)
    assert loader.faults.count == len(DAMAGE)
    assert len(loader.faults.reasons) == len(DAMAGE)
    assert len(loader) == 5


def test_training_batches_stay_full_and_are_the_same_with_any_workers(damaged_folder: Path) -> None:
    source = image_folder(damaged_folder)
    parts = {"train": source, "val": source, "test": source}
    images = []
    for workers in (0, 3):
        loader = make_loaders(parts, 8, workers, image_size=32, on_error="skip", engine="threads").train
        batches = list(loader)
        assert [len(labels) for _, labels in batches] == [8] * 5
        assert loader.faults.count >= len(DAMAGE)
        images.append(batches)
        loader.close()
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(*images, strict=True))


def test_a_substitute_has_the_label_of_its_image(damaged_folder: Path) -> None:
    loader = whole(damaged_folder, on_error="substitute")
    labels = np.concatenate([labels.numpy() for _, labels in loader])
    np.testing.assert_array_equal(labels, image_folder(damaged_folder).labels)
    assert loader.faults.count == len(DAMAGE)


@pytest.mark.parametrize(("engine", "workers"), [("threads", 0), ("threads", 2), ("processes", 1)])
def test_raise_names_the_file_and_the_alternatives(damaged_folder: Path, engine: str, workers: int) -> None:
    loader = whole(damaged_folder, engine, workers)
    with pytest.raises(DataError, match=r"class_00/\d+.jpg: .*; set on_error='skip'"):
        list(loader)
    loader.close()


def test_a_data_set_of_only_damaged_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    for number in range(9):
        (tmp_path / "c" / f"{number}.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match="20 other images drawn to replace it"):
        list(make_loaders(tmp_path, 4, 0, on_error="skip", image_size=32).train)


def test_a_file_without_permission_is_a_fault(damaged_folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    next(path for path in sorted(damaged_folder.rglob("*.jpg")) if path.is_file()).chmod(0)
    loader = whole(damaged_folder, on_error="skip")
    list(loader)
    assert "Permission denied" in str(loader.faults)


def test_a_log_counts_all_faults_and_names_the_first_thousand() -> None:
    log = FaultLog()
    log.add(Fault(f"{number}.jpg", "bad") for number in range(1500))
    assert (log.count, len(log.reasons)) == (1500, 1000)
    assert str(log).startswith("1500 times")


def damaged_files(folder: Path, count: int) -> Iterator[bytes]:
    """Yield files that are truncated, or have flipped bits, overwritten bytes or another signature."""
    rng = np.random.default_rng(8)
    files = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))]
    for number in range(count):
        data = bytearray(files[number % len(files)])
        kind = number % 4
        if kind == 0:
            data = data[: int(rng.integers(0, len(data)))]
        elif kind == 1:
            for at in rng.integers(0, min(len(data), 700), 2):
                data[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            at = int(rng.integers(0, len(data)))
            data[at : at + 64] = rng.integers(0, 256, 64, np.uint8).tobytes()
        else:
            data[:4] = [b"\x89PNG", b"GIF8", b"RIFF", b"\xff\xd8\xff\xff"][number // 4 % 4]
        yield bytes(data)


def agreement(folder: Path, count: int) -> tuple[int, int]:
    """Of `count` damaged files: how many both refuse, and how many only one of them refuses."""
    maker = ImageMaker(image_folder(folder), ImageConfig(size=32))
    none, refused, disagreed = np.empty(UNIFORMS_PER_CROP), 0, 0
    out = np.zeros((32, 32, 3), np.uint8)
    for data in damaged_files(folder, count):
        try:
            maker.make_from_bytes(data, none, AugmentationParameters(), out)
            by_maker = True
        except DataError:
            by_maker = False
        try:
            decode_with_pillow(data)
            by_pillow = True
        except DataError:
            by_pillow = False
        refused += not by_maker and not by_pillow
        disagreed += by_maker != by_pillow
    return refused, disagreed


def test_the_region_decoder_refuses_the_files_that_pillow_refuses(folder: Path) -> None:
    refused, disagreed = agreement(folder, 400)
    assert refused > 150
    assert disagreed == 0


@pytest.mark.slow
def test_ten_thousand_damaged_files_leak_no_memory(folder: Path) -> None:
    agreement(folder, 1000)
    before = psutil.Process().memory_info().rss
    refused, disagreed = agreement(folder, 10_000)
    assert refused > 4000
    assert disagreed == 0
    assert psutil.Process().memory_info().rss - before < 32 << 20
