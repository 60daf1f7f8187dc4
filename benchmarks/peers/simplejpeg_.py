"""simplejpeg and albumentations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.base import LabeledBatches, NormalizedBatches, Peer, Task
from benchmarks.peers.opencv_ import AlbumentationsDataset
from perfsuite.data.sources.files import FileSource


class SimplejpegDataset(AlbumentationsDataset):
    def decode(self, data: bytes) -> Any:
        import simplejpeg

        return simplejpeg.decode_jpeg(data)


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    import simplejpeg  # noqa: F401 - missing here, not in a worker

    return NormalizedBatches(SimplejpegDataset(files, task), num_workers)


PEER = Peer("simplejpeg", make, is_antialiased=False)
