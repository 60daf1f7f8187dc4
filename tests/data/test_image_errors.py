"""Whatever reading or decoding an image raises is a fault of that image, with every engine."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perfsuite.data.decoding import registry
from perfsuite.data.image_file import read_file
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import SPLITS, FileSource, ImageSource, image_folder
from perfsuite.data.sources.maps import MapSource
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
class Failing(FileSource):
    """The first rows each raise another of ERRORS; with `only`, every row raises that."""

    only: type[BaseException] | None = None

    def read(self, row: int) -> bytes:
        if self.only is not None:
            raise self.only(f"row {row}")
        if row < len(ERRORS):
            raise ERRORS[row](f"row {row}")
        return read_file(self.path(row))


def failing(folder: Path, only: type[BaseException] | None = None) -> Failing:
    found = image_folder(folder)
    return Failing(found.root, found.names, found.labels, found.class_names, only)


def loader_of(source: ImageSource, engine: str, workers: int, on_error: str, **more: Any) -> Loader:
    options: dict[str, Any] = {"engine": engine, "on_error": on_error, "start_method": "fork"}
    return make_loaders(dict.fromkeys(SPLITS, source), 8, workers, image_size=32, **(options | more)).val


def shown_by(loader: Loader) -> int:
    try:
        return sum(len(labels) for _, labels in loader)
    finally:
        loader.close()


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_any_error_of_reading_skips_that_image_and_is_named(folder: Path, engine: str, workers: int) -> None:
    source = failing(folder)
    loader = loader_of(source, engine, workers, "skip")
    assert shown_by(loader) == 40 - len(ERRORS)
    names = [source.name(row) for row in range(len(ERRORS))]
    told = {
        name: f"{kind.__name__}: row {row}"
        for row, (name, kind) in enumerate(zip(names, ERRORS, strict=True))
    }
    assert loader.faults.reasons == told
    assert loader.faults.count == len(ERRORS)


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
@pytest.mark.parametrize("kind", [StopIteration, MemoryError])
def test_raising_names_the_image_and_ends_no_epoch_quietly(
    folder: Path, engine: str, workers: int, kind: type[Exception]
) -> None:
    loader = loader_of(failing(folder, kind), engine, workers, "raise")
    with pytest.raises(DataError, match=rf"class_00/\d+.jpg: {kind.__name__}: row \d+; set on_error='skip'"):
        shown_by(loader)


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_a_mistake_in_a_source_is_raised_as_it_is(folder: Path, engine: str, workers: int) -> None:
    loader = loader_of(failing(folder, TypeError), engine, workers, "raise")
    with pytest.raises(TypeError) as raised:
        shown_by(loader)
    told = f"{raised.value}{raised.value.__cause__}{[str(entry) for entry in raised.traceback]}"
    assert Path(__file__).name in told


class Ending(Failing):
    def name(self, row: int) -> str:
        raise StopIteration


def test_a_stop_iteration_from_anywhere_in_a_source_ends_no_epoch_quietly(folder: Path) -> None:
    found = failing(folder, OSError)
    ending = Ending(found.root, found.names, found.labels, found.class_names, OSError)
    with pytest.raises(DataError, match="a StopIteration after 0 of 5 batches"):
        shown_by(loader_of(ending, "processes", 1, "skip"))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_process_is_no_fault_of_an_image(folder: Path, kind: type[BaseException]) -> None:
    loader = loader_of(failing(folder, kind), "threads", 0, "skip")
    with pytest.raises(kind):
        shown_by(loader)
    assert loader.faults.count == 0


@pytest.mark.parametrize("kind", [*ERRORS, KeyError, OverflowError])
@pytest.mark.parametrize("policy", ["skip", "raise"])
def test_any_error_of_decoding_is_the_images(
    folder: Path, kind: type[Exception], policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: Image.Image) -> None:
        raise kind("planted")

    monkeypatch.setattr(registry, "to_upright_rgb", fail)
    loader = loader_of(image_folder(folder), "threads", 0, policy, decoder="pillow")
    if policy == "raise":
        with pytest.raises(DataError, match=r"class_00/\d+.jpg: JPEG of [\d,]+ bytes: .*planted"):
            shown_by(loader)
    else:
        assert shown_by(loader) == 0
        assert loader.faults.count == 40


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_caches_pass_errors_on_to_the_policy(
    folder: Path, cache: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    loader = loader_of(failing(folder), "threads", 0, "skip", cache=cache)
    assert shown_by(loader) == 40 - len(ERRORS)
    assert loader.faults.count == len(ERRORS)


def test_a_very_long_image_is_shown_though_no_cache_has_room_for_it(tmp_path: Path) -> None:
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
    assert shown_by(loader) == 39
    assert list(loader.faults.reasons) == [source.name(0)]
