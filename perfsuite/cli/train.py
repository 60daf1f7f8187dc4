"""Train an image classifier; with nothing else given, on images made here.

  perfsuite train --epochs 1 --batch-size 32 --model-path m.pth
  perfsuite train --data-dir images/ --model resnet18 --epochs 20 --amp --channels-last --compile
  perfsuite train --data-dir cifar-10-batches-bin/ --model resnet18-cifar --epochs 30
  torchrun --nproc-per-node 2 -m perfsuite train --device cpu     --fsdp shards the parameters

--data-dir takes a folder with a folder of images for each class, or CIFAR-10's binary version.
A run that was stopped goes on with the same options and --resume.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.cli import train_preset
from perfsuite.cli.arguments import fraction, nonnegative_float, nonnegative_int, positive_int
from perfsuite.cli.train_progress import TrainingProgressBar
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfsuite.measure.measurement import GpuReadings
    from perfsuite.training.run.evaluation import Evaluation
    from perfsuite.training.run.trainer import Trainer, TrainerOptions
    from perfsuite.training.run.training_data import TrainingData
    from perfsuite.training.step.presets import Preset


GPU_BUSY_PERCENT = 90


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    data = parser.add_argument_group("data")
    data.add_argument("--data-dir", type=Path, metavar="DIR", help="images; without it they are made here")
    data.add_argument(
        "--image-size", type=positive_int, metavar="PX", help="side in pixels (64, or the data's)"
    )
    data.add_argument(
        "--workers", "--num-workers", type=nonnegative_int, metavar="N", help="loading processes"
    )
    data.add_argument(
        "--mode",
        "--augmentation-mode",
        metavar="MODE",
        help="augmentation: conservative, moderate, aggressive",
    )
    learning = parser.add_argument_group("learning")
    learning.add_argument(
        "--model", help="small, resnet18, resnet18-cifar, resnet50 (small, or that of the run resumed)"
    )
    learning.add_argument(
        "--epochs", type=positive_int, default=1, metavar="N", help="passes over the data (1)"
    )
    learning.add_argument(
        "--batch-size", type=positive_int, default=32, metavar="N", help="images a batch (32)"
    )
    learning.add_argument(
        "--learning-rate", "--lr", type=nonnegative_float, default=0.05, help="at its peak (0.05)"
    )
    learning.add_argument("--schedule", default="cosine", choices=("cosine", "one_cycle", "constant"))
    learning.add_argument("--optimizer", default="sgd", choices=("sgd", "adamw"))
    learning.add_argument(
        "--weight-decay", type=nonnegative_float, default=5e-4, help="of convolutions, not norms (5e-4)"
    )
    learning.add_argument("--label-smoothing", type=fraction, default=0.0, help="(0)")
    learning.add_argument("--seed", type=nonnegative_int, default=42, help="the same seed, the same run (42)")
    learning.add_argument(
        "--on-bad-loss", choices=("stop", "skip"), default="stop", help="when a loss is no number (stop)"
    )
    train_preset.add_arguments(
        parser.add_argument_group("speed", "what changes how fast, not what is learned")
    )
    kept = parser.add_argument_group("what is kept")
    kept.add_argument(
        "--model-path", type=Path, default=Path("model.pth"), metavar="FILE", help="(model.pth)"
    )
    kept.add_argument(
        "--checkpoint-every", type=positive_int, metavar="STEPS", help="beside each epoch's end"
    )
    kept.add_argument("--resume", action="store_true", help="go on where --model-path was left")
    kept.add_argument("--log", type=Path, metavar="FILE", help="JSON lines (the model path, .jsonl)")
    kept.add_argument(
        "--mlflow",
        nargs="?",
        const="sqlite:///mlflow.db",
        metavar="URI",
        help="log to MLflow too (sqlite:///mlflow.db)",
    )
    kept.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.measure.gpu import monitor_gpu
    from perfsuite.training.distributed.ranks import process_group, rank_from_torchrun
    from perfsuite.training.run.training_data import open_training_data

    if arguments.model_path.is_dir():
        raise UsageError(f"train: --model-path {arguments.model_path} is a folder, expected a file in one")
    arguments.model = arguments.model or _default_model(arguments)
    with process_group(rank_from_torchrun(arguments.device)) as rank:
        preset = train_preset.preset_from_arguments(arguments, rank.device)
        if arguments.fastest is not None:
            preset = train_preset.search_fastest(arguments, preset, rank)
        bar = TrainingProgressBar(quiet=arguments.quiet or not rank.is_first)
        source = open_training_data(
            arguments.data_dir,
            batch_size=arguments.batch_size,
            image_size=arguments.image_size,
            workers=arguments.workers,
            mode=arguments.mode,
            seed=arguments.seed,
            rank=rank,
            channels_last=preset.channels_last,
            progress=bar.on_synthesis,
        )
        log = arguments.log or arguments.model_path.with_suffix(".jsonl")
        settings = _settings(arguments, preset, rank.world_size)
        watchers: list[Any] = [bar]
        if rank.is_first:
            from perfsuite.training.run.tracking import JsonLinesLogger

            watchers.append(JsonLinesLogger(log, settings, resumed=arguments.resume))
        mlflow = _mlflow(arguments, settings) if rank.is_first else None
        if mlflow is not None:
            watchers.append(mlflow)
        trainer = _trainer(arguments, source, preset, rank, watchers)
        try:
            if arguments.resume:
                trainer.resume(arguments.model_path)
            if not bar.quiet:
                print(_start_message(trainer), file=sys.stderr)
            with bar, monitor_gpu() as watch:
                trainer.fit()
            tested = trainer.evaluate(source.test) if source.test is not None else None
        except BaseException:
            if mlflow is not None:
                mlflow.finish(status="FAILED")
            raise
        finally:
            source.close()
        if rank.is_first:
            if watch.readings is not None and rank.device.type == "cuda":
                print(_gpu_use_message(watch.readings))
            _print_summary(trainer, tested, arguments.model_path, log)
        if mlflow is not None:
            mlflow.finish(arguments.model_path, log)
    return 0


def _start_message(trainer: Trainer) -> str:
    at = f" from step {trainer.steps_done + 1}" if trainer.steps_done else ""
    what = f"{trainer.spec.model}, {len(trainer.spec.class_names)} classes"
    return f"{what}, {trainer.preset.name} on {trainer.device}: {trainer.steps} steps{at}"


def _default_model(arguments: argparse.Namespace) -> str:
    from perfsuite.training.run.checkpoint import Checkpoint

    return Checkpoint.load(arguments.model_path).spec.model if arguments.resume else "small"


def _trainer_options(arguments: argparse.Namespace) -> TrainerOptions:
    from perfsuite.training.run.trainer import TrainerOptions

    return TrainerOptions(
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        schedule=arguments.schedule,
        optimizer=arguments.optimizer,
        weight_decay=arguments.weight_decay,
        label_smoothing=arguments.label_smoothing,
        seed=arguments.seed,
        on_bad_loss=arguments.on_bad_loss,
        checkpoint_every=arguments.checkpoint_every,
    )


def _trainer(
    arguments: argparse.Namespace, source: TrainingData, preset: Preset, rank: Any, watchers: Sequence[Any]
) -> Trainer:
    from perfsuite.training.run.checkpoint import ModelSpec
    from perfsuite.training.run.trainer import Trainer

    return Trainer(
        spec=ModelSpec(arguments.model, source.class_names, source.image_size, source.mean, source.std),
        train=source.train,
        val=source.val,
        options=_trainer_options(arguments),
        preset=preset,
        device=rank.device,
        checkpoint_path=arguments.model_path,
        callbacks=watchers,
        wrap=rank.shard if arguments.fsdp else rank.wrap_ddp,
        writes_checkpoints=rank.is_first,
    )


def _settings(arguments: argparse.Namespace, preset: Preset, world_size: int) -> dict[str, Any]:
    import torch

    from perfsuite.measure.environment import detect_environment

    return asdict(_trainer_options(arguments)) | {
        "preset": preset.name,
        "model": arguments.model,
        "batch_size": arguments.batch_size,
        "data_dir": str(arguments.data_dir or "images made here"),
        "device": arguments.device,
        "world_size": world_size,
        "fsdp": arguments.fsdp,
        "threads": torch.get_num_threads(),
        **detect_environment().hard,
        "torch": str(torch.__version__),
    }


def _mlflow(arguments: argparse.Namespace, settings: dict[str, Any]) -> Any:
    if arguments.mlflow is None:
        return None
    from perfsuite.training.run.tracking import MlflowLogger

    return MlflowLogger(arguments.mlflow, settings, name=arguments.model_path.stem)


def _gpu_use_message(readings: GpuReadings) -> str:
    busy = f"the GPU was busy {readings.utilization_percent:.0f} % of the time, by NVML"
    if readings.utilization_percent >= GPU_BUSY_PERCENT:
        return busy
    expected = f"expected {GPU_BUSY_PERCENT} % or more"
    return f"{busy}, {expected}; `perfsuite profile loading` says what loading waits for"


def _print_summary(trainer: Trainer, tested: Evaluation | None, path: Path, log: Path) -> None:
    if trainer.step.fallback_reason is not None:
        print(f"not compiled: {trainer.step.fallback_reason}")
    elif trainer.preset.is_compiled:
        done = trainer.step.compile_counts
        print(
            f"compiled: {done.graphs} graphs, {done.graph_breaks} graph breaks, "
            f"{trainer.step.recompiles} recompiles"
        )
    if tested is not None:
        print(f"test accuracy {tested.accuracy:.1%} of {tested.images} images, loss {tested.loss:.3f}")
    print(f"{path}: {trainer.spec.model}, {len(trainer.spec.class_names)} classes; log in {log}")
