"""Ranks of a real process group share uneven data without a deadlock."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder


def _count_one_epoch(
    rank: int, world: int, folder: Path, rendezvous: Path, uneven: str, results: Any
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world)
    source = image_folder(folder)
    parts = {"train": source, "val": source, "test": source}
    loaders = make_loaders(parts, 4, 0, image_size=16, uneven=uneven)  # type: ignore[arg-type]
    steps = []
    for loader in (loaders.train, loaders.val):
        images_used = torch.zeros(1)
        for images, _ in loader:
            images_used += len(images)
            # Like the all-reduce of a training step: if a rank had fewer steps, the others would wait here.
            dist.all_reduce(torch.ones(1))
        dist.all_reduce(images_used)
        steps.append((len(loader), int(images_used)))
    results.put((rank, steps))
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
def test_ranks_share_uneven_data_without_a_deadlock(
    folder: Path, tmp_path: Path, world: int, uneven: str, expected: int
) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    ranks = [
        context.Process(
            target=_count_one_epoch, args=(rank, world, folder, tmp_path / "rendezvous", uneven, results)
        )
        for rank in range(world)
    ]
    for process in ranks:
        process.start()
    try:
        by_rank = dict(results.get(timeout=60) for _ in ranks)
    finally:
        for process in ranks:
            process.join(10)
            process.kill()
    assert all(process.exitcode == 0 for process in ranks)
    train, val = by_rank[0]
    assert all(steps == by_rank[0] for steps in by_rank.values())
    assert train[1] == expected
    assert val[1] == 40  # validation uses every image once with any number of ranks
