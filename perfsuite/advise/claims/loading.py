"""The claims about loading: alone, against the training step, and the share of an epoch that waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perfsuite.advise.claims.results import LoaderStall, SpeedupRow
from perfsuite.advise.claims.training import speedup_rows
from perfsuite.advise.preset_search import step_call, time_in_turns
from perfsuite.measure.clock import Clock, make_clock
from perfsuite.measure.gpu import monitor_gpu
from perfsuite.measure.stage_clock import seconds_by_stage
from perfsuite.measure.workload import make_workload

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.advise.claims.measure import ClaimsConfig

NO_HOLDOUT: dict[str, Any] = {"val_fraction": 0.0, "test_fraction": 0.0}
MIN_EPOCHS = 3
STEP_STAGES = ("transfer", "forward", "backward", "optimize")


def loader_label(workers: int) -> str:
    return f"direct, {workers} workers" if workers else "direct, no workers"


def compare_loaders(question: ClaimsConfig, image_dir: Path) -> tuple[SpeedupRow, ...]:
    pillow = _pillow_loader(image_dir, question)
    with _open_loaders(question, image_dir, (0, 2)) as ours:
        given = {"Pillow, no workers": pillow} | ours
        calls = {name: make_workload(name, loader).call for name, loader in given.items()}
        return speedup_rows(time_in_turns(calls, items=len(pillow.dataset), seconds=question.seconds))


def compare_loader_with_step(
    question: ClaimsConfig, image_dir: Path, model: nn.Module, images: Tensor, labels: Tensor
) -> tuple[SpeedupRow, ...]:
    """What the loaders give over what the step takes: above 1, the loader is not the limit."""
    from perfsuite.training.step.presets import EAGER

    calls: dict[str, Callable[[], object]] = {"training step": step_call(model, EAGER, images, labels)}
    items: dict[str, float] = {"training step": len(labels)}
    with _open_loaders(question, image_dir, (0, 2)) as ours:
        for name, loader in ours.items():
            one = make_workload(name, loader)
            calls[name], items[name] = one.call, one.items_per_call
        return speedup_rows(
            time_in_turns(calls, items=items, seconds=question.seconds, device=question.device)
        )


def measure_stalls(question: ClaimsConfig, image_dir: Path, model: nn.Module) -> tuple[LoaderStall, ...]:
    """Epochs with each loader, for half the time each."""
    clock = make_clock(question.device)
    found = []
    with _open_loaders(question, image_dir, (0, 2)) as ours:
        for name, loader in ours.items():
            epoch = _epoch_call(model, loader)
            epoch()  # workers and caches warm
            shares: list[float] = []
            began = perf_counter()
            while len(shares) < MIN_EPOCHS or perf_counter() - began < question.seconds / 2:
                shares.append(_stall_share(epoch, clock))
            with monitor_gpu() as watch:
                epoch()
            busy = watch.readings.utilization_percent / 100 if watch.readings else None
            is_on_gpu = question.device.startswith("cuda")
            found.append(LoaderStall(name, tuple(shares), busy if is_on_gpu else None))
    return tuple(found)


def _stall_share(epoch: Callable[[], None], clock: Clock) -> float:
    """All that is not the step is waiting for the loader, whatever it does and in which thread."""
    began = perf_counter()
    taken = seconds_by_stage(epoch, 1, clock.wait)
    whole = perf_counter() - began
    return 1 - sum(taken.get(stage, 0.0) for stage in STEP_STAGES) / whole


def _epoch_call(model: nn.Module, loader: Any) -> Callable[[], None]:
    import copy

    from perfsuite.stages import iterate_in_stage
    from perfsuite.training.devices import DeviceTransfer
    from perfsuite.training.step.optimizers import make_optimizer
    from perfsuite.training.step.step import TrainingStep

    own = copy.deepcopy(model).train()
    step = TrainingStep(own, make_optimizer(own, learning_rate=1e-3))
    transfer = DeviceTransfer(step.device)

    def epoch() -> None:
        for batch in iterate_in_stage("load", loader):
            step(*transfer(batch))

    return epoch


@contextmanager
def _open_loaders(
    question: ClaimsConfig, image_dir: Path, workers: tuple[int, ...]
) -> Iterator[dict[str, Any]]:
    from perfsuite.data.loaders import make_loaders

    opened = {
        loader_label(count): make_loaders(
            image_dir, question.batch_size, count, image_size=question.image_size, **NO_HOLDOUT
        )
        for count in workers
    }
    try:
        yield {name: loaders.train for name, loaders in opened.items()}
    finally:
        for loaders in opened.values():
            loaders.close()


def _pillow_loader(image_dir: Path, question: ClaimsConfig) -> Any:
    """What most people begin with: torchvision's ImageFolder, every image through Pillow."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    from perfsuite.transforms.normalization.channel_stats import IMAGENET

    steps = [
        transforms.RandomResizedCrop(question.image_size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET.mean, IMAGENET.std),
    ]
    folder = datasets.ImageFolder(str(image_dir), transforms.Compose(steps))
    return DataLoader(folder, batch_size=question.batch_size, shuffle=True)
