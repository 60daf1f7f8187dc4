"""Any error while reading or decoding an image is a fault of that image, with every engine."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perfsuite.data.decoding.decoders import pillow
from perfsuite.data.image_file import read_file
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.base import ImageSource
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.maps import MapSource
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError

ENGINES = [("threads", 0), ("threads", 2), ("processes", 1), ("subprocess", 1), ("device", 1)]
ERRORS: list[type[Exception]] = [
    TypeError,
    struct.error,
    MemoryError,
    ValueError,
    IndexError,
    ZeroDivisionError,
    RecursionError,
    AssertionError,
    StopIteration,
]


@dataclass(frozen=True, slots=True, eq=False)
class FailingSource(FileSource):
    """The first rows each raise one of ERRORS; with `only`, every row raises that."""

    only: type[BaseException] | None = None

    def read(self, row: int) -> bytes:
        if self.only is not None:
            raise self.only(f"row {row}")
        if row < len(ERRORS):
            raise ERRORS[row](f"row {row}")
        return read_file(self.path(row))


def failing_source(folder: Path, only: type[BaseException] | None = None) -> FailingSource:
    files = image_folder(folder)
    return FailingSource(files.root, files.names, files.labels, files.class_names, only)


def loader_of(source: ImageSource, engine: str, workers: int, on_error: str, **more: Any) -> Loader:
    options: dict[str, Any] = {"engine": engine, "on_error": on_error, "start_method": "fork"}
    return make_loaders(dict.fromkeys(SPLITS, source), 8, workers, image_size=32, **(options | more)).val


def count_images(loader: Loader) -> int:
    try:
        return sum(len(labels) for _, labels in loader)
    finally:
        loader.close()


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_any_error_while_reading_skips_and_names_the_image(folder: Path, engine: str, workers: int) -> None:
    source = failing_source(folder)
    loader = loader_of(source, engine, workers, "skip")
    assert count_images(loader) == 40 - len(ERRORS)
    names = [source.name(row) for row in range(len(ERRORS))]
    expected = {
        name: f"{error_type.__name__}: row {row}"
        for row, (name, error_type) in enumerate(zip(names, ERRORS, strict=True))
    }
    assert loader.faults.reasons == expected
    assert loader.faults.count == len(ERRORS)


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
@pytest.mark.parametrize("error_type", [StopIteration, MemoryError])
def test_raise_names_the_image_and_does_not_end_the_epoch_silently(
    folder: Path, engine: str, workers: int, error_type: type[Exception]
) -> None:
    loader = loader_of(failing_source(folder, error_type), engine, workers, "raise")
    with pytest.raises(
        DataError, match=rf"class_00/\d+.jpg: {error_type.__name__}: row \d+; set on_error='skip'"
    ):
        count_images(loader)


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_a_bug_in_a_source_keeps_its_type_and_traceback(folder: Path, engine: str, workers: int) -> None:
    loader = loader_of(failing_source(folder, TypeError), engine, workers, "raise")
    with pytest.raises(TypeError) as raised:
        count_images(loader)
    expected = f"{raised.value}{raised.value.__cause__}{[str(entry) for entry in raised.traceback]}"
    assert Path(__file__).name in expected


class UnnamableSource(FailingSource):
    def name(self, row: int) -> str:
        raise StopIteration


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_an_image_that_cannot_be_named_is_named_by_its_row(folder: Path, engine: str, workers: int) -> None:
    files = failing_source(folder)
    unnamable = UnnamableSource(files.root, files.names, files.labels, files.class_names)
    loader = loader_of(unnamable, engine, workers, "skip")
    assert count_images(loader) == 40 - len(ERRORS)
    assert list(loader.faults.reasons) == [f"row {row}" for row in range(len(ERRORS))]


@pytest.mark.parametrize("error_type", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_that_ends_the_process_is_not_a_fault(
    folder: Path, error_type: type[BaseException]
) -> None:
    loader = loader_of(failing_source(folder, error_type), "threads", 0, "skip")
    with pytest.raises(error_type):
        count_images(loader)
    assert loader.faults.count == 0


@pytest.mark.parametrize("error_type", [*ERRORS, KeyError, OverflowError])
@pytest.mark.parametrize("policy", ["skip", "raise"])
def test_any_error_while_decoding_is_a_fault_of_the_image(
    folder: Path, error_type: type[Exception], policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: Image.Image) -> None:
        raise error_type("planted")

    monkeypatch.setattr(pillow, "to_upright_rgb", fail)
    loader = loader_of(image_folder(folder), "threads", 0, policy, decoder="pillow")
    if policy == "raise":
        with pytest.raises(DataError, match=r"class_00/\d+.jpg: JPEG of [\d,]+ bytes: .*planted"):
            count_images(loader)
    else:
        assert count_images(loader) == 0
        assert loader.faults.count == 40


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_the_fault_policy_applies_to_caches_too(
    folder: Path, cache: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    loader = loader_of(failing_source(folder), "threads", 0, "skip", cache=cache)
    assert count_images(loader) == 40 - len(ERRORS)
    assert loader.faults.count == len(ERRORS)


def test_an_image_too_long_for_a_cache_slot_is_decoded_each_time(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    Image.new("RGB", (90_000, 1), (9, 200, 9)).save(tmp_path / "c" / "long.png")
    loader = make_loaders(
        dict.fromkeys(SPLITS, image_folder(tmp_path)), 1, 0, image_size=32, cache="ram"
    ).train
    for _ in range(2):
        ((images, _),) = loader
        assert images.shape == (1, 3, 32, 32)


@pytest.mark.parametrize("engine", ["threads", "device"])
def test_a_missing_map_is_a_fault_of_its_image(folder: Path, tmp_path: Path, engine: str) -> None:
    source = image_folder(folder)
    for row in range(1, len(source)):
        path = (tmp_path / source.name(row)).with_suffix(".npy")
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.zeros((120, 160), np.uint8))
    loader = loader_of(source, engine, 1, "skip", maps=MapSource(tmp_path))
    assert count_images(loader) == 39
    assert list(loader.faults.reasons) == [source.name(0)]
