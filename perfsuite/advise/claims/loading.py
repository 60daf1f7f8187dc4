"""Measure the claims about loading: alone, against the training step, and the share of epochs that waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.results import LoaderStall
from perfsuite.advise.claims.variants import VariantTimes, speedup_rows, time_within
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.advise.timed_step import step_call
from perfsuite.measure.clock import Clock, make_clock
from perfsuite.measure.gpu import monitor_gpu
from perfsuite.measure.stage_clock import seconds_by_stage
from perfsuite.measure.workload import make_workload
from perfsuite.stages import STEP_STAGES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.data.sources.base import ImageSource
    from perfsuite.data.sources.splits import Split
    from perfsuite.training.step.presets import Preset

NUM_WORKERS = (0, 2)
MAX_IMAGES = 160  # of one pass; a larger folder is represented by evenly spaced images
EPOCHS_SHARE = 0.85  # of the time; the last epochs begin within it


def loader_label(num_workers: int) -> str:
    return f"direct, {num_workers} workers" if num_workers else "direct, no workers"


def user_loader_label(num_workers: int) -> str:
    return loader_label(num_workers).replace("direct", "yours")


def compare_loaders(config: ClaimsConfig, image_dir: Path, limit: TimeLimit) -> VariantTimes:
    """Time the loaders against torchvision's ImageFolder."""
    pillow = pillow_loader(image_dir, config, MAX_IMAGES)
    with _open_loaders(config, image_dir) as loaders:
        workloads = [
            make_workload(name, loader) for name, loader in ({"Pillow, no workers": pillow} | loaders).items()
        ]
        calls = {workload.name: workload.call for workload in workloads}
        items = {workload.name: workload.items_per_call for workload in workloads}
        return VariantTimes(speedup_rows(time_within(limit, calls, items)))


def compare_loader_with_step(
    config: ClaimsConfig, image_dir: Path, model: nn.Module, images: Tensor, labels: Tensor, limit: TimeLimit
) -> VariantTimes:
    """Time the loaders against the training step: above 1, the loader is not the bottleneck."""
    from perfsuite.training.step.presets import EAGER

    calls: dict[str, Callable[[], object]] = {"training step": step_call(model, EAGER, images, labels)}
    items: dict[str, float] = {"training step": len(labels)}
    with _open_loaders(config, image_dir) as loaders:
        for name, loader in loaders.items():
            workload = make_workload(name, loader)
            calls[name], items[name] = workload.call, workload.items_per_call
        return VariantTimes(speedup_rows(time_within(limit, calls, items, config.device)))


def measure_stalls(
    config: ClaimsConfig, image_dir: Path, model: nn.Module, limit: TimeLimit
) -> tuple[LoaderStall, ...]:
    """Train epochs with each loader in turn, for most of the time; at least one with each."""
    clock = make_clock(config.device)
    limit = limit.share(EPOCHS_SHARE)
    with _open_loaders(config, image_dir) as loaders:
        epochs = {name: epoch_call(model, loader) for name, loader in loaders.items()}
        utilization = {name: _gpu_utilization(config, epoch) for name, epoch in epochs.items()}
        shares: dict[str, list[float]] = {name: [] for name in epochs}
        while True:
            for name, epoch in epochs.items():
                shares[name].append(_stall_share(epoch, clock))
            if limit.is_over:
                return tuple(LoaderStall(name, tuple(shares[name]), utilization[name]) for name in epochs)


def _gpu_utilization(config: ClaimsConfig, epoch: Callable[[], None]) -> float | None:
    """The median utilization in one epoch, 0 to 1; None without a GPU."""
    epoch()  # warm up workers and caches
    if not config.device.startswith("cuda"):
        return None
    with monitor_gpu(config.device) as monitor:
        epoch()
    percent = None if monitor.readings is None else monitor.readings.utilization_percent
    return None if percent is None else percent / 100


def _stall_share(epoch: Callable[[], None], clock: Clock) -> float:
    """The share of an epoch outside the step's stages: all of it waits for the loader, in whatever thread."""
    begin = perf_counter()
    seconds = seconds_by_stage(epoch, 1, clock.wait)
    epoch_seconds = perf_counter() - begin
    return 1 - sum(seconds.get(stage, 0.0) for stage in STEP_STAGES) / epoch_seconds


