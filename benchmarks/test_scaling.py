"""Distributed training: how much of its speed a rank keeps, and exactly what a step exchanges."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch

from perfsuite.training.distributed.torchrun import run_ranks
from perfsuite.training.models import make_model

STARTUP_SECONDS = 300


class MeasureScaling(Protocol):
    def __call__(self, ranks: int, *words: str, seconds: int = 5) -> dict[str, Any]: ...


@pytest.fixture
def scaling(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> MeasureScaling:
    """Start ranks under torchrun, print their scaling, and store the figures with the run."""

    def measure(ranks: int, *words: str, seconds: int = 5) -> dict[str, Any]:
        path = tmp_path / "scaling.json"
        command = ["-m", "perfsuite", "scaling", "--seconds", str(seconds), "--json", str(path), *words]
        time_limit = STARTUP_SECONDS + seconds
        output = benchmark.pedantic(run_ranks, args=(ranks, command, time_limit), rounds=1)
        with capsys.disabled():
            sys.stdout.write(f"\n{output}")
        report: dict[str, Any] = json.loads(path.read_text())
        benchmark.extra_info.update(report)
        return report

    return measure


@pytest.mark.slow  # each rank imports torch
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_exchange_every_gradient_once(scaling: MeasureScaling, ranks: int) -> None:
    report = scaling(ranks, "--device", "cpu")
    assert report["ranks"] == ranks
    assert report["all_reduced_bytes"] == 4 * sum(
        weights.numel() for weights in make_model("small", 10).parameters()
    )
    assert report["all_reduces"] == 2  # one bucket of 1 MiB that starts early, then buckets of 25 MiB


@pytest.mark.gpu
def test_gpus_keep_90_percent_of_their_speed(scaling: MeasureScaling) -> None:
    ranks = torch.cuda.device_count()
    if ranks < 2:
        pytest.skip("needs two GPUs")
    words = ["--model", "resnet50", "--image-size", "224", "--batch-size", "128", "--device", "cuda"]
    report = scaling(ranks, *words, seconds=20)
    assert report["efficiency"]["high"] >= 0.9  # fails only where the whole interval is below
    assert report["all_reduced_bytes"] == 4 * sum(
        weights.numel() for weights in make_model("resnet50", 10).parameters()
    )
