"""MosaicML Streaming's shards; images are preprocessed by torchvision v2. What differs is the reading."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.base import (
    BATCH_SIZE,
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
    import streaming

    encode = EncodedRows(files)
    with streaming.MDSWriter(out=str(folder), columns={"jpeg": "bytes", "label": "int"}) as writer:
        for row in range(len(files)):
            writer.write(encode(row))
    dataset = preprocessing_dataset(streaming.StreamingDataset, TorchvisionDataset(files, task).preprocess)
    return NormalizedBatches(dataset(local=str(folder), batch_size=BATCH_SIZE, shuffle=False), num_workers)


PEER = Peer("streaming", make)
