"""Tables of labels, label maps and files of CIFAR-10."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from perfsuite.errors import PerfsuiteError
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.target import Target

TABLE = b'file,label\na.jpg,1\n"b, c.jpg",2\nd.jpg,1\n'


def corpus() -> Sequence[bytes]:
    import numpy as np

    plain, packed = io.BytesIO(), io.BytesIO()
    np.save(plain, np.arange(30, dtype=np.uint8).reshape(5, 6))
    np.savez_compressed(packed, map=np.arange(30, dtype=np.uint16).reshape(5, 6))
    return [TABLE, plain.getvalue(), packed.getvalue(), bytes(2 * 3073)]


def try_one(data: bytes, folder: Path) -> None:
    """Every reader gets every input: a file may have any content, whatever its name is."""
    from perfsuite.data.sources.cifar import read_cifar10
    from perfsuite.data.sources.files import labeled_csv
    from perfsuite.data.sources.map_files import read_map, read_map_dtype

    names = ("table.csv", "map.npy", "map.npz", "data_batch_1.bin", "test_batch.bin")
    paths = {name: folder / name for name in names}
    for path in paths.values():
        path.write_bytes(data)
    readers: Mapping[str, Callable[[Path], object]] = {
        "table.csv": lambda path: labeled_csv(path, folder),
        "map.npy": read_map,
        "map.npz": lambda path: (read_map_dtype(path), read_map(path)),
        "data_batch_1.bin": lambda path: read_cifar10(folder),
    }
    for name, read in readers.items():
        try:
            read(paths[name])
        except PerfsuiteError:
            continue


TARGET = Target("label_files", corpus, mutate_bytes, try_one, needs="torch")
