"""A synthetic data set: photo-like JPEGs made from a seed, so that benchmarks run without a download.

The folder has a folder per class, as for ImageFolder, and `labels.csv` and `annotations.json` (polygons,
boxes and keypoints, in pixels).
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from perfsuite.atomic import open_replacing
from perfsuite.cores import usable_cores
from perfsuite.data.cache_root import cache_root
from perfsuite.data.sources.base import ProgressCallback
from perfsuite.data.synthetic.render import NATURAL_SIZES, SceneTextures, render_image
from perfsuite.errors import DataError

MANIFEST = "dataset.json"
# Raised when a seed gives other images or annotations than before, so that older caches are not used.
GENERATOR_VERSION = 2


@dataclass(frozen=True, slots=True)
class SyntheticSettings:
    """Everything that decides the images: equal settings give the same bytes.

    >>> key, same, other = (SyntheticSettings(images=n).key for n in (80, 80, 90))
    >>> key == same != other
    True
    """

    images: int = 512
    classes: int = 10
    seed: int = 42
    size: tuple[int, int] | None = None  # width, height; None varies them as ImageNet's vary
    generator_version: int = GENERATOR_VERSION

    def __post_init__(self) -> None:
        if self.images < 1 or self.classes < 1 or self.classes > self.images:
            raise ValueError(
                f"synthetic data set: {self.images} images in {self.classes} classes, "
                "expected at least one image a class"
            )
        if self.seed < 0:
            raise ValueError(f"synthetic data set: seed is {self.seed}, expected 0 or more")
        if self.size is not None and not all(32 <= side <= 8192 for side in self.size):
            raise ValueError(f"synthetic data set: size is {self.size}, expected sides of 32 to 8192 pixels")

    @property
    def key(self) -> str:
        settings = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _ImageRecord:
    file: str
    label: int
    annotation: dict[str, object]


def make_dataset(
    folder: str | Path,
    images: int = 512,
    classes: int = 10,
    seed: int = 42,
    size: tuple[int, int] | None = None,
    progress: ProgressCallback | None = None,
) -> Path:
    """Make the images in `folder`, which must be empty, absent, or have these very images already.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = make_dataset(f"{root}/images", images=4, classes=2, size=(64, 48))
    ...     sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    ['class_00/000000.jpg', 'class_00/000002.jpg', 'class_01/000001.jpg', 'class_01/000003.jpg']
    """
    return _make_folder(Path(folder), SyntheticSettings(images, classes, seed, size), progress)


def cached_dataset(
    images: int = 512,
    classes: int = 10,
    seed: int = 42,
    size: tuple[int, int] | None = None,
    progress: ProgressCallback | None = None,
) -> Path:
    """Return the folder of these images in the user's cache. Several processes may make it at once."""
    settings = SyntheticSettings(images, classes, seed, size)
    folder = cache_root() / "images" / settings.key
    if folder.exists() and not is_complete(folder, settings):
        _discard(folder)
    return _make_folder(folder, settings, progress)


def is_complete(folder: Path, settings: SyntheticSettings) -> bool:
    """Whether `folder` has exactly these images: settings, count and file sizes agree with its manifest."""
    manifest = _read_manifest(folder)
    if manifest is None or manifest.get("settings") != json.loads(json.dumps(asdict(settings))):
        return False
    files = manifest.get("bytes")
    if not isinstance(files, dict) or len(files) != settings.images:
        return False
    try:
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except OSError:
        return False


def _read_manifest(folder: Path) -> dict[str, object] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def _make_folder(folder: Path, settings: SyntheticSettings, progress: ProgressCallback | None) -> Path:
    if folder.exists():
        if not folder.is_dir():
            raise DataError(f"{folder}: a file, expected a folder; choose another path")
        if is_complete(folder, settings):
            return folder
        if any(folder.iterdir()):
            raise DataError(
                f"{folder}: {_describe_contents(folder)}; choose an empty folder or delete this one"
            )
    # Renamed when it is complete, so that a reader never gets half of it.
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}.part")
    try:
        draft.mkdir(parents=True)
        _write_dataset(draft, settings, progress)
        _move_into_place(draft, folder, settings)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}; the images were not made") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _move_into_place(draft: Path, folder: Path, settings: SyntheticSettings) -> None:
    try:
        draft.replace(folder)
    except OSError:
        # Another process was first and made the same images, or something else has the name.
        if not is_complete(folder, settings):
            raise


def _discard(folder: Path) -> None:
    discarded = folder.with_name(f".{folder.name}.{uuid4().hex}.old")
    try:
        folder.rename(discarded)
    except FileNotFoundError:
        return  # another process was first
    shutil.rmtree(discarded, ignore_errors=True)


def _describe_contents(folder: Path) -> str:
    manifest = _read_manifest(folder)
    if manifest is None:
        return "contains files that perfsuite did not make"
    return f"contains images made with other settings or damaged since ({manifest.get('settings')})"


def _write_dataset(folder: Path, settings: SyntheticSettings, progress: ProgressCallback | None) -> None:
    for label in range(settings.classes):
        (folder / class_name(label, settings.classes)).mkdir()
    sides = [settings.size] if settings.size else list(NATURAL_SIZES)
    largest = (max(width for width, _ in sides), max(height for _, height in sides))
    textures = SceneTextures.generate(settings.seed, largest)
    rows = []
    with ThreadPoolExecutor(usable_cores()) as threads:
        for row in threads.map(
            lambda number: _write_image(folder, settings, textures, number), range(settings.images)
        ):
            rows.append(row)
            if progress is not None:
                progress(len(rows), settings.images)
    _write_labels(folder / "labels.csv", rows)
    # An object's keypoints are its center and corners, which have no left and right.
    annotations = {"images": [row.annotation for row in rows], "keypoint_flip_pairs": []}
    (folder / "annotations.json").write_text(json.dumps(annotations))
    sizes = {row.file: (folder / row.file).stat().st_size for row in rows}
    with open_replacing(folder / MANIFEST) as file:
        file.write(json.dumps({"settings": asdict(settings), "bytes": sizes}).encode())


def class_name(label: int, classes: int) -> str:
    """A name that sorts in the order of the labels.

    >>> class_name(7, 10), class_name(7, 1000)
    ('class_07', 'class_007')
    """
    return f"class_{label:0{max(2, len(str(classes - 1)))}d}"


def _write_image(
    folder: Path, settings: SyntheticSettings, textures: SceneTextures, number: int
) -> _ImageRecord:
    label = number % settings.classes
    image, objects = render_image(textures, settings.seed, number, label, settings.classes, settings.size)
    file = f"{class_name(label, settings.classes)}/{number:06d}.jpg"
    # Cameras and ImageNet's scalers mostly write quality 90-95 with 4:2:0 subsampling.
    image.save(folder / file, "JPEG", quality=90 + number % 6, subsampling="4:2:0")
    annotation = {
        "file": file,
        "label": label,
        "width": image.width,
        "height": image.height,
        "objects": [
            {"label": o.label, "polygon": o.polygon, "box": o.box, "keypoints": o.keypoints} for o in objects
        ],
    }
    return _ImageRecord(file, label, annotation)


def _write_labels(path: Path, rows: list[_ImageRecord]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label"])
        writer.writerows([row.file, Path(row.file).parent.name] for row in rows)
