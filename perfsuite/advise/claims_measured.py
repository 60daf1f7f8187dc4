"""Measures the claims: every table's arms in turns, in one process, after their answers were compared."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perfsuite.advise.claims import Claimed, Row, Stall, row_of
from perfsuite.advise.fastest import checked_step_call, in_turns, step_call
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.clock import clock_for
from perfsuite.measure.environment import environment
from perfsuite.measure.stage_clock import seconds_by_stage
from perfsuite.measure.workload import workload_of

if TYPE_CHECKING:
    from torch import Tensor, nn

TRAINING_ARMS = ("channels_last", "fused", "bf16", "compiled", "combined")
CUDA_TRAINING_ARMS = (
    *("ieee", "tf32", "fp16", "bf16+channels_last", "compiled-reduce-overhead", "cuda_graphs"),
    *TRAINING_ARMS,
)
CACHE = "TORCHINDUCTOR_CACHE_DIR"
Tell = Callable[[str], None]
Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be measured, and for how long: `seconds` for each table."""

    model: str = "small"
    image_size: int = 64
    batch_size: int = 32
    seconds: float = 40.0
    device: str = "cpu"


def measure_claims(question: Question, photos: Path, tell: Tell) -> Claimed:
    """Everything that the claims are about, on this machine."""
    import torch

    from perfsuite.training.models import make_model

    torch.manual_seed(0)
    device = torch.device(question.device)
    images = torch.randn(question.batch_size, 3, question.image_size, question.image_size, device=device)
    labels = torch.randint(10, (question.batch_size,), device=device)
    model = make_model(question.model, 10).to(device)
    refused: dict[str, str] = {}
    with nothing_compiled():
        tell("training, in turns")
        training = _training(question, model, images, labels, refused)
        tell("inference, in turns")
        inference = _inference(question, model, images, refused)
    tell("loading, in turns")
    loading = _loading(question, photos)
    tell("memory and stalls")
    memory, memory_of = _memory(model, images, labels, [row.name for row in training])
    return Claimed(
        settings=_settings(question),
        items_per_call=question.batch_size,
        tables={"training": training, "inference": inference, "loading": loading},
        memory=memory,
        memory_of=memory_of,
        stalls=_stalls(question, photos, model),
        refused=refused,
    )


def _training(
    question: Question, model: nn.Module, images: Tensor, labels: Tensor, refused: dict[str, str]
) -> tuple[Row, ...]:
    from perfsuite.training.presets import EAGER, preset

    calls = {"eager": step_call(model, EAGER, images, labels)}
    compiling: dict[str, float] = {}
    for name in CUDA_TRAINING_ARMS if images.is_cuda else TRAINING_ARMS:
        if preset(name).is_compiled:
            compiling[name] = _seconds_to_the_first(partial(step_call, model, preset(name), images, labels))
        call = checked_step_call(model, preset(name), images, labels, refused)
        if call is not None:
            calls[name] = call
    return _rows(calls, question, compiling)


def _inference(
    question: Question, model: nn.Module, images: Tensor, refused: dict[str, str]
) -> tuple[Row, ...]:
    calls: dict[str, Call] = {}
    compiling: dict[str, float] = {}
    for name, make in _answering(model, images).items():
        _forget_compiled()
        began = perf_counter()
        try:
            calls[name] = make()
        except PerfsuiteError as error:
            refused[name] = str(error)
        if "compiled" in name or name == "combined":
            compiling[name] = perf_counter() - began
    return _rows(calls, question, compiling)


def _answering(model: nn.Module, images: Tensor) -> dict[str, Callable[[], Call]]:
    import torch

    from perfsuite.training.export import agreement, export
    from perfsuite.training.fold import folded

    ready = model.eval()
    last = images.contiguous(memory_format=torch.channels_last)

    def runtime(name: str) -> Call:
        return _without_gradients(export(name, ready, images), images)

    def combined() -> Call:
        fast = torch.compile(folded(ready).to(memory_format=torch.channels_last))
        agreement(ready, fast, [last]).require("combined", 1e-3)
        return _without_gradients(fast, last)

    def channels_last() -> Call:
        return _without_gradients(folded(ready).to(memory_format=torch.channels_last), last)

    return {
        "eager": lambda: _without_gradients(ready, images),
        "folded": lambda: runtime("folded"),
        "folded, channels_last": channels_last,
        "compiled": lambda: runtime("compiled"),
        "combined": combined,
        "torch.export": lambda: runtime("torch.export"),
        "TorchScript (legacy)": lambda: runtime("torchscript"),
        "ONNX Runtime": lambda: runtime("onnxruntime"),
        "ONNX Runtime, int8": lambda: runtime("onnxruntime-int8"),
        "TensorRT": lambda: runtime("tensorrt"),
    }


