from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from perfsuite.data.batch import SKIPPED_ROW, BatchBuffer, BatchLayout, shared_empty
from perfsuite.data.faults import Fault
from perfsuite.errors import DataError

LOADING = """
import sys
from perfsuite.data.loaders import make_loaders
from perfsuite.errors import DataError

loader = make_loaders(sys.argv[1], 32, 2, image_size=256, engine=sys.argv[2], start_method="fork").train
try:
    print("loaded", sum(len(images) for images, _ in loader))
except DataError as error:
    print("error:", error)
"""


def tensors_of(buffer: BatchBuffer) -> list[torch.Tensor]:
    tensors = (getattr(buffer, field.name) for field in fields(BatchBuffer))
    return [tensor for tensor in tensors if tensor is not None]


def test_a_batch_has_no_gap_where_images_were_skipped() -> None:
    buffer = BatchBuffer.new(5, BatchLayout(2, with_geometry=True, map_dtype=torch.uint8))
    for tensor in tensors_of(buffer):
        tensor.copy_(torch.arange(5).view(-1, *[1] * (tensor.ndim - 1)).expand_as(tensor))
    buffer.rows[1] = buffer.rows[3] = SKIPPED_ROW
    fault = Fault("a", "planted")
    batch = buffer.to_batch(4, (fault,))
    assert batch.faults == (fault,)
    for tensor in tensors_of(batch):
        assert tensor.reshape(2, -1).float().mean(1).tolist() == [0, 2]


def test_writes_to_a_view_change_the_buffer() -> None:
    buffer = BatchBuffer.new(4, BatchLayout(2))
    part = buffer.view(4)[slice(1, 3)]
    part.rows[:], part.labels[:], part.images[:] = 7, 8, 9
    assert (part.affines, part.original_sizes, part.maps) == (None, None, None)
    assert buffer.rows[1:3].tolist() == [7, 7]
    assert (buffer.images[1:3] == 9).all()


@pytest.mark.parametrize("shape", [(3, 4, 5), (0, 2), (7,)])
def test_shared_memory_has_the_given_shape(shape: tuple[int, ...]) -> None:
    tensor = shared_empty(shape, torch.int64)
    assert tensor.shape == shape
    assert tensor.is_contiguous()
    assert tensor.is_shared()  # type: ignore[no-untyped-call]
    tensor.fill_(5)
    assert (tensor == 5).all()


def test_sharing_copies_only_unshared_memory() -> None:
    buffer = BatchBuffer.new(3, BatchLayout(2), shared_empty)
    assert buffer.shared().images.data_ptr() == buffer.images.data_ptr()
    plain = BatchBuffer.new(3, BatchLayout(2))
    plain.images.fill_(4)
    assert plain.shared().images.is_shared()  # type: ignore[no-untyped-call]
    assert (plain.shared().images == 4).all()


def test_the_error_for_a_batch_larger_than_memory_names_the_settings() -> None:
    with pytest.raises(DataError, match=r"8 images of 10000000 x 10000000 do not fit.*lower batch_size"):
        BatchBuffer.new(8, BatchLayout(10_000_000))


def test_another_error_of_torch_is_unchanged() -> None:
    def refuses(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("no driver")

    with pytest.raises(RuntimeError, match="no driver"):
        BatchBuffer.new(8, BatchLayout(2), refuses)


def _run_with_shared_memory(size: str, *words: str) -> subprocess.CompletedProcess[str]:
    mounted = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mounted, "sh", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
@pytest.mark.parametrize("engine", ["processes", "subprocess"])
def test_too_little_shared_memory_is_an_error_and_not_a_hang(folder: Path, engine: str) -> None:
    if _run_with_shared_memory("1m", "true").returncode != 0:
        pytest.skip("mounting is not allowed here")
    done = _run_with_shared_memory("1m", sys.executable, "-c", LOADING, str(folder), engine)
    assert done.returncode == 0, done.stderr
    assert re.match(r"error: loader: no shared memory for [\d,]+ bytes of a batch", done.stdout)
    assert "--shm-size" in done.stdout
    enough = _run_with_shared_memory("64m", sys.executable, "-c", LOADING, str(folder), engine)
    assert enough.stdout == "loaded 32\n", enough.stderr
