"""WebDataset's shards; images are preprocessed by torchvision v2. What differs is the reading."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.base import LabeledBatches, NormalizedBatches, Peer, Task
from benchmarks.peers.torchvision_ import TorchvisionDataset
from perfsuite.data.sources.files import FileSource
from perfsuite.data.sources.shards import write_shards


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    import webdataset

    preprocess = TorchvisionDataset(files, task).preprocess
    paths = write_shards(files, folder, per_shard=-(-len(files) // max(1, num_workers)))
    data = webdataset.WebDataset([str(path) for path in paths], shardshuffle=False)
    return NormalizedBatches(data.to_tuple("jpg", "cls").map_tuple(preprocess, int), num_workers)


PEER = Peer("webdataset", make)
