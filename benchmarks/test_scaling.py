"""Several ranks as one training: torchrun is started and ended here; what a step exchanges is exact."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from perfsuite.advise.torchrun import run_ranks
from perfsuite.training.models import make_model

STARTING_SECONDS = 300


@pytest.fixture
def scaling(benchmark, tmp_path, capsys):
    """Starts so many ranks, shows what they gain, and keeps the figures with the run."""

    def measure(ranks, *words, seconds=5):
        path = tmp_path / "scaling.json"
        command = ["-m", "perfsuite", "scaling", "--seconds", str(seconds), "--json", str(path), *words]
        within = STARTING_SECONDS + seconds
        told = benchmark.pedantic(run_ranks, args=(ranks, command, within), rounds=1)
        with capsys.disabled():
            sys.stdout.write(f"\n{told}")
        found = json.loads(path.read_text())
        benchmark.extra_info.update(found)
        return found

    return measure


@pytest.mark.slow  # each rank imports torch
@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_exchange_every_gradient_once(scaling, ranks):
    found = scaling(ranks, "--device", "cpu")
    assert found["ranks"] == ranks
    assert found["all_reduced_bytes"] == 4 * sum(one.numel() for one in make_model("small", 10).parameters())
    assert found["all_reduces"] == 2  # buckets of 25 MiB, but the first of 1 MiB, that it may leave early


@pytest.mark.gpu
def test_gpus_keep_nine_tenths_of_their_speed(scaling):
    ranks = torch.cuda.device_count()
    if ranks < 2:
        pytest.skip("needs two GPUs")
    words = ["--model", "resnet50", "--image-size", "224", "--batch-size", "128", "--device", "cuda"]
    found = scaling(ranks, *words, seconds=20)
    assert found["efficiency"]["high"] >= 0.9  # broken where the whole interval is below
    assert found["all_reduced_bytes"] == 4 * sum(
        one.numel() for one in make_model("resnet50", 10).parameters()
    )
