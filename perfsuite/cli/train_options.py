"""The options of `perfsuite train`: how the command line declares them, and as one typed value."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from perfsuite.cli import preset_options
from perfsuite.cli.arguments import (
    FRACTION,
    NONNEGATIVE,
    NONNEGATIVE_INT,
    POSITIVE_INT,
    Options,
    add_augmentation_argument,
    add_data_dir_argument,
    add_image_size_argument,
    add_on_error_argument,
    number,
)
from perfsuite.cli.config_file import add_config_argument

if TYPE_CHECKING:
    from perfsuite.data.faults import FaultPolicy
    from perfsuite.data.speed_settings import SpeedSettings
    from perfsuite.training.step.lr_schedules import ScheduleName
    from perfsuite.training.step.optimizers import OptimizerName


DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The options of `perfsuite train` beside those of speed."""

    data_dir: Path | None
    image_size: int | None
    batch_size: int
    settings: SpeedSettings
    num_workers: int | None
    augmentation_mode: str | None
    on_error: FaultPolicy
    model: str | None
    epochs: int
    lr: float
    schedule: ScheduleName
    optimizer: OptimizerName
    weight_decay: float
    label_smoothing: float
    seed: int
    on_nonfinite_loss: Literal["stop", "skip"]
    model_path: Path
    checkpoint_every: int | None
    resume: bool
    log: Path | None
    mlflow: str | None
    quiet: bool
    speed: preset_options.PresetOptions

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> TrainOptions:
        from perfsuite.data.speed_settings import SpeedSettings, read_speed_settings

        path = arguments.settings
        settings = SpeedSettings() if path is None else read_speed_settings(path)
        batch_size = arguments.batch_size or settings.batch_size or DEFAULT_BATCH_SIZE
        own = {"speed", "settings", "batch_size"}
        names = [field.name for field in fields(cls) if field.name not in own]
        return cls(
            speed=preset_options.PresetOptions.from_arguments(arguments),
            settings=replace(settings, batch_size=batch_size),
            batch_size=batch_size,
            **{name: getattr(arguments, name) for name in names},
        )

    @property
    def log_path(self) -> Path:
        return self.log or self.model_path.with_suffix(".jsonl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_argument(parser)
    parser.add_argument("--mode", choices=("train",), help="always train; `perfsuite predict` predicts")
    _add_data_arguments(parser.add_argument_group("data"))
    _add_training_arguments(parser.add_argument_group("training"))
    preset_options.add_arguments(
        parser.add_argument_group("speed", "how fast the steps run, not what is learned")
    )
    _add_output_arguments(parser.add_argument_group("output"))


def _add_data_arguments(options: Options) -> None:
    add_data_dir_argument(options)
    add_image_size_argument(options, None, "64, or the data's")
    options.add_argument(
        "--batch-size",
        type=number(POSITIVE_INT),
        metavar="N",
        help=f"images per batch ({DEFAULT_BATCH_SIZE}, or that of --settings)",
    )
    options.add_argument(
        "--num-workers", type=number(NONNEGATIVE_INT), metavar="N", help="loading workers (by CPU cores)"
    )
    options.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="loader settings that `perfsuite advise` wrote; options of the command line win",
    )
    add_augmentation_argument(options)
    add_on_error_argument(options)


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
    options.add_argument(
        "--optimizer", default="sgd", metavar="NAME", help="sgd, adamw, or another that was registered (sgd)"
    )
    options.add_argument(
        "--weight-decay",
        type=number(NONNEGATIVE),
        default=5e-4,
        help="of weights; not of norms and biases (5e-4)",
    )
    options.add_argument(
        "--label-smoothing", type=number(FRACTION), default=0.0, help="as in torch.nn.CrossEntropyLoss (0)"
    )
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
        "--model-path",
        type=Path,
        default=Path("model.pth"),
        metavar="FILE",
        help="where the model is saved (model.pth)",
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
