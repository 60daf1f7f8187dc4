from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perfsuite.data.decoding.decoders.pillow import decode_with_pillow
from perfsuite.data.synthetic import dataset
from perfsuite.errors import DataError


def digest(folder: Path) -> str:
    folders = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            folders.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return folders.hexdigest()


def test_the_bytes_depend_on_the_seed(tmp_path: Path) -> None:
    first = dataset.make_dataset(tmp_path / "a", images=6, classes=2, size=(96, 64))
    again = dataset.make_dataset(tmp_path / "b", images=6, classes=2, size=(96, 64))
    other = dataset.make_dataset(tmp_path / "c", images=6, classes=2, size=(96, 64), seed=43)
    assert digest(first) == digest(again) != digest(other)


def test_file_sizes_are_those_of_photos(tmp_path: Path) -> None:
    folder = dataset.make_dataset(tmp_path / "p", images=40, classes=4, size=(500, 375))
    sizes = [path.stat().st_size for path in folder.rglob("*.jpg")]
    assert 85_000 < np.mean(sizes) < 115_000
    assert np.std(sizes) > 8_000
    with Image.open(next(folder.rglob("*.jpg"))) as image:
        assert image.size == (500, 375)
        assert image.format == "JPEG"


def test_sizes_vary_around_500x375_by_default(tmp_path: Path) -> None:
    folder = dataset.make_dataset(tmp_path / "p", images=40, classes=4)
    sizes = {decode_with_pillow(path.read_bytes()).shape[1::-1] for path in folder.rglob("*.jpg")}
    assert len(sizes) >= 4
    assert (500, 375) in sizes


def test_classes_can_be_distinguished_by_color(tmp_path: Path) -> None:
    folder = dataset.make_dataset(tmp_path / "p", images=60, classes=3, size=(128, 96))
    colors_by_class = {
        name.name: np.array([_object_color(folder, path) for path in sorted(name.glob("*.jpg"))])
        for name in folder.iterdir()
        if name.is_dir()
    }
    centers = {name: colors.mean(0) for name, colors in colors_by_class.items()}
    right = [
        min(centers, key=lambda other: float(((color - centers[other]) ** 2).sum())) == name
        for name, colors in colors_by_class.items()
        for color in colors
    ]
    assert np.mean(right) > 0.8


def _object_color(folder: Path, path: Path) -> np.ndarray:
    annotations = json.loads((folder / "annotations.json").read_text())["images"]
    row = next(row for row in annotations if row["file"] == path.relative_to(folder).as_posix())
    x, y = row["objects"][-1]["keypoints"][0]
    pixels = decode_with_pillow(path.read_bytes()).astype(np.float64)
    patch = pixels[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5].reshape(-1, 3)
    return np.asarray(patch.mean(0) - patch.mean(0).mean())


def test_labels_and_annotations_have_every_image(tmp_path: Path) -> None:
    folder = dataset.make_dataset(tmp_path / "p", images=9, classes=3, size=(96, 64))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    with (folder / "labels.csv").open(newline="") as source:
        labels = {row["file"]: row["label"] for row in csv.DictReader(source)}
    assert set(labels) == files
    assert all(Path(file).parent.name == label for file, label in labels.items())
    rows = json.loads((folder / "annotations.json").read_text())["images"]
    assert {row["file"] for row in rows} == files
    for thing in (thing for row in rows for thing in row["objects"]):
        left, top, right, bottom = thing["box"]
        assert 0 <= left < right <= 96
        assert 0 <= top < bottom <= 64
        assert len(thing["keypoints"]) == 4
        assert all(left <= x <= right and top <= y <= bottom for x, y in thing["polygon"])


def test_a_folder_with_other_files_is_an_error_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="files that perfsuite did not make"):
        dataset.make_dataset(tmp_path, images=2, classes=1, size=(64, 64))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_with_images_of_other_settings_is_an_error(tmp_path: Path) -> None:
    dataset.make_dataset(tmp_path / "p", images=2, classes=1, size=(64, 64))
    with pytest.raises(DataError, match="other settings"):
        dataset.make_dataset(tmp_path / "p", images=3, classes=1, size=(64, 64))


@pytest.mark.parametrize(
    "options",
    [{"images": 0}, {"classes": 0}, {"images": 2, "classes": 3}, {"size": (10, 500)}, {"seed": -1}],
)
def test_invalid_settings_are_an_error(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="synthetic data set: "):
        dataset.make_dataset(tmp_path / "p", **{"images": 4, "classes": 2, **options})


def test_the_cached_data_set_is_made_once_and_again_if_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = dataset.cached_dataset(images=4, classes=2, size=(64, 48))
    written_at = (folder / "dataset.json").stat().st_mtime_ns
    assert dataset.cached_dataset(images=4, classes=2, size=(64, 48)) == folder
    assert (folder / "dataset.json").stat().st_mtime_ns == written_at
    before = digest(folder)
    next(folder.rglob("*.jpg")).write_bytes(b"cut")
    assert digest(dataset.cached_dataset(images=4, classes=2, size=(64, 48))) == before


def test_concurrent_processes_make_one_complete_data_set(tmp_path: Path) -> None:
    code = (
        "from perfsuite.data.synthetic import dataset;"
        "print(dataset.cached_dataset(images=24, classes=2, size=(200, 150)))"
    )
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(dataset.__file__).parents[3])}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    folders = {process.communicate()[0].strip() for process in running}
    assert all(process.returncode == 0 for process in running)
    (folder,) = folders
    assert dataset.is_complete(Path(folder), dataset.SyntheticSettings(24, 2, 42, (200, 150)))
    assert [path.name for path in Path(folder).parent.iterdir()] == [Path(folder).name]
