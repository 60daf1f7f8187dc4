"""Randomly damaged files of labels: each is read or refused with a DataError, never another error."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.files import labeled_csv
from perfsuite.data.sources.map_files import read_map
from perfsuite.errors import DataError
from tests.data.sources.test_annotation_formats import COCO, perfsuite_file

MUTATIONS = 300
SNIPPETS = [
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
    b"[",
    b"{}",
    b'"',
    b"\0",
    b"\xff",
    b"99999999999999999999",
    b",",
    b"true",
]


def _map_bytes(suffix: str) -> bytes:
    file, values = io.BytesIO(), np.arange(30, dtype=np.uint8).reshape(5, 6)
    if suffix == ".npy":
        np.save(file, values)
    else:
        np.savez_compressed(file, map=values)
    return file.getvalue()


def _read_table(path: Path) -> object:
    return labeled_csv(path, path.parent)


FILES: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "coco.json": (json.dumps(COCO).encode(), read_annotations),
    "perfsuite.json": (json.dumps(perfsuite_file(keypoints=[[1, 2]])).encode(), read_annotations),
    "table.csv": (b'file,label\na.jpg,1\n"b, c.jpg",2\nd.jpg,1\n', _read_table),
    "map.npy": (_map_bytes(".npy"), read_map),
    "map.npz": (_map_bytes(".npz"), read_map),
}


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut, overwrite, insert or repeat a piece."""
    start, end = sorted(int(position) for position in rng.integers(0, len(data) + 1, 2))
    end = min(end, start + 12)
    kind = rng.integers(5)
    if kind == 0:
        return data[:start]
    if kind == 1:
        return data[:start] + rng.bytes(end - start) + data[end:]
    if kind == 2:
        return data[:start] + data[start:end] * int(rng.integers(0, 4)) + data[end:]
    piece = SNIPPETS[int(rng.integers(len(SNIPPETS)))]
    return data[:start] + piece + data[start if kind == 3 else end :]


@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_read_or_refused(tmp_path: Path, name: str) -> None:
    data, read = FILES[name]
    rng: Any = np.random.default_rng(8)
    path = tmp_path / name
    outcomes = {"read": 0, "refused": 0}
    for _ in range(MUTATIONS):
        path.write_bytes(mutate(data, rng))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy warns of headers that Python 2 wrote
                read(path)
            outcomes["read"] += 1
        except DataError as error:
            assert name in str(error)  # noqa: PT017 - the type is checked by being caught
            outcomes["refused"] += 1
    assert outcomes["refused"] > 20
