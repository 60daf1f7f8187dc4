from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from perfsuite.data.crop import UNIFORMS_PER_CROP
from perfsuite.data.decoding import registry
from perfsuite.data.faults import Fault, FaultLog
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.errors import DataError
from perfsuite.transforms.augment.draws import Draw

SPOILERS: dict[str, Callable[[Path, bytes], object]] = {
    "empty": lambda path, data: path.write_bytes(b""),
    "cut": lambda path, data: path.write_bytes(data[: len(data) // 2]),
    "cut in its header": lambda path, data: path.write_bytes(data[:30]),
    "text": lambda path, data: path.write_text("<html>404</html>"),
    "folder": lambda path, data: path.mkdir(),
    "broken link": lambda path, data: path.symlink_to("nowhere"),
    "link to itself": lambda path, data: path.symlink_to(path.name),
}


@pytest.fixture
def spoiled(folder: Path, tmp_path: Path) -> Path:
    """40 images of which one in each of seven ways is no image."""
    for source in folder.rglob("*.jpg"):
        target = tmp_path / source.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
    for path, spoil in zip(sorted(tmp_path.rglob("*.jpg"))[::5], SPOILERS.values(), strict=False):
        data = path.read_bytes()
        path.unlink()
        spoil(path, data)
    return tmp_path


def whole(spoiled: Path, engine: str = "threads", workers: int = 0, on_error: str = "raise") -> Loader:
    source = image_folder(spoiled)
    parts = {"train": source, "val": source, "test": source}
    options = {"engine": engine, "start_method": "fork", "on_error": on_error}
    return make_loaders(parts, 8, workers, image_size=32, **options).val  # type: ignore[arg-type]


@pytest.mark.parametrize(("engine", "workers"), [("threads", 0), ("threads", 2), ("processes", 2)])
def test_skipping_leaves_out_the_bad_and_loses_no_good_image(
    spoiled: Path, engine: str, workers: int
) -> None:
    loader = whole(spoiled, engine, workers, on_error="skip")
    shown = sum(len(labels) for _, labels in loader)
    loader.close()
    assert shown == 40 - len(SPOILERS)
    assert loader.faults.count == len(SPOILERS)
    assert len(loader.faults.reasons) == len(SPOILERS)
    assert len(loader) == 5


def test_training_batches_stay_full_and_are_the_same_for_any_engine(spoiled: Path) -> None:
    source = image_folder(spoiled)
    parts = {"train": source, "val": source, "test": source}
    shown = []
    for workers in (0, 3):
        loader = make_loaders(parts, 8, workers, image_size=32, on_error="skip").train
        batches = list(loader)
        assert [len(labels) for _, labels in batches] == [8] * 5
        assert loader.faults.count >= len(SPOILERS)
        shown.append(batches)
        loader.close()
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(*shown, strict=True))


def test_a_substitute_is_gray_and_keeps_its_label(spoiled: Path) -> None:
    loader = whole(spoiled, on_error="substitute")
    labels = np.concatenate([labels.numpy() for _, labels in loader])
    np.testing.assert_array_equal(labels, image_folder(spoiled).labels)
    assert loader.faults.count == len(SPOILERS)


@pytest.mark.parametrize(("engine", "workers"), [("threads", 0), ("threads", 2), ("processes", 1)])
def test_raising_names_the_file_and_what_to_do(spoiled: Path, engine: str, workers: int) -> None:
    loader = whole(spoiled, engine, workers)
    with pytest.raises(DataError, match=r"class_00/\d+.jpg: .*; set on_error='skip'"):
        list(loader)
    loader.close()


def test_a_set_of_nothing_but_bad_files_ends_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    for number in range(9):
        (tmp_path / "c" / f"{number}.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match="others drawn in its place"):
        list(make_loaders(tmp_path, 4, 0, on_error="skip", image_size=32).train)


def test_no_permission_is_a_fault_like_any_other(spoiled: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    next(path for path in sorted(spoiled.rglob("*.jpg")) if path.is_file()).chmod(0)
    loader = whole(spoiled, on_error="skip")
    list(loader)
    assert "Permission denied" in str(loader.faults)


def test_a_log_counts_all_and_names_the_first_thousand() -> None:
    log = FaultLog()
    log.add(Fault(f"{number}.jpg", "bad") for number in range(1500))
    assert (log.count, len(log.reasons)) == (1500, 1000)
    assert str(log).startswith("1500 times")


def broken_files(folder: Path, many: int) -> Iterator[bytes]:
    """Truncated anywhere, with flipped bits, overwritten stretches, or other formats' beginnings."""
    rng = np.random.default_rng(8)
    goods = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))]
    for number in range(many):
        data = bytearray(goods[number % len(goods)])
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


def agreement(folder: Path, many: int) -> tuple[int, int]:
    """Of so many broken files: refused by both ways, and told apart by them."""
    maker = ImageMaker(image_folder(folder), ImageConfig(size=32))
    none, refused, apart = np.empty(UNIFORMS_PER_CROP), 0, 0
    out = np.zeros((32, 32, 3), np.uint8)
    for data in broken_files(folder, many):
        try:
            maker.make_from_bytes(data, none, Draw(), out)
            ours = True
        except DataError:
            ours = False
        try:
            registry.decode_with_pillow(data)
            theirs = True
        except DataError:
            theirs = False
        refused += not ours and not theirs
        apart += ours != theirs
    return refused, apart


def test_the_fast_way_refuses_what_pillow_refuses(folder: Path) -> None:
    refused, apart = agreement(folder, 400)
    assert refused > 150
    assert apart == 0


@pytest.mark.slow
def test_ten_thousand_broken_files_cost_no_memory(folder: Path) -> None:
    agreement(folder, 1000)
    before = psutil.Process().memory_info().rss
    refused, apart = agreement(folder, 10_000)
    assert refused > 4000
    assert apart == 0
    assert psutil.Process().memory_info().rss - before < 32 << 20
