"""A script for torchrun: a few steps on each rank; writes the exchanges and the weights as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

from perfsuite.training.distributed.ddp import AllReduceCounter
from perfsuite.training.distributed.fsdp import gather_full_state_dict
from perfsuite.training.distributed.ranks import process_group, rank_from_torchrun
from perfsuite.training.step.presets import EAGER
from perfsuite.training.step.step import TrainingStep

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.training.tiny_models import linear_model, local_parameter_count, random_batch

task, out = sys.argv[1], Path(sys.argv[2])
torch.set_num_threads(1)
with process_group(rank_from_torchrun("cpu")) as rank:
    model = linear_model()
    with torch.no_grad():  # different weights per rank: all must start from those of the first
        for parameter in model.parameters():
            parameter.add_(rank.index)
    is_sharded = task.startswith("sharded")
    wrapped = rank.wrap_fsdp(model) if is_sharded else rank.wrap_ddp(model)
    exchanged = AllReduceCounter()
    if isinstance(wrapped, nn.parallel.DistributedDataParallel):
        exchanged = AllReduceCounter.attach(wrapped)
    step = TrainingStep(wrapped, torch.optim.SGD(model.parameters(), lr=0.1), EAGER)
    images, labels = rank.select_rows(*random_batch(16))
    for number in range(3):
        if task in ("dies", "killed", "hangs") and rank.index == 1 and number == 2:
            (out / "dying").touch()
            if task == "dies":
                raise RuntimeError("planted: this rank fails")
            if task == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(600)
        if "accumulates" in task:
            step.accumulate(list(zip(torch.split(images, 2), torch.split(labels, 2), strict=True)))
        else:
            step(images, labels)
    weights = [tensor.flatten() for tensor in gather_full_state_dict(model).values()]
    result = {
        "all_reduces": exchanged.all_reduces,
        "bytes": exchanged.all_reduced_bytes,
        "weights": torch.cat(weights).tolist(),
        "local_parameters": local_parameter_count(model),
    }
    (out / f"{rank.index}.json").write_text(json.dumps(result))
