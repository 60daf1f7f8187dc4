"""LitData's chunks and loader; images are preprocessed by torchvision v2. What differs is the reading."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.base import (
    EncodedRows,
    LabeledBatches,
    NormalizedBatches,
    Peer,
    Task,
    preprocessing_dataset,
)
from benchmarks.peers.torchvision_ import TorchvisionDataset
from perfsuite.data.sources.files import FileSource


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    import litdata

    rows = list(range(len(files)))
    litdata.optimize(EncodedRows(files), rows, str(folder), chunk_bytes="8MB", num_workers=1, verbose=False)
    dataset = preprocessing_dataset(litdata.StreamingDataset, TorchvisionDataset(files, task).preprocess)
    return NormalizedBatches(dataset(str(folder)), num_workers, loader=litdata.StreamingDataLoader)


PEER = Peer("litdata", make)
