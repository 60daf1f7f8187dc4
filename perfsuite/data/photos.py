"""The embedded pictures: photograph-like JPEGs made from a seed, so that a clone can measure at once.

A folder of them reads as an ImageFolder (a folder per class) and holds beside it `labels.csv` and
`annotations.json` (polygons, boxes and keypoints, in pixels).
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from perfsuite.data.painting import NATURAL_SIZES, Canvas, paint
from perfsuite.errors import DataError

MANIFEST = "photos.json"
# Raised whenever a seed would no longer give the same pictures: old caches are then left alone and not used.
RECIPE = 1

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PhotoSettings:
    """All that decides what the pictures are; two equal settings give the same bytes.

    >>> PhotoSettings(images=80).key == PhotoSettings(images=80).key != PhotoSettings(images=90).key
    True
    """

    images: int = 512
    classes: int = 10
    seed: int = 42
    size: tuple[int, int] | None = None  # width, height; None varies them as ImageNet's vary
    recipe: int = RECIPE

    def __post_init__(self) -> None:
        if self.images < 1 or self.classes < 1 or self.classes > self.images:
            raise ValueError(
                f"photos: {self.images} images in {self.classes} classes, expected at least one image a class"
            )
        if self.seed < 0:
            raise ValueError(f"photos: seed is {self.seed}, expected 0 or more")
        if self.size is not None and not all(32 <= side <= 8192 for side in self.size):
            raise ValueError(f"photos: size is {self.size}, expected sides of 32 to 8192 pixels")

    @property
    def key(self) -> str:
        told = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    label: int
    annotation: dict[str, object]


def make(
    folder: str | Path,
    images: int = 512,
    classes: int = 10,
    seed: int = 42,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make the pictures in `folder`, which must be empty, absent, or hold these very pictures already.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made = make(f"{place}/photos", images=4, classes=2, size=(64, 48))
    ...     sorted(path.relative_to(made).as_posix() for path in made.rglob("*.jpg"))
    ['class_00/000000.jpg', 'class_00/000002.jpg', 'class_01/000001.jpg', 'class_01/000003.jpg']
    """
    return _make(Path(folder), PhotoSettings(images, classes, seed, size), progress)


def cached(
    images: int = 512,
    classes: int = 10,
    seed: int = 42,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Path:
    """The folder of these pictures in the user's cache; made once, and safe for many processes at once."""
    settings = PhotoSettings(images, classes, seed, size)
    folder = cache_root() / "photos" / settings.key
    if folder.exists() and not is_whole(folder, settings):
        _set_aside(folder)
    return _make(folder, settings, progress)


def cache_root() -> Path:
    """Where perfsuite keeps what can be made again (XDG_CACHE_HOME, or ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rules say that a relative path is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "perfsuite"


def is_whole(folder: Path, settings: PhotoSettings) -> bool:
    """Whether `folder` holds exactly these pictures: settings, count and sizes agree with its manifest."""
    manifest = _manifest(folder)
    if manifest is None or manifest.get("settings") != json.loads(json.dumps(asdict(settings))):
        return False
    files = manifest.get("bytes")
    if not isinstance(files, dict) or len(files) != settings.images:
        return False
    try:
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except OSError:
        return False


def _manifest(folder: Path) -> dict[str, object] | None:
    try:
        found = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _make(folder: Path, settings: PhotoSettings, progress: Progress | None) -> Path:
    if folder.exists():
        if not folder.is_dir():
            raise DataError(f"{folder}: a file, expected a folder; choose another place")
        if is_whole(folder, settings):
            return folder
        if any(folder.iterdir()):
            raise DataError(f"{folder}: {_what_is_there(folder)}; choose an empty folder or delete this one")
    # A whole folder appears at once under its name: a reader never sees half of it.
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}.part")
    try:
        draft.mkdir(parents=True)
        _fill(draft, settings, progress)
        _publish(draft, folder, settings)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}; the pictures were not made") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _publish(draft: Path, folder: Path, settings: PhotoSettings) -> None:
    try:
        draft.replace(folder)
    except OSError:
        # Another process was first. Its pictures are the same, or the name is taken by something else.
        if not is_whole(folder, settings):
            raise


def _set_aside(folder: Path) -> None:
    aside = folder.with_name(f".{folder.name}.{uuid4().hex}.old")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another process was first
    shutil.rmtree(aside, ignore_errors=True)


def _what_is_there(folder: Path) -> str:
    manifest = _manifest(folder)
    if manifest is None:
        return "holds files that perfsuite did not make"
    return f"holds pictures made with other settings or damaged since ({manifest.get('settings')})"


def _fill(folder: Path, settings: PhotoSettings, progress: Progress | None) -> None:
    for label in range(settings.classes):
        (folder / class_name(label, settings.classes)).mkdir()
    sides = [settings.size] if settings.size else list(NATURAL_SIZES)
    largest = (max(width for width, _ in sides), max(height for _, height in sides))
    canvas = Canvas.prepare(settings.seed, largest)
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for row in threads.map(lambda number: _one(folder, settings, canvas, number), range(settings.images)):
            rows.append(row)
            if progress is not None:
                progress(len(rows), settings.images)
    _write_labels(folder / "labels.csv", rows)
    annotations = {"images": [row.annotation for row in rows]}
    (folder / "annotations.json").write_text(json.dumps(annotations))
    sizes = {row.file: (folder / row.file).stat().st_size for row in rows}
    _write_last(folder / MANIFEST, json.dumps({"settings": asdict(settings), "bytes": sizes}))


def class_name(label: int, classes: int) -> str:
    """Names that sort in the order of their labels.

    >>> class_name(7, 10), class_name(7, 1000)
    ('class_07', 'class_007')
    """
    return f"class_{label:0{max(2, len(str(classes - 1)))}d}"


def _one(folder: Path, settings: PhotoSettings, canvas: Canvas, number: int) -> _Row:
    label = number % settings.classes
    image, things = paint(canvas, settings.seed, number, label, settings.classes, settings.size)
    file = f"{class_name(label, settings.classes)}/{number:06d}.jpg"
    # 90-95 and 4:2:0 is what cameras and ImageNet's scalers mostly write.
    image.save(folder / file, "JPEG", quality=90 + number % 6, subsampling="4:2:0")
    objects = [
        {"label": t.label, "polygon": t.polygon, "box": t.box, "keypoints": t.keypoints} for t in things
    ]
    annotation = {
        "file": file,
        "label": label,
        "width": image.width,
        "height": image.height,
        "objects": objects,
    }
    return _Row(file, label, annotation)


def _write_labels(path: Path, rows: list[_Row]) -> None:
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file", "label"])
        writer.writerows([row.file, Path(row.file).parent.name] for row in rows)


def _write_last(path: Path, text: str) -> None:
    with path.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
