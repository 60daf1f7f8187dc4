"""The claims about loading: alone, against the training step, and the share of an epoch that waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perfsuite.advise.claims import Row, Stall
from perfsuite.advise.claims_training import table
from perfsuite.advise.fastest import in_turns, step_call
from perfsuite.measure.clock import Clock, clock_for
from perfsuite.measure.gpu import watching_gpu
from perfsuite.measure.stage_clock import seconds_by_stage
from perfsuite.measure.workload import workload_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.advise.claims_measured import Question

ALL_FOR_TRAINING: dict[str, Any] = {"val_fraction": 0.0, "test_fraction": 0.0}
FEWEST_EPOCHS = 3
STEPPING = ("transfer", "forward", "backward", "optimise")


def named(workers: int) -> str:
    return f"direct, {workers} workers" if workers else "direct, no workers"


def loading(question: Question, photos: Path) -> tuple[Row, ...]:
    pillow = _pillow_loader(photos, question)
    with _loaders(question, photos, (0, 2)) as ours:
        given = {"Pillow, no workers": pillow} | ours
        calls = {name: workload_of(name, loader).call for name, loader in given.items()}
        return table(in_turns(calls, items=len(pillow.dataset), seconds=question.seconds))


def bottleneck(
    question: Question, photos: Path, model: nn.Module, images: Tensor, labels: Tensor
) -> tuple[Row, ...]:
    """What the loaders give over what the step takes: above 1, the loader is not the limit."""
    from perfsuite.training.presets import EAGER

    calls: dict[str, Callable[[], object]] = {"training step": step_call(model, EAGER, images, labels)}
    items: dict[str, float] = {"training step": len(labels)}
    with _loaders(question, photos, (0, 2)) as ours:
        for name, loader in ours.items():
            one = workload_of(name, loader)
            calls[name], items[name] = one.call, one.items_per_call
        return table(in_turns(calls, items=items, seconds=question.seconds, device=question.device))


def stalls(question: Question, photos: Path, model: nn.Module) -> tuple[Stall, ...]:
    """Epochs with each loader, for half the time each."""
    clock = clock_for(question.device)
    found = []
    with _loaders(question, photos, (0, 2)) as ours:
        for name, loader in ours.items():
            epoch = _epoch(model, loader)
            epoch()  # workers and caches warm
            shares: list[float] = []
            began = perf_counter()
            while len(shares) < FEWEST_EPOCHS or perf_counter() - began < question.seconds / 2:
                shares.append(_share_waited(epoch, clock))
            with watching_gpu() as watch:
                epoch()
            busy = watch.readings.utilisation_percent / 100 if watch.readings else None
            is_on_gpu = question.device.startswith("cuda")
            found.append(Stall(name, tuple(shares), busy if is_on_gpu else None))
    return tuple(found)


def _share_waited(epoch: Callable[[], None], clock: Clock) -> float:
    """All that is not the step is waiting for the loader, whatever it does and in which thread."""
    began = perf_counter()
    taken = seconds_by_stage(epoch, 1, clock.wait)
    whole = perf_counter() - began
    return 1 - sum(taken.get(stage, 0.0) for stage in STEPPING) / whole


def _epoch(model: nn.Module, loader: Any) -> Callable[[], None]:
    import copy

    from perfsuite.stages import each
    from perfsuite.training.devices import Transfer
    from perfsuite.training.optimisers import make_optimiser
    from perfsuite.training.step import TrainingStep

    own = copy.deepcopy(model).train()
    step = TrainingStep(own, make_optimiser(own, learning_rate=1e-3))
    transfer = Transfer(step.device)

    def epoch() -> None:
        for batch in each("load", loader):
            step(*transfer(batch))

    return epoch


@contextmanager
def _loaders(question: Question, photos: Path, workers: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    from perfsuite.data.loaders import make_loaders

    opened = {
        named(count): make_loaders(
            photos, question.batch_size, count, image_size=question.image_size, **ALL_FOR_TRAINING
        )
        for count in workers
    }
    try:
        yield {name: loaders.train for name, loaders in opened.items()}
    finally:
        for loaders in opened.values():
            loaders.close()


def _pillow_loader(photos: Path, question: Question) -> Any:
    """What most people begin with: torchvision's ImageFolder, every picture through Pillow."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    from perfsuite.transforms.statistics import IMAGENET

    steps = [
        transforms.RandomResizedCrop(question.image_size),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET.mean, IMAGENET.std),
    ]
    folder = datasets.ImageFolder(str(photos), transforms.Compose(steps))
    return DataLoader(folder, batch_size=question.batch_size, shuffle=True)
