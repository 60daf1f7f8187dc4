"""Shards of images, and the class names beside them."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Sequence
from pathlib import Path

from perfsuite.errors import PerfsuiteError
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.target import FindingError, Target

SAMPLES = 6
NAMES = b'["cat", "dog"]'


def corpus() -> Sequence[bytes]:
    return [_tar(tarfile.USTAR_FORMAT), _tar(tarfile.PAX_FORMAT), _tar(tarfile.GNU_FORMAT), NAMES]


def _tar(kind: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as tar:
        for number in range(SAMPLES):
            for name, data in (
                (f"{number}\u00fc.jpg", b"x" * 700),
                (f"{number}\u00fc.cls", b"%d" % (number % 2)),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Change bytes, in half of the cases of a header, whose checksum is then right again."""
    if data == NAMES or rng.random() < 0.5:
        return mutate_bytes(rng, data)
    start = 512 * rng.randrange(len(data) // 512)
    header = bytearray(mutate_bytes(rng, data[start : start + 512])[:512].ljust(512, b"\0"))
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + header + data[start + 512 :]


def try_one(data: bytes, folder: Path) -> None:
    from perfsuite.data.sources.shards import read_shards

    is_tar = len(data) > 1000
    (folder / "s.tar").write_bytes(data if is_tar else corpus()[0])
    (folder / "classes.json").write_bytes(NAMES if is_tar else data)
    try:
        source = read_shards([folder / "s.tar"])
    except (PerfsuiteError, OSError):
        return
    for row in range(len(source)):
        if len(source.read(row)) != source.size[row] or source.labels[row] >= len(source.class_names):
            raise FindingError(f"row {row}: {source.names[row]!r}, expected the bytes that its header claims")


TARGET = Target("shards", corpus, mutate, try_one, needs="torch")
