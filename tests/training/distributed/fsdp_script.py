"""A script for torchrun: one training with whole and sharded parameters; writes the differences as JSON."""

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
from torch import Tensor

from perfsuite.errors import PerfsuiteError
from perfsuite.training.devices import TensorBatch
from perfsuite.training.distributed.fsdp import gather_full_state_dict, gather_full_tensors
from perfsuite.training.distributed.ranks import Rank, process_group, rank_from_torchrun
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.run.trainer import Trainer, TrainerOptions
from perfsuite.training.step.presets import CHANNELS_LAST, COMPILED, EAGER, FP16, FUSED, Preset
from perfsuite.training.step.step import TrainingStep

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.training.run.test_trainer import Killed, KilledAt
from tests.training.tiny_models import linear_model, local_parameter_count, random_batch

out = Path(sys.argv[1])
path = out / "m.pth"
SPEC = ModelSpec("small", ("cat", "dog", "fish"), image_size=16)
OPTIONS = TrainerOptions(epochs=2, learning_rate=0.02, read_losses_every=1, checkpoint_every=1)
PRESETS = {
    "eager": EAGER,
    "accumulated": Preset(accumulate=2),
    "activation_checkpointing": Preset(activation_checkpointing=True),
    "clipped": Preset(clip_norm=0.5),
    "bf16": Preset(precision="bf16"),
    "channels_last": CHANNELS_LAST,
}


def rank_batches(rank: Rank, count: int) -> list[TensorBatch]:
    images, labels = rank.select_rows(*random_batch(count, size=16))
    return list(zip(torch.split(images, 4), torch.split(labels, 4), strict=True))


def make_trainer(rank: Rank, preset: Preset = EAGER, *, fsdp: bool = True, **options: Any) -> Trainer:
    # The ranks train on as many batches each, and evaluate different numbers of them.
    val = [random_batch(3, size=16)] * (1 + rank.index)
    keywords: dict[str, Any] = {"options": OPTIONS, "preset": preset, "rank": rank, "fsdp": fsdp} | options
    return Trainer(SPEC, rank_batches(rank, 40), val, **keywords)


def max_difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    return max((first[name].double() - second[name].double()).abs().max().item() for name in first)


def trained_weights(trainer: Trainer) -> dict[str, Tensor]:
    trainer.fit()
    return gather_full_state_dict(trainer.unwrapped_model)


def trained_weights_in_double(rank: Rank, preset: Preset) -> dict[str, Tensor]:
    """Train in float64.

    In float32, 20 steps with BatchNorm over 4 small images amplify the rounding of another memory layout to
    6e-4 on some CPUs, which would hide a wrong gradient of that size.
    """
    torch.set_default_dtype(torch.float64)
    try:
        return trained_weights(make_trainer(rank, preset, fsdp=False))
    finally:
        torch.set_default_dtype(torch.float32)


def refusal(make: Callable[[], object]) -> str:
    try:
        make()
    except PerfsuiteError as error:
        return str(error)
    return ""


def change_layout_after_wrapping(rank: Rank) -> TrainingStep:
    model = linear_model()
    return TrainingStep(rank.wrap_ddp(model), torch.optim.SGD(model.parameters(), lr=0.1), CHANNELS_LAST)


def skip_bad_loss_of_one_rank(rank: Rank) -> tuple[int, bool]:
    """Return the number of skipped steps, and whether the weights stayed finite."""
    model = linear_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = TrainingStep(rank.wrap_ddp(model), optimizer, skip_bad_loss=True)
    images, labels = random_batch(4, seed=rank.index)
    step(images * math.nan if rank.index == 1 else images, labels)
    return step.steps_skipped, all(bool(weight.isfinite().all()) for weight in model.parameters())


def skip_bad_gradients_of_one_rank(rank: Rank, *, fsdp: bool) -> tuple[int, int, bool]:
    """Return the skipped steps, those in a row after a good step, and whether the weights stayed finite."""

    def loss_of(scores: Tensor, labels: Tensor) -> Tensor:
        if rank.index == 1 and step.steps_skipped < 2:
            scores.register_hook(lambda gradient: gradient * math.nan)  # type: ignore[no-untyped-call]
        return torch.nn.functional.cross_entropy(scores, labels)

    model = linear_model()
    wrapped = rank.wrap_fsdp(model) if fsdp else rank.wrap_ddp(model)
    step = TrainingStep(
        wrapped, torch.optim.SGD(model.parameters(), lr=0.1), loss=loss_of, skip_bad_loss=True
    )
    for _ in range(3):
        step(*random_batch(4, seed=rank.index))
    weights = gather_full_state_dict(model)
    is_finite = all(bool(weight.isfinite().all()) for weight in weights.values())
    return step.steps_skipped, step.skipped_in_a_row, is_finite


torch.set_num_threads(1)
with process_group(rank_from_torchrun("cpu")) as rank:
    whole: dict[str, dict[str, Tensor]] = {}
    sharded_vs_whole: dict[str, float] = {}
    for name, preset in PRESETS.items():
        whole[name] = trained_weights(make_trainer(rank, preset, fsdp=False))
        sharded_vs_whole[name] = max_difference(whole[name], trained_weights(make_trainer(rank, preset)))
    result: dict[str, Any] = {"sharded_vs_whole": sharded_vs_whole}
    eager = trained_weights_in_double(rank, EAGER)
    result["preset_vs_eager"] = {
        name: max_difference(eager, trained_weights_in_double(rank, PRESETS[name]))
        for name in ("channels_last", "activation_checkpointing")
    }
    uninterrupted = make_trainer(rank)
    result["local_parameters"] = local_parameter_count(uninterrupted.unwrapped_model)
    result["all_parameters"] = sum(parameter.numel() for parameter in SPEC.build().parameters())
    expected = trained_weights(uninterrupted)
    evaluation = uninterrupted.evaluate(rank_batches(rank, 24))
    result["evaluated_images"] = evaluation.images if evaluation else 0
    try:
        make_trainer(rank, checkpoint_path=path, callbacks=[KilledAt(8)]).fit()
    except Killed:
        torch.distributed.barrier()
    result["steps_done"] = Checkpoint.load(path).training["steps_done"]
    for kind in ("sharded", "whole"):
        resumed = make_trainer(rank, fsdp=kind == "sharded")
        resumed.resume(path)
        result[f"resumed_{kind}_difference"] = max_difference(expected, trained_weights(resumed))
    momentum = gather_full_tensors(uninterrupted.step.optimizer.state_dict())["state"][0]["momentum_buffer"]
    result["momentum_shape"] = list(momentum.shape)
    result["skipped"] = skip_bad_loss_of_one_rank(rank)
    result["skipped_gradients"] = [skip_bad_gradients_of_one_rank(rank, fsdp=fsdp) for fsdp in (False, True)]
    result["refusals"] = [refusal(partial(make_trainer, rank, preset)) for preset in (FP16, COMPILED, FUSED)]
    result["layout_refusal"] = refusal(partial(change_layout_after_wrapping, rank))
    other_seed = make_trainer(rank, options=replace(OPTIONS, seed=7))
    result["other_seed_difference"] = max_difference(expected, trained_weights(other_seed))
    (out / f"{rank.index}.json").write_text(json.dumps(result))
