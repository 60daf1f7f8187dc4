"""Run by torchrun in the tests: a few steps on each rank; what they exchanged and came to, as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

from perfsuite.training.distributed.fsdp import gather_full_state_dict
from perfsuite.training.distributed.ranks import AllReduceCounter, process_group, rank_from_torchrun
from perfsuite.training.step.presets import EAGER
from perfsuite.training.step.step import TrainingStep

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.training.tiny_models import batch_of, linear_model

task, out = sys.argv[1], Path(sys.argv[2])
torch.set_num_threads(1)
with process_group(rank_from_torchrun("cpu")) as rank:
    model = linear_model()
    with torch.no_grad():  # each its own weights: all must begin with the first one's
        for parameter in model.parameters():
            parameter += rank.index
    is_sharded = task.startswith("shards")
    wrapped = rank.wrap_fsdp(model) if is_sharded else rank.wrap_ddp(model) if rank.wrap_ddp else model
    counted = AllReduceCounter() if is_sharded or rank.world_size == 1 else AllReduceCounter.attach(wrapped)
    step = TrainingStep(wrapped, torch.optim.SGD(model.parameters(), lr=0.1), EAGER)
    images, labels = rank.select_rows(*batch_of(16))
    for number in range(3):
        if task in ("dies", "killed", "hangs") and rank.index == 1 and number == 2:
            (out / "dying").touch()
            if task == "dies":
                raise RuntimeError("planted: this rank has had enough")
            if task == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(600)
        parts = list(zip(images.split(2), labels.split(2), strict=True))
        step.accumulated(parts) if "accumulates" in task else step(images, labels)
    told = {
        "all_reduces": counted.all_reduces,
        "bytes": counted.all_reduced_bytes,
        "weights": torch.cat([one.flatten() for one in gather_full_state_dict(model).values()]).tolist(),
        "kept": sum(getattr(one, "_local_tensor", one).numel() for one in model.parameters()),
    }
    (out / f"{rank.index}.json").write_text(json.dumps(told))
