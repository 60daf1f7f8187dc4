"""Ranks of a real process group: uneven data, and nobody waits for ever."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder


def _train_one_epoch(rank: int, world: int, folder: Path, meeting: Path, uneven: str, answers: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
    source = image_folder(folder)
    parts = {"train": source, "val": source, "test": source}
    loaders = make_loaders(parts, 4, 0, image_size=16, uneven=uneven)  # type: ignore[arg-type]
    steps = []
    for loader in (loaders.train, loaders.val):
        seen = torch.zeros(1)
        for images, _ in loader:
            seen += len(images)
            # What a training step does in every rank; a rank that stops earlier would leave the others here.
            dist.all_reduce(torch.ones(1))
        dist.all_reduce(seen)
        steps.append((len(loader), int(seen)))
    answers.put((rank, steps))
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("world", "uneven", "expected"),
    [
        (2, "keep", 40),
        (3, "pad", 42),
        pytest.param(3, "drop", 39, marks=pytest.mark.slow),
        pytest.param(4, "keep", 40, marks=pytest.mark.slow),
    ],
)
def test_ranks_share_uneven_data_without_waiting_for_ever(
    folder: Path, tmp_path: Path, world: int, uneven: str, expected: int
) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    ranks = [
        context.Process(
            target=_train_one_epoch, args=(rank, world, folder, tmp_path / "meeting", uneven, answers)
        )
        for rank in range(world)
    ]
    for process in ranks:
        process.start()
    try:
        told = dict(answers.get(timeout=60) for _ in ranks)
    finally:
        for process in ranks:
            process.join(10)
            process.kill()
    assert all(process.exitcode == 0 for process in ranks)
    train, val = told[0]
    assert all(steps == told[0] for steps in told.values())
    assert train[1] == expected
    assert val[1] == 40  # validation shows every image once, whatever the number of ranks
