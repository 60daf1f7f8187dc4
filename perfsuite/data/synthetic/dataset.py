"""The embedded images: photograph-like JPEGs made from a seed, so that a clone can measure at once.

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

from perfsuite.data.synthetic.render import NATURAL_SIZES, SceneTextures, render_image
from perfsuite.errors import DataError

MANIFEST = "image_dir.json"
# Raised whenever a seed would no longer give the same images: old caches are then left alone and not used.
GENERATOR_VERSION = 1

ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SyntheticSettings:
    """All that decides what the images are; two equal settings give the same bytes.

    >>> one, same, other = (SyntheticSettings(images=n).key for n in (80, 80, 90))
    >>> one == same != other
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
                f"image_dir: {self.images} images in {self.classes} classes, "
                "expected at least one image a class"
            )
        if self.seed < 0:
            raise ValueError(f"image_dir: seed is {self.seed}, expected 0 or more")
        if self.size is not None and not all(32 <= side <= 8192 for side in self.size):
            raise ValueError(f"image_dir: size is {self.size}, expected sides of 32 to 8192 pixels")

    @property
    def key(self) -> str:
        told = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


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
    """Make the images in `folder`, which must be empty, absent, or hold these very images already.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     made = make_dataset(f"{place}/images", images=4, classes=2, size=(64, 48))
    ...     sorted(path.relative_to(made).as_posix() for path in made.rglob("*.jpg"))
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
    """The folder of these images in the user's cache; made once, and safe for many processes at once."""
    settings = SyntheticSettings(images, classes, seed, size)
    folder = cache_root() / "images" / settings.key
    if folder.exists() and not is_complete(folder, settings):
        _discard(folder)
    return _make_folder(folder, settings, progress)


def cache_root() -> Path:
    """Where perfsuite keeps what can be made again (XDG_CACHE_HOME, or ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rules say that a relative path is to be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "perfsuite"


def is_complete(folder: Path, settings: SyntheticSettings) -> bool:
    """Whether `folder` holds exactly these images: settings, count and sizes agree with its manifest."""
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


def _make_folder(folder: Path, settings: SyntheticSettings, progress: ProgressCallback | None) -> Path:
    if folder.exists():
        if not folder.is_dir():
            raise DataError(f"{folder}: a file, expected a folder; choose another place")
        if is_complete(folder, settings):
            return folder
        if any(folder.iterdir()):
            raise DataError(
                f"{folder}: {_describe_contents(folder)}; choose an empty folder or delete this one"
            )
    # A whole folder appears at once under its name: a reader never sees half of it.
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
        # Another process was first. Its images are the same, or the name is taken by something else.
        if not is_complete(folder, settings):
            raise


def _discard(folder: Path) -> None:
    aside = folder.with_name(f".{folder.name}.{uuid4().hex}.old")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another process was first
    shutil.rmtree(aside, ignore_errors=True)


def _describe_contents(folder: Path) -> str:
    manifest = _manifest(folder)
    if manifest is None:
        return "holds files that perfsuite did not make"
    return f"holds images made with other settings or damaged since ({manifest.get('settings')})"


def _write_dataset(folder: Path, settings: SyntheticSettings, progress: ProgressCallback | None) -> None:
    for label in range(settings.classes):
        (folder / class_name(label, settings.classes)).mkdir()
    sides = [settings.size] if settings.size else list(NATURAL_SIZES)
    largest = (max(width for width, _ in sides), max(height for _, height in sides))
    canvas = SceneTextures.generate(settings.seed, largest)
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for row in threads.map(
            lambda number: _write_image(folder, settings, canvas, number), range(settings.images)
        ):
            rows.append(row)
            if progress is not None:
                progress(len(rows), settings.images)
    _write_labels(folder / "labels.csv", rows)
    annotations = {"images": [row.annotation for row in rows]}
    (folder / "annotations.json").write_text(json.dumps(annotations))
    sizes = {row.file: (folder / row.file).stat().st_size for row in rows}
    _write_durably(folder / MANIFEST, json.dumps({"settings": asdict(settings), "bytes": sizes}))


def class_name(label: int, classes: int) -> str:
    """Names that sort in the order of their labels.

    >>> class_name(7, 10), class_name(7, 1000)
    ('class_07', 'class_007')
    """
    return f"class_{label:0{max(2, len(str(classes - 1)))}d}"


def _write_image(
    folder: Path, settings: SyntheticSettings, canvas: SceneTextures, number: int
) -> _ImageRecord:
    label = number % settings.classes
    image, things = render_image(canvas, settings.seed, number, label, settings.classes, settings.size)
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
    return _ImageRecord(file, label, annotation)


def _write_labels(path: Path, rows: list[_ImageRecord]) -> None:
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file", "label"])
        writer.writerows([row.file, Path(row.file).parent.name] for row in rows)


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
