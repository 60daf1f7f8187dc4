"""Run by torchrun in the tests: a few steps on each rank; what they exchanged and came to, as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from perfsuite.training.distributed import Exchanged, joined, rank_of_torchrun
from perfsuite.training.presets import EAGER
from perfsuite.training.step import TrainingStep

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.training.learners import batch_of, linear_model

task, out = sys.argv[1], Path(sys.argv[2])
torch.set_num_threads(1)
with joined(rank_of_torchrun("cpu")) as rank:
    torch.manual_seed(rank.index)  # each its own weights: DDP must begin with the first one's
    model = linear_model() if rank.is_first else nn.Sequential(*linear_model().children())
    wrapped = rank.wrap(model) if rank.wrap else model
    counted = Exchanged.by(wrapped) if rank.world_size > 1 else Exchanged()
    step = TrainingStep(wrapped, torch.optim.SGD(model.parameters(), lr=0.1), EAGER)
    images, labels = rank.share(*batch_of(16))
    for number in range(3):
        if task == "dies" and rank.index == 1 and number == 2:
            raise RuntimeError("planted: this rank has had enough")
        if task == "killed" and rank.index == 1 and number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        parts = list(zip(images.split(2), labels.split(2), strict=True))
        step.accumulated(parts) if task == "accumulates" else step(images, labels)
    told = {
        "all_reduces": counted.all_reduces,
        "bytes": counted.bytes,
        "weights": torch.cat([one.detach().flatten() for one in model.parameters()]).tolist(),
    }
    (out / f"{rank.index}.json").write_text(json.dumps(told))
