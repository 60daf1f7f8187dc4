"""Measure the claims about loading: alone, against the training step, and the share of epochs that waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perfsuite.advise.claims.config import ClaimsConfig
from perfsuite.advise.claims.results import LoaderStall
from perfsuite.advise.claims.training import VariantTimes, speedup_rows
from perfsuite.advise.timed_step import step_call, time_in_turns
from perfsuite.measure.clock import Clock, make_clock
from perfsuite.measure.gpu import monitor_gpu
from perfsuite.measure.stage_clock import seconds_by_stage
from perfsuite.measure.workload import make_workload

if TYPE_CHECKING:
    from torch import Tensor, nn

NO_HOLDOUT: dict[str, Any] = {"val_fraction": 0.0, "test_fraction": 0.0}
NUM_WORKERS = (0, 2)
MIN_EPOCHS = 3
STEP_STAGES = ("transfer", "forward", "backward", "optimize")


def loader_label(num_workers: int) -> str:
    return f"direct, {num_workers} workers" if num_workers else "direct, no workers"


def compare_loaders(config: ClaimsConfig, image_dir: Path) -> VariantTimes:
    """Time the loaders against torchvision's ImageFolder."""
    pillow = _pillow_loader(image_dir, config)
    with _open_loaders(config, image_dir) as loaders:
        calls = {
            name: make_workload(name, loader).call
            for name, loader in ({"Pillow, no workers": pillow} | loaders).items()
        }
        return VariantTimes(speedup_rows(time_in_turns(calls, len(pillow.dataset), config.seconds)))


def compare_loader_with_step(
    config: ClaimsConfig, image_dir: Path, model: nn.Module, images: Tensor, labels: Tensor
) -> VariantTimes:
    """Time the loaders against the training step: above 1, the loader is not the bottleneck."""
    from perfsuite.training.step.presets import EAGER

    calls: dict[str, Callable[[], object]] = {"training step": step_call(model, EAGER, images, labels)}
    items: dict[str, float] = {"training step": len(labels)}
    with _open_loaders(config, image_dir) as loaders:
        for name, loader in loaders.items():
            workload = make_workload(name, loader)
            calls[name], items[name] = workload.call, workload.items_per_call
        return VariantTimes(speedup_rows(time_in_turns(calls, items, config.seconds, device=config.device)))


def measure_stalls(config: ClaimsConfig, image_dir: Path, model: nn.Module) -> tuple[LoaderStall, ...]:
    """Train epochs with each loader, for half the time each."""
    clock = make_clock(config.device)
    stalls = []
    with _open_loaders(config, image_dir) as loaders:
        for name, loader in loaders.items():
            epoch = _epoch_call(model, loader)
            epoch()  # warm up workers and caches
            shares: list[float] = []
            begin = perf_counter()
            while len(shares) < MIN_EPOCHS or perf_counter() - begin < config.seconds / 2:
                shares.append(_stall_share(epoch, clock))
            stalls.append(LoaderStall(name, tuple(shares), _gpu_utilization(config, epoch)))
    return tuple(stalls)


def _gpu_utilization(config: ClaimsConfig, epoch: Callable[[], None]) -> float | None:
    """The median utilization in one epoch, 0 to 1; None without a GPU."""
    with monitor_gpu() as monitor:
        epoch()
    if monitor.readings is None or not config.device.startswith("cuda"):
        return None
    return monitor.readings.utilization_percent / 100


def _stall_share(epoch: Callable[[], None], clock: Clock) -> float:
    """The share of an epoch outside the step's stages: all of it waits for the loader, in whatever thread."""
    begin = perf_counter()
    seconds = seconds_by_stage(epoch, 1, clock.wait)
    epoch_seconds = perf_counter() - begin
    return 1 - sum(seconds.get(stage, 0.0) for stage in STEP_STAGES) / epoch_seconds


def _epoch_call(model: nn.Module, loader: Any) -> Callable[[], None]:
    import copy

    from perfsuite.stages import iterate_in_stage
    from perfsuite.training.devices import DeviceTransfer
    from perfsuite.training.step.optimizers import make_optimizer
    from perfsuite.training.step.step import TrainingStep

    own_model = copy.deepcopy(model).train()
    step = TrainingStep(own_model, make_optimizer(own_model, learning_rate=1e-3))
    transfer = DeviceTransfer(step.device)

    def epoch() -> None:
        for batch in iterate_in_stage("load", loader):
            step(*transfer(batch))

    return epoch


@contextmanager
def _open_loaders(config: ClaimsConfig, image_dir: Path) -> Iterator[dict[str, Any]]:
    from perfsuite.data.loaders import make_loaders

    splits = {
        loader_label(num_workers): make_loaders(
            image_dir, config.batch_size, num_workers, image_size=config.image_size, **NO_HOLDOUT
        )
        for num_workers in NUM_WORKERS
    }
    try:
        yield {name: loaders.train for name, loaders in splits.items()}
    finally:
        for loaders in splits.values():
            loaders.close()


def _pillow_loader(image_dir: Path, config: ClaimsConfig) -> Any:
    """The usual starting point: torchvision's ImageFolder, which decodes with Pillow."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    from perfsuite.transforms.normalization.channel_stats import IMAGENET

    steps = [
        transforms.RandomResizedCrop(config.image_size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET.mean, IMAGENET.std),
    ]
    folder = datasets.ImageFolder(str(image_dir), transforms.Compose(steps))
    return DataLoader(folder, batch_size=config.batch_size, shuffle=True)
