"""Train an image classifier; without further options, on synthetic images.

  perfsuite train --epochs 1 --batch-size 32 --model-path m.pth
  perfsuite train --data-dir images/ --model resnet18 --epochs 20 --amp --channels-last --compile
  perfsuite train --config train.toml --lr 0.1
  perfsuite train --data-dir cifar-10-batches-bin/ --model resnet18-cifar --epochs 30
  torchrun --nproc-per-node 2 -m perfsuite train --device cpu    # or --fsdp: sharded parameters

--data-dir takes a folder with one folder of images per class, or CIFAR-10's binary version.
A config file (TOML, or YAML) has the same names (batch_size = 32, amp = true); the command line wins.
To continue a run that was stopped, repeat its options and add --resume.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.cli import preset_options
from perfsuite.cli.fault_lines import fault_lines
from perfsuite.cli.output import print_message
from perfsuite.cli.train_options import TrainOptions, add_arguments
from perfsuite.cli.training_progress import TrainingProgressBar
from perfsuite.cli.training_resources import EpochResourceMeter
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.training.distributed.ranks import Rank
    from perfsuite.training.run.checkpoint import ModelSpec
    from perfsuite.training.run.evaluation import Evaluation
    from perfsuite.training.run.tracking import RunLogger
    from perfsuite.training.run.trainer import Trainer, TrainerOptions
    from perfsuite.training.run.training_data import TrainingData
    from perfsuite.training.step.presets import Preset


__all__ = ["add_arguments", "run"]

GPU_BUSY_PERCENT = 90


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.training.distributed.ranks import process_group, rank_from_torchrun
    from perfsuite.training.step.optimizers import check_optimizer_name

    options = TrainOptions.from_arguments(arguments)
    check_optimizer_name(options.optimizer)
    if options.model_path.is_dir():
        raise UsageError(f"train: --model-path {options.model_path} is a folder, expected a file in one")
    model_name = options.model or _default_model_name(options)
    with process_group(rank_from_torchrun(options.speed.device)) as rank:
        _train(options, model_name, _choose_preset(options, model_name, rank), rank)
    return 0


def _choose_preset(options: TrainOptions, model_name: str, rank: Rank) -> Preset:
    from perfsuite.training.run.training_data import resolve_image_size

    preset = preset_options.describe_preset(options.speed, rank.device)
    if options.speed.fastest is None:
        return preset
    return preset_options.search_fastest(
        options.speed,
        model_name,
        preset,
        rank,
        batch_size=options.batch_size,
        image_size=resolve_image_size(options.data_dir, options.image_size),
        is_resumed=options.resume,
    )


def _train(options: TrainOptions, model_name: str, preset: Preset, rank: Rank) -> None:
    from perfsuite.measure.gpu import monitor_gpu
    from perfsuite.training.run.checkpoint import ModelSpec

    bar = TrainingProgressBar(quiet=options.quiet or not rank.is_first)
    with ExitStack() as cleanup:
        data = _open_data(options, preset, rank, bar)
        cleanup.callback(data.close)
        settings = _logged_settings(options, model_name, preset, data, rank.world_size)
        loggers = _open_loggers(options, settings) if rank.is_first else []
        resources = EpochResourceMeter(loggers, rank.world_size)
        spec = ModelSpec(model_name, data.class_names, data.image_size, data.mean, data.std)
        trainer = _make_trainer(options, spec, data, preset, rank, [bar, *loggers, resources])
        status = "FAILED"
        try:
            if options.resume:
                trainer.resume(options.model_path)
            if not bar.quiet:
                print(_start_message(trainer), file=sys.stderr)
            with bar, resources, monitor_gpu(str(rank.device)) as gpu:
                trainer.fit()
            evaluation = trainer.evaluate(data.test) if data.test is not None else None
            status = "FINISHED"
        finally:
            for logger in loggers:
                logger.finish(status, _outcome(trainer), [options.model_path, options.log_path])
            for line in fault_lines(data.fault_logs()):
                print_message(line)
    if rank.is_first:
        percent = None if gpu.readings is None else gpu.readings.utilization_percent
        if percent is not None and rank.device.type == "cuda":
            print(_gpu_use_message(percent))
        _print_summary(trainer, evaluation, options.model_path, options.log_path)


def _outcome(trainer: Trainer) -> dict[str, Any]:
    """Return what is known of a run only once it has run; `preset` is what ran, also after a fallback."""
    return {
        "preset": trainer.effective_preset.name,
        "compile_fallback": trainer.step.fallback_reason,
        "engine": getattr(trainer.train, "engine", None),
        "steps_done": trainer.steps_done,
        "steps_skipped": trainer.step.steps_skipped,
    }


def _open_data(options: TrainOptions, preset: Preset, rank: Rank, bar: TrainingProgressBar) -> TrainingData:
    from perfsuite.training.run.training_data import open_training_data

    return open_training_data(
        options.data_dir,
        batch_size=options.batch_size,
        image_size=options.image_size,
        workers=options.num_workers,
        mode=options.augmentation_mode,
        on_error=options.on_error,
        seed=options.seed,
        rank=rank,
        channels_last=preset.channels_last,
        progress=bar.on_synthesis,
        settings=options.settings,
    )


def _start_message(trainer: Trainer) -> str:
    start = f" from step {trainer.steps_done + 1}" if trainer.steps_done else ""
    model = f"{trainer.spec.model}, {len(trainer.spec.class_names)} classes"
    return f"{model}, {trainer.preset.name} on {trainer.device}: {trainer.steps} steps{start}"


def _default_model_name(options: TrainOptions) -> str:
    from perfsuite.training.run.checkpoint import Checkpoint

    return Checkpoint.load(options.model_path).spec.model if options.resume else "small"


def _trainer_options(options: TrainOptions) -> TrainerOptions:
    from perfsuite.training.run.trainer import TrainerOptions

    return TrainerOptions(
        epochs=options.epochs,
        learning_rate=options.lr,
        schedule=options.schedule,
        optimizer=options.optimizer,
        weight_decay=options.weight_decay,
        label_smoothing=options.label_smoothing,
        seed=options.seed,
        on_bad_loss=options.on_nonfinite_loss,
        checkpoint_every=options.checkpoint_every,
    )


def _make_trainer(
    options: TrainOptions,
    spec: ModelSpec,
    data: TrainingData,
    preset: Preset,
    rank: Rank,
    callbacks: list[Any],
) -> Trainer:
    from perfsuite.training.run.trainer import Trainer

    return Trainer(
        spec=spec,
        train=data.train,
        val=data.val,
        options=_trainer_options(options),
        preset=preset,
        rank=rank,
        fsdp=options.speed.fsdp,
        checkpoint_path=options.model_path,
        callbacks=callbacks,
    )


def _logged_settings(
    options: TrainOptions, model_name: str, preset: Preset, data: TrainingData, world_size: int
) -> dict[str, Any]:
    import torch

    from perfsuite.measure.environment import detect_environment

    return asdict(_trainer_options(options)) | {
        "requested_preset": preset.name,
        "clip_norm": preset.clip_norm,
        "model": model_name,
        "batch_size": options.batch_size,
        "image_size": data.image_size,
        "num_workers": data.num_workers,
        "augmentation_mode": data.augmentation_mode,
        "on_error": options.on_error,
        "data_dir": str(options.data_dir or "synthetic images"),
        "device": options.speed.device,
        "world_size": world_size,
        "fsdp": options.speed.fsdp,
        "threads": torch.get_num_threads(),
        **detect_environment().hard,
        "torch": str(torch.__version__),
    }


def _open_loggers(options: TrainOptions, settings: dict[str, Any]) -> list[RunLogger]:
    from perfsuite.training.run.tracking import JsonLinesLogger, MlflowLogger

    loggers: list[RunLogger] = [JsonLinesLogger(options.log_path, settings, resumed=options.resume)]
    if options.mlflow is not None:
        loggers.append(MlflowLogger(options.mlflow, settings, name=options.model_path.stem))
    return loggers


def _gpu_use_message(percent: float) -> str:
    busy = f"the GPU was busy {percent:.0f} % of the time, by NVML"
    if percent >= GPU_BUSY_PERCENT:
        return busy
    return (
        f"{busy}, expected {GPU_BUSY_PERCENT} % or more; "
        "`perfsuite profile loading` names the slowest stage of loading"
    )


def _print_summary(trainer: Trainer, evaluation: Evaluation | None, path: Path, log: Path) -> None:
    if trainer.step.fallback_reason is not None:
        print(f"not compiled: {trainer.step.fallback_reason}")
    elif trainer.preset.is_compiled:
        counts = trainer.step.compile_counts
        print(
            f"compiled: {counts.graphs} graphs, {counts.graph_breaks} graph breaks, "
            f"{trainer.step.recompiles} recompiles"
        )
    if evaluation is not None:
        print(
            f"test accuracy {evaluation.accuracy:.1%} of {evaluation.images} images, "
            f"loss {evaluation.loss:.3f}"
        )
    print(f"{path}: {trainer.spec.model}, {len(trainer.spec.class_names)} classes; log in {log}")
