"""Train an image classifier; without further options, on synthetic images.

  perfsuite train --epochs 1 --batch-size 32 --model-path m.pth
  perfsuite train --data-dir images/ --model resnet18 --epochs 20 --amp --channels-last --compile
  perfsuite train --data-dir cifar-10-batches-bin/ --model resnet18-cifar --epochs 30
  torchrun --nproc-per-node 2 -m perfsuite train --device cpu     --fsdp shards the parameters

--data-dir takes a folder with one folder of images per class, or CIFAR-10's binary version.
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
from perfsuite.cli.arguments import (
    FRACTION,
    NONNEGATIVE,
    NONNEGATIVE_INT,
    POSITIVE_INT,
    Options,
    add_augmentation_argument,
    add_batch_size_argument,
    add_data_dir_argument,
    add_image_size_argument,
    number,
)
from perfsuite.cli.training_progress import TrainingProgressBar
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.measure.measurement import GpuReadings
    from perfsuite.training.distributed.ranks import Rank
    from perfsuite.training.run.checkpoint import ModelSpec
    from perfsuite.training.run.evaluation import Evaluation
    from perfsuite.training.run.trainer import Trainer, TrainerOptions
    from perfsuite.training.run.training_data import TrainingData
    from perfsuite.training.step.presets import Preset


GPU_BUSY_PERCENT = 90


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_data_arguments(parser.add_argument_group("data"))
    _add_training_arguments(parser.add_argument_group("training"))
    preset_options.add_arguments(
        parser.add_argument_group("speed", "how fast the steps run, not what is learned")
    )
    _add_output_arguments(parser.add_argument_group("output"))


def _add_data_arguments(options: Options) -> None:
    add_data_dir_argument(options)
    add_image_size_argument(options, None, "64, or the data's")
    add_batch_size_argument(options)
    options.add_argument(
        "--num-workers", type=number(NONNEGATIVE_INT), metavar="N", help="loading workers (by CPU cores)"
    )
    add_augmentation_argument(options)


def _add_training_arguments(options: Options) -> None:
    options.add_argument(
        "--model", help="small, resnet18, resnet18-cifar, resnet50 (small, or that of the resumed run)"
    )
    options.add_argument(
        "--epochs", type=number(POSITIVE_INT), default=1, metavar="N", help="passes over the data (1)"
    )
    options.add_argument(
        "--lr", type=number(NONNEGATIVE), default=0.05, metavar="LR", help="peak learning rate (0.05)"
    )
    options.add_argument(
        "--schedule",
        default="cosine",
        choices=("cosine", "one_cycle", "constant"),
        help="of the learning rate (cosine)",
    )
    options.add_argument("--optimizer", default="sgd", choices=("sgd", "adamw"), help="(sgd)")
    options.add_argument(
        "--weight-decay",
        type=number(NONNEGATIVE),
        default=5e-4,
        help="of weights; not of norms and biases (5e-4)",
    )
    options.add_argument("--label-smoothing", type=number(FRACTION), default=0.0, help="(0)")
    options.add_argument(
        "--seed", type=number(NONNEGATIVE_INT), default=42, help="the same seed repeats a run (42)"
    )
    options.add_argument(
        "--on-nonfinite-loss",
        choices=("stop", "skip"),
        default="stop",
        help="where a loss is NaN or infinite (stop)",
    )


def _add_output_arguments(options: Options) -> None:
    options.add_argument(
        "--model-path", type=Path, default=Path("model.pth"), metavar="FILE", help="(model.pth)"
    )
    options.add_argument(
        "--checkpoint-every",
        type=number(POSITIVE_INT),
        metavar="STEPS",
        help="save a checkpoint after so many steps (after each epoch)",
    )
    options.add_argument("--resume", action="store_true", help="continue from the checkpoint in --model-path")
    options.add_argument("--log", type=Path, metavar="FILE", help="JSON lines (the model path, with .jsonl)")
    options.add_argument(
        "--mlflow",
        nargs="?",
        const="sqlite:///mlflow.db",
        metavar="URI",
        help="log to MLflow too (sqlite:///mlflow.db)",
    )
    options.add_argument("--quiet", action="store_true", help="print no progress")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.training.distributed.ranks import process_group, rank_from_torchrun

    if arguments.model_path.is_dir():
        raise UsageError(f"train: --model-path {arguments.model_path} is a folder, expected a file in one")
    model_name = arguments.model or _default_model_name(arguments)
    with process_group(rank_from_torchrun(arguments.device)) as rank:
        preset = preset_options.preset_from_arguments(arguments, rank.device)
        if arguments.fastest is not None:
            preset = preset_options.search_fastest(arguments, model_name, preset, rank)
        _train(arguments, model_name, preset, rank)
    return 0


def _train(arguments: argparse.Namespace, model_name: str, preset: Preset, rank: Rank) -> None:
    from perfsuite.measure.gpu import monitor_gpu
    from perfsuite.training.run.checkpoint import ModelSpec

    bar = TrainingProgressBar(quiet=arguments.quiet or not rank.is_first)
    log = arguments.log or arguments.model_path.with_suffix(".jsonl")
    with ExitStack() as cleanup:
        data = _open_data(arguments, preset, rank, bar)
        cleanup.callback(data.close)
        settings = _logged_settings(arguments, model_name, preset, rank.world_size)
        callbacks, mlflow = _loggers(arguments, settings, log) if rank.is_first else ([], None)
        spec = ModelSpec(model_name, data.class_names, data.image_size, data.mean, data.std)
        trainer = _make_trainer(arguments, spec, data, preset, rank, [bar, *callbacks])
        try:
            if arguments.resume:
                trainer.resume(arguments.model_path)
            if not bar.quiet:
                print(_start_message(trainer), file=sys.stderr)
            with bar, monitor_gpu() as gpu:
                trainer.fit()
            evaluation = trainer.evaluate(data.test) if data.test is not None else None
        except BaseException:
            if mlflow is not None:
                mlflow.finish(status="FAILED")
            raise
    if rank.is_first:
        if gpu.readings is not None and rank.device.type == "cuda":
            print(_gpu_use_message(gpu.readings))
        _print_summary(trainer, evaluation, arguments.model_path, log)
    if mlflow is not None:
        mlflow.finish(arguments.model_path, log)


def _open_data(
    arguments: argparse.Namespace, preset: Preset, rank: Rank, bar: TrainingProgressBar
) -> TrainingData:
    from perfsuite.training.run.training_data import open_training_data

    return open_training_data(
        arguments.data_dir,
        batch_size=arguments.batch_size,
        image_size=arguments.image_size,
        workers=arguments.num_workers,
        mode=arguments.augmentation_mode,
        seed=arguments.seed,
        rank=rank,
        channels_last=preset.channels_last,
        progress=bar.on_synthesis,
    )


def _start_message(trainer: Trainer) -> str:
    start = f" from step {trainer.steps_done + 1}" if trainer.steps_done else ""
    model = f"{trainer.spec.model}, {len(trainer.spec.class_names)} classes"
    return f"{model}, {trainer.preset.name} on {trainer.device}: {trainer.steps} steps{start}"


def _default_model_name(arguments: argparse.Namespace) -> str:
    from perfsuite.training.run.checkpoint import Checkpoint

    return Checkpoint.load(arguments.model_path).spec.model if arguments.resume else "small"


def _trainer_options(arguments: argparse.Namespace) -> TrainerOptions:
    from perfsuite.training.run.trainer import TrainerOptions

    return TrainerOptions(
        epochs=arguments.epochs,
        learning_rate=arguments.lr,
        schedule=arguments.schedule,
        optimizer=arguments.optimizer,
        weight_decay=arguments.weight_decay,
        label_smoothing=arguments.label_smoothing,
        seed=arguments.seed,
        on_bad_loss=arguments.on_nonfinite_loss,
        checkpoint_every=arguments.checkpoint_every,
    )


def _make_trainer(
    arguments: argparse.Namespace,
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
        options=_trainer_options(arguments),
        preset=preset,
        device=rank.device,
        checkpoint_path=arguments.model_path,
        callbacks=callbacks,
        wrap=rank.wrap_fsdp if arguments.fsdp else rank.wrap_ddp,
        writes_checkpoints=rank.is_first,
    )


def _logged_settings(
    arguments: argparse.Namespace, model_name: str, preset: Preset, world_size: int
) -> dict[str, Any]:
    import torch

    from perfsuite.measure.environment import detect_environment

    return asdict(_trainer_options(arguments)) | {
        "preset": preset.name,
        "model": model_name,
        "batch_size": arguments.batch_size,
        "data_dir": str(arguments.data_dir or "synthetic images"),
        "device": arguments.device,
        "world_size": world_size,
        "fsdp": arguments.fsdp,
        "threads": torch.get_num_threads(),
        **detect_environment().hard,
        "torch": str(torch.__version__),
    }


def _loggers(
    arguments: argparse.Namespace, settings: dict[str, Any], log: Path
) -> tuple[list[Any], Any | None]:
    """The trainer's callbacks that log, and MLflow's among them where it was asked for."""
    from perfsuite.training.run.tracking import JsonLinesLogger, MlflowLogger

    lines = JsonLinesLogger(log, settings, resumed=arguments.resume)
    if arguments.mlflow is None:
        return [lines], None
    mlflow = MlflowLogger(arguments.mlflow, settings, name=arguments.model_path.stem)
    return [lines, mlflow], mlflow


def _gpu_use_message(readings: GpuReadings) -> str:
    busy = f"the GPU was busy {readings.utilization_percent:.0f} % of the time, by NVML"
    if readings.utilization_percent >= GPU_BUSY_PERCENT:
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
