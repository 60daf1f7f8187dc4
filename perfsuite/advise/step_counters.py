"""Count the operations of training steps exactly; no GPU and no clock are needed.

Expected counts are stored per minor version of PyTorch, because its operators change between versions.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from perfsuite.errors import StoreError
from perfsuite.measure.counters.registry import count

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.training.step.presets import Preset

CounterValues = dict[str, int]
COUNTERS = (
    *("dispatched_ops", "casts", "copies", "copied_bytes", "layout_copies", "host_syncs", "flops"),
    *("saved_bytes", "graph_breaks", "compiled_graphs", "recompiles", "generated_kernels"),
)
BATCH_SIZE = 4
IMAGE_SIZE = 32


def count_all_cases() -> dict[str, CounterValues]:
    """Run every case and count its operations."""
    return {name: case() for name, case in CASES.items()}


def expected_file(folder: Path) -> Path:
    """The file of the expected counts for the installed version of PyTorch."""
    import torch

    minor = ".".join(torch.__version__.split("+")[0].split(".")[:2])
    return folder / f"torch-{minor}.json"


def read_expected(path: Path) -> dict[str, CounterValues]:
    """The expected counts by case; StoreError where the file is damaged."""
    try:
        counts = json.loads(path.read_text())
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: not JSON ({error}); write it again with `perfsuite counters --update`"
        ) from error
    if not isinstance(counts, dict) or not all(isinstance(case, dict) for case in counts.values()):
        raise StoreError(
            f"{path}: expected an object of cases; write it again with `perfsuite counters --update`"
        )
    return counts


def diff_counters(expected: Mapping[str, CounterValues], counted: Mapping[str, CounterValues]) -> list[str]:
    """A line for each counter that differs in either direction; an absent counter is 0.

    >>> diff_counters({"bf16": {"casts": 4}}, {"bf16": {"casts": 5}})
    ['bf16: casts 4 -> 5 (+1)']
    """
    lines = []
    for case in sorted({*expected, *counted}):
        before, after = expected.get(case, {}), counted.get(case, {})
        for name in sorted({*before, *after}):
            old, new = before.get(name, 0), after.get(name, 0)
            if old != new:
                lines.append(f"{case}: {name} {old:,} -> {new:,} ({new - old:+,})")
    return lines


def _step_case(preset: str, accumulate: int = 1) -> Callable[[], CounterValues]:
    def case() -> CounterValues:
        from perfsuite.training.step.presets import parse_preset

        return _count_call(_step_call(parse_preset(preset), accumulate))

    return case


def _clipped_case() -> CounterValues:
    from perfsuite.training.step.presets import Preset

    return _count_call(_step_call(Preset(clip_norm=1.0)))


def _compiled_case() -> CounterValues:
    """Count with compile caches off: a kernel from a cache is not generated, and so not counted."""
    import torch
    from torch._inductor import config

    from perfsuite.measure.counters.compilation import CompilationCounters
    from perfsuite.training.step.presets import COMPILED

    torch.compiler.reset()
    call = _step_call(COMPILED)
    compilation = CompilationCounters()
    with config.patch(force_disable_caches=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a warning that caches are off
        call()
        call()
    return compilation.difference()


def _inference_case() -> CounterValues:
    import torch

    from perfsuite.training.inference.predict import Predictor
    from perfsuite.training.run.checkpoint import ModelSpec

    torch.manual_seed(0)
    spec = ModelSpec("small", tuple("abc"), image_size=IMAGE_SIZE)
    predictor = Predictor(spec, spec.build().eval(), torch.device("cpu"))
    pixels = torch.zeros(BATCH_SIZE, 3, IMAGE_SIZE, IMAGE_SIZE, dtype=torch.uint8)
    predictor.predict(pixels)
    return _count_call(lambda: predictor.predict(pixels))


def _distributed_case() -> CounterValues:
    """Count the all-reduces of one rank, which sends what each of many would."""
    import torch.distributed as dist
    from torch import nn

    from perfsuite.training.distributed.ddp import AllReduceCounter
    from perfsuite.training.step.presets import EAGER

    with TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=0, world_size=1)
        try:
            model = nn.parallel.DistributedDataParallel(_make_model())
            counter = AllReduceCounter.attach(model)
            _step_call(EAGER, accumulate=2, model=model)()
        finally:
            dist.destroy_process_group()
    return {"all_reduces": counter.all_reduces, "all_reduced_bytes": counter.all_reduced_bytes}


CASES: dict[str, Callable[[], CounterValues]] = {
    "eager": _step_case("eager"),
    "accumulated": _step_case("eager", accumulate=2),
    "bf16": _step_case("bf16"),
    "channels_last": _step_case("channels_last"),
    "fused": _step_case("fused"),
    "foreach": _step_case("foreach"),
    "activation_checkpointing": _step_case("activation_checkpointing"),
    "clipped": _clipped_case,
    "compiled": _compiled_case,
    "predicted": _inference_case,
    "distributed": _distributed_case,
}


def _count_call(call: Callable[[], object]) -> CounterValues:
    from perfsuite.advise.one_thread import one_thread
    from perfsuite.measure.counters.torch_dispatch import count_operators

    call()  # the first call allocates what later calls reuse
    with one_thread():
        counters = count(call)
        operators = count_operators(call)
    return {name: counters[name] for name in COUNTERS if name in counters} | operators


def _make_model() -> nn.Module:
    import torch

    from perfsuite.training.models import make_model

    torch.manual_seed(0)
    return make_model("small", 3)


def _step_call(preset: Preset, accumulate: int = 1, model: nn.Module | None = None) -> Callable[[], Tensor]:
    import torch

    from perfsuite.training.step.optimizers import make_optimizer
    from perfsuite.training.step.step import TrainingStep

    stepped = model if model is not None else _make_model()
    path = preset.optimizer_implementation if preset.optimizer_implementation != "auto" else "loop"
    step = TrainingStep(stepped, make_optimizer(stepped, learning_rate=1e-3, implementation=path), preset)
    batch = torch.zeros(BATCH_SIZE, 3, IMAGE_SIZE, IMAGE_SIZE), torch.zeros(BATCH_SIZE, dtype=torch.int64)
    if preset.channels_last:
        batch = batch[0].contiguous(memory_format=torch.channels_last), batch[1]
    return lambda: step.accumulate([batch] * accumulate)
