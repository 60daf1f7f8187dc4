"""Check image files before training: which do the loaders refuse, and which are damaged but accepted?

>>> from perfsuite.data.synthetic import dataset
>>> report = check_folder(dataset.cached_dataset(images=40, classes=2, size=(64, 48)))
>>> report.files, report.problems
(40, ())
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from perfsuite.cores import usable_cores
from perfsuite.data.crop import CropWindow
from perfsuite.data.decoding import region
from perfsuite.data.decoding.decoders.pillow import decode_with_pillow
from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.faults import reason_of
from perfsuite.data.image_file import EXTENSIONS, read_file
from perfsuite.data.sources.base import ProgressCallback
from perfsuite.data.sources.files import is_image_name
from perfsuite.data.sources.folder_walk import walk_files
from perfsuite.errors import DataError

Kind = Literal["unreadable", "damaged"]
FILES_PER_STEP = 64  # of all threads together; between two steps the progress is reported


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """One file, relative to the folder: loaders refuse it, or accept it with damaged pixels."""

    file: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The files that were checked, and those with a problem, in the order of their names."""

    files: int
    problems: tuple[ImageProblem, ...]

    def count(self, kind: Kind) -> int:
        return sum(problem.kind == kind for problem in self.problems)


def check_folder(
    folder: str | Path, workers: int | None = None, progress: ProgressCallback | None = None
) -> CheckReport:
    """Decode every image file below a folder, whatever its layout, with `workers` threads.

    Links to folders are followed and hidden folders are left out, as by the loaders.
    """
    root = Path(folder)
    files = find_images(root)
    checker = _FileChecker(root)
    problems: list[ImageProblem] = []
    with ThreadPoolExecutor(workers or usable_cores(), thread_name_prefix="perfsuite-check") as threads:
        for first in range(0, len(files), FILES_PER_STEP):
            step = files[first : first + FILES_PER_STEP]
            problems += filter(None, threads.map(checker.check, step))
            if progress is not None:
                progress(first + len(step), len(files))
    return CheckReport(len(files), tuple(problems))


def find_images(root: Path) -> Sequence[str]:
    """The image files below a folder that loaders would find, sorted, with / between folders."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    files = sorted(name for name, entry in walk_files(root) if is_image_name(entry.name))
    if not files:
        raise DataError(f"{root}: no images found, expected files named {', '.join(EXTENSIONS)}")
    return files


class _FileChecker:
    """Checks files from several threads, with a region decoder for each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._of_thread = threading.local()

    def check(self, file: str) -> ImageProblem | None:
        try:
            data = read_file(self._root / file)
            if self._is_flawless(data):
                return None
            decode_with_pillow(data)  # it decides what the loaders refuse
        except Exception as error:  # the same errors that a loader would count as a fault of the image
            return ImageProblem(file, "unreadable", reason_of(error))
        damage = _damage_of(data)
        return None if damage is None else ImageProblem(file, "damaged", damage)

    def _is_flawless(self, data: bytes) -> bool:
        """Whether a whole JPEG decodes without a warning. At an eighth of its size this is mostly reading."""
        header = read_jpeg_header(data)
        decoder = self._region_decoder()
        if decoder is None or header is None or not header.is_plain:
            return False
        window = CropWindow((0, 0, header.width, header.height), (8, 8), (0, 0), (8, 8))
        out = np.empty((8, 8, 3), np.uint8)
        return decoder.decode(data, window, (header.width, header.height), out, eighths=1)

    def _region_decoder(self) -> region.RegionDecoder | None:
        if not hasattr(self._of_thread, "decoder"):
            self._of_thread.decoder = region.RegionDecoder() if region.is_available() else None
        decoder: region.RegionDecoder | None = self._of_thread.decoder
        return decoder


def _damage_of(data: bytes) -> str | None:
    """What libjpeg warns about in a JPEG that Pillow accepts: the pixels after it are gray or wrong."""
    if data[:2] != b"\xff\xd8" or find_spec("simplejpeg") is None:
        return None
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, strict=True, fastdct=False, fastupsample=False)
    except ValueError as error:
        return str(error)
    return None