def _without_gradients(answer: Callable[[Tensor], Tensor], images: Tensor) -> Call:
    import torch

    def call() -> object:
        with torch.inference_mode():
            return answer(images)

    return call


def _loading(question: Question, photos: Path) -> tuple[Row, ...]:
    from perfsuite.data.loaders import make_loaders

    parts: dict[str, Any] = {"val_fraction": 0.0, "test_fraction": 0.0, "image_size": question.image_size}
    pillow = _pillow_loader(photos, question)
    opened = {workers: make_loaders(photos, question.batch_size, workers, **parts) for workers in (0, 2)}
    given = {
        "Pillow, no workers": pillow,
        "direct, no workers": opened[0].train,
        "direct, 2 workers": opened[2].train,
    }
    calls = {name: workload_of(name, loader).call for name, loader in given.items()}
    turns = in_turns(calls, items=len(pillow.dataset), seconds=question.seconds)
    for loaders in opened.values():
        loaders.close()
    return _table(turns.seconds_per_item, turns.ratios, {})


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


def _rows(calls: Mapping[str, Call], question: Question, compiling: Mapping[str, float]) -> tuple[Row, ...]:
    turns = in_turns(calls, items=question.batch_size, seconds=question.seconds, device=question.device)
    return _table(turns.seconds_per_item, turns.ratios, compiling)


def _table(
    seconds: Mapping[str, tuple[float, ...]],
    ratios: Callable[[str, str], list[float]],
    compiling: Mapping[str, float],
) -> tuple[Row, ...]:
    baseline = next(iter(seconds))
    return tuple(
        row_of(name, ratios(baseline, name), 1 / median(taken), compiling.get(name))
        for name, taken in seconds.items()
    )


def _memory(model: nn.Module, images: Tensor, labels: Tensor, names: list[str]) -> tuple[dict[str, int], str]:
    """The device's peak; on a CPU bytes kept for the backward pass, which of compiled code cannot be seen."""
    import torch

    from perfsuite.measure.counters import count
    from perfsuite.training.presets import preset

    found = {}
    for name in names:
        if not images.is_cuda and preset(name).is_compiled:
            continue
        call = step_call(model, preset(name), images, labels)
        call()
        if images.is_cuda:
            torch.cuda.reset_peak_memory_stats()
            call()
            found[name] = torch.cuda.max_memory_allocated()
        else:
            found[name] = count(call)["saved_bytes"]
    told = "peak of allocated device memory" if images.is_cuda else "bytes kept for the backward pass"
    return found, told


def _stalls(question: Question, photos: Path, model: nn.Module) -> tuple[Stall, ...]:
    from perfsuite.data.loaders import make_loaders
    from perfsuite.stages import each
    from perfsuite.training.devices import Transfer
    from perfsuite.training.optimisers import make_optimiser
    from perfsuite.training.step import TrainingStep

    step = TrainingStep(model.train(), make_optimiser(model, learning_rate=1e-3))
    transfer = Transfer(step.device)
    clock = clock_for(question.device)
    stalls = []
    for workers in (0, 2):
        loaders = make_loaders(photos, question.batch_size, workers, image_size=question.image_size)

        def epoch(loader: Any = loaders.train) -> None:
            for batch in each("load", loader):
                step(*transfer(batch))

        epoch()  # workers and caches warm
        began = perf_counter()
        taken = seconds_by_stage(epoch, 2, clock.wait)
        whole = (perf_counter() - began) / 2
        # All that is not the step is waiting for the loader, whatever it does and in which thread.
        stepping = sum(taken.get(stage, 0.0) for stage in ("transfer", "forward", "backward", "optimise"))
        loaders.close()
        stalls.append(Stall(f"{workers} workers", 1 - stepping / whole))
    return tuple(stalls)


def _settings(question: Question) -> dict[str, str]:
    import torch

    hard = environment().hard
    return {
        "machine": f"{hard['cpu']}, {hard['cores']} cores, GPU {hard.get('gpu', 'none')}",
        "versions": f"torch {torch.__version__}, Python {hard['python']}",
        "threads": str(torch.get_num_threads()),
        "case": f"{question.model}, {question.image_size} px, batches of {question.batch_size}, "
        f"on {question.device}",
        "time": f"{question.seconds:.0f} s a table",
    }


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """What is compiled is kept in an empty folder, so that a first call takes as long as the first ever."""
    before = os.environ.get(CACHE)
    with TemporaryDirectory(prefix="perfsuite-claims-", ignore_cleanup_errors=True) as folder:
        os.environ[CACHE] = folder
        try:
            yield
        finally:
            del os.environ[CACHE]
            if before is not None:
                os.environ[CACHE] = before


def _seconds_to_the_first(make: Callable[[], Call]) -> float:
    _forget_compiled()
    began = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cannot be compiled is refused where its answers are compared
        make()()
    return perf_counter() - began


def _forget_compiled() -> None:
    import torch

    torch.compiler.reset()
