"""Run by torchrun in the tests: one training with whole and with sharded parameters; its ends, compared."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from perfsuite.errors import PerfsuiteError
from perfsuite.training.distributed.fsdp import gather_full_state_dict, gather_full_tensors
from perfsuite.training.distributed.ranks import process_group, rank_from_torchrun
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.run.trainer import Trainer, TrainerOptions
from perfsuite.training.step.presets import CHANNELS_LAST, COMPILED, EAGER, FP16, FUSED, Preset
from perfsuite.training.step.step import TrainingStep

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.training.run.test_trainer import Killed, KilledAt
from tests.training.tiny_models import batch_of, linear_model

out = Path(sys.argv[1])
path = out / "m.pth"
RECIPE = ModelSpec("small", ("cat", "dog", "fish"), image_size=16)
OPTIONS = TrainerOptions(epochs=2, learning_rate=0.02, read_losses_every=1, checkpoint_every=1)
PRESETS = {
    "eager": EAGER,
    "accumulated": Preset(accumulate=2),
    "checkpointing": Preset(checkpointing=True),
    "clipped": Preset(clip_norm=0.5),
    "bf16": Preset(precision="bf16"),
    "channels_last": CHANNELS_LAST,
}


def batches(rank: Any, count: int) -> list[tuple[Tensor, Tensor]]:
    images, labels = rank.select_rows(*batch_of(count, size=16))
    return list(zip(images.split(4), labels.split(4), strict=True))


def trainer_of(rank: Any, preset: Preset = EAGER, *, sharded: bool = True, **more: Any) -> Trainer:
    # As many batches to learn from on each rank, another number to look at.
    looked_at = [batch_of(3, size=16)] * (1 + rank.index)
    wrap = rank.shard if sharded else rank.wrap
    options = {"options": OPTIONS, "preset": preset, "writes": rank.is_first} | more
    return Trainer(RECIPE, batches(rank, 40), looked_at, wrap=wrap, **options)


def farthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max((one[name].double() - other[name].double()).abs().max().item() for name in one)


def end_of(trainer: Trainer) -> dict[str, Tensor]:
    trainer.fit()
    return gather_full_state_dict(trainer.unwrapped_model)


def kept_numbers(model: nn.Module) -> int:
    return sum(getattr(one, "_local_tensor", one).numel() for one in model.parameters())


def refusal(make: Callable[[], object]) -> str:
    try:
        make()
    except PerfsuiteError as error:
        return str(error)
    return ""


def too_late(rank: Any) -> TrainingStep:
    """The layout of weights, changed after they were wrapped."""
    model = linear_model()
    return TrainingStep(rank.wrap(model), torch.optim.SGD(model.parameters(), lr=0.1), CHANNELS_LAST)


def skipped(rank: Any) -> tuple[int, bool]:
    """A loss that is no number on one rank: all take the step back."""
    model = linear_model()
    step = TrainingStep(rank.wrap(model), torch.optim.SGD(model.parameters(), lr=0.1), skip_bad_loss=True)
    images, labels = batch_of(4, seed=rank.index)
    step(images * math.nan if rank.index == 1 else images, labels)
    return step.steps_skipped, all(bool(one.isfinite().all()) for one in model.parameters())


torch.set_num_threads(1)
with process_group(rank_from_torchrun("cpu")) as rank:
    told: dict[str, Any] = {"from_plain": {}}
    plain: dict[str, dict[str, Tensor]] = {}
    for name, preset in PRESETS.items():
        plain[name] = end_of(trainer_of(rank, preset, sharded=False))
        told["from_plain"][name] = farthest(plain[name], end_of(trainer_of(rank, preset)))
    told["from_eager"] = {
        name: farthest(plain["eager"], plain[name]) for name in ("channels_last", "checkpointing")
    }
    uninterrupted = trainer_of(rank)
    told["kept"] = kept_numbers(uninterrupted.unwrapped_model)
    told["all"] = sum(one.numel() for one in RECIPE.build().parameters())
    expected = end_of(uninterrupted)
    told["looked_at"] = uninterrupted.evaluate(batches(rank, 24)).images
    try:
        trainer_of(rank, checkpoint_path=path, watchers=[KilledAt(8)]).fit()
    except Killed:
        torch.distributed.barrier()
    told["steps_done"] = Checkpoint.load(path).training["steps_done"]
    for kind in ("sharded", "plain"):
        resumed = trainer_of(rank, sharded=kind == "sharded")
        resumed.resume(path)
        told[f"resumed_{kind}"] = farthest(expected, end_of(resumed))
    momentum = gather_full_tensors(uninterrupted.step.optimizer.state_dict())["state"][0]["momentum_buffer"]
    told["momentum_shape"] = list(momentum.shape)
    told["skipped"] = skipped(rank)
    told["refused"] = [refusal(partial(trainer_of, rank, preset)) for preset in (FP16, COMPILED, FUSED)]
    told["too_late"] = refusal(partial(too_late, rank))
    told["other_seed"] = farthest(expected, end_of(trainer_of(rank, options=replace(OPTIONS, seed=7))))
    (out / f"{rank.index}.json").write_text(json.dumps(told))