def epoch_call(model: nn.Module, loader: Any, preset: Preset | None = None) -> Callable[[], None]:
    """A call that trains a copy of the model for an epoch of the loader; without a preset eagerly."""
    import copy

    from perfsuite.advise.inputs.batches import images_and_labels
    from perfsuite.advise.inputs.models import count_classes
    from perfsuite.stages import iterate_in_stage
    from perfsuite.training.devices import DeviceTransfer
    from perfsuite.training.step.optimizers import make_optimizer
    from perfsuite.training.step.presets import EAGER
    from perfsuite.training.step.step import TrainingStep

    preset = preset or EAGER
    images, _ = images_and_labels(next(iter(loader)), "claims")
    classes = count_classes(model, images.to(next(model.parameters()).device).float(), "claims")
    own_model = copy.deepcopy(model).train()
    optimizer = make_optimizer(own_model, learning_rate=1e-3, implementation=preset.optimizer_implementation)
    step = TrainingStep(own_model, optimizer, preset)
    transfer = DeviceTransfer(step.device, preset.channels_last)

    def epoch() -> None:
        for batch in iterate_in_stage("load", loader):
            images, labels = transfer(images_and_labels(batch, "claims"))
            step(images, labels % classes)  # a model may have fewer classes than the images

    return epoch


@contextmanager
def _open_loaders(config: ClaimsConfig, image_dir: Path) -> Iterator[dict[str, Any]]:
    """perfsuite's loaders without and with workers, and the user's own, each limited to MAX_IMAGES a pass."""
    from perfsuite.advise.inputs.loaders import close_loader
    from perfsuite.data.loaders import make_loaders

    sources = limited_sources(image_dir, MAX_IMAGES)
    loaders: dict[str, Any] = {
        loader_label(num_workers): make_loaders(
            sources, config.batch_size, num_workers, image_size=config.image_size
        ).train
        for num_workers in NUM_WORKERS
    }
    if config.user_loader is not None:
        for num_workers in NUM_WORKERS:
            loader = config.user_loader.open(num_workers)
            loaders[user_loader_label(num_workers)] = FirstBatches(
                loader, ceil(MAX_IMAGES / config.batch_size)
            )
    try:
        yield loaders
    finally:
        for loader in loaders.values():
            close_loader(loader)


@dataclass(frozen=True)
class FirstBatches:
    """The first batches of each epoch of a loader."""

    loader: Any
    batches: int

    def __iter__(self) -> Iterator[Any]:
        return islice(self.loader, self.batches)

    def close(self) -> None:
        from perfsuite.advise.inputs.loaders import close_loader

        close_loader(self.loader)


def limited_sources(image_dir: Path, most: int) -> dict[Split, ImageSource]:
    """The images of a folder for every split; of more than `most` evenly spaced ones."""
    from perfsuite.data.sources.base import Subset, spaced_rows
    from perfsuite.data.sources.splits import SPLITS, read_splits

    source = read_splits(image_dir, 0.0, 0.0)["train"]
    if len(source) > most:
        source = Subset(source, np.array(spaced_rows(len(source), most)))
    return dict.fromkeys(SPLITS, source)


def pillow_loader(image_dir: Path, config: ClaimsConfig, most: int, drop_last: bool = False) -> Any:
    """The usual starting point: torchvision's ImageFolder, which decodes with Pillow."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    from perfsuite.data.sources.base import spaced_rows
    from perfsuite.transforms.normalization.channel_stats import IMAGENET

    steps = [
        transforms.RandomResizedCrop(config.image_size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET.mean, IMAGENET.std),
    ]
    train = image_dir / "train"
    folder = datasets.ImageFolder(str(train if train.is_dir() else image_dir), transforms.Compose(steps))
    images = Subset(folder, spaced_rows(len(folder), most))
    return DataLoader(images, batch_size=config.batch_size, shuffle=True, drop_last=drop_last)
