"""Training steps counted, not timed: what must stay exactly as it is on a machine without a GPU.

Values are kept for each minor version of torch, since its operators change with it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from perfsuite.errors import StoreError
from perfsuite.measure.counters import count

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.training.presets import Preset

Counted = dict[str, int]
COUNTERS = (
    *("dispatched_ops", "casts", "copies", "copied_bytes", "layout_copies", "host_syncs", "flops"),
    *("saved_bytes", "graph_breaks", "compiled_graphs", "recompiles", "generated_kernels"),
)
BATCH = 4
SIZE = 32


def count_all() -> dict[str, Counted]:
    """Every case, counted here and now."""
    return {name: case() for name, case in CASES.items()}


def expected_file(folder: Path) -> Path:
    import torch

    minor = ".".join(torch.__version__.split("+")[0].split(".")[:2])
    return folder / f"torch-{minor}.json"


def read(path: Path) -> dict[str, Counted]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: not JSON ({error}); write it anew with `perfsuite counters --update`"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(case, dict) for case in found.values()):
        raise StoreError(
            f"{path}: expected an object of cases; write it anew with `perfsuite counters --update`"
        )
    return found


def changes(expected: Mapping[str, Counted], found: Mapping[str, Counted]) -> list[str]:
    """A line for each counter that differs, in either direction; absent ones count as 0.

    >>> changes({"bf16": {"casts": 4}}, {"bf16": {"casts": 5}})
    ['bf16: casts 4 -> 5 (+1)']
    """
    lines = []
    for case in sorted({*expected, *found}):
        before, after = expected.get(case, {}), found.get(case, {})
        for name in sorted({*before, *after}):
            was, now = before.get(name, 0), after.get(name, 0)
            if was != now:
                lines.append(f"{case}: {name} {was:,} -> {now:,} ({now - was:+,})")
    return lines


def _step(chosen: str, accumulate: int = 1) -> Callable[[], Counted]:
    def case() -> Counted:
        from perfsuite.training.presets import preset

        return _counted(_call(preset(chosen), accumulate))

    return case


def _clipped() -> Counted:
    from perfsuite.training.presets import Preset

    return _counted(_call(Preset(clip_norm=1.0)))


def _compiled() -> Counted:
    """Caches off: a kernel taken from a cache is not generated, and would not be counted."""
    import torch
    from torch._inductor import config

    from perfsuite.measure.torch_counters import compiling
    from perfsuite.training.presets import COMPILED

    torch.compiler.reset()
    call = _call(COMPILED)
    before = compiling()
    with config.patch(force_disable_caches=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that caches are off, which was asked for
        call()
        call()
    return {name: value - before.get(name, 0) for name, value in sorted(compiling().items())}


def _answered() -> Counted:
    import torch

    from perfsuite.training.checkpoint import Recipe
    from perfsuite.training.predict import Predictor

    torch.manual_seed(0)
    recipe = Recipe("small", tuple("abc"), image_size=SIZE)
    predictor = Predictor(recipe, recipe.build().eval(), torch.device("cpu"))
    pixels = torch.zeros(BATCH, 3, SIZE, SIZE, dtype=torch.uint8)
    predictor.answer(pixels)
    return _counted(lambda: predictor.answer(pixels))


def _distributed() -> Counted:
    """One rank suffices to see what each of many would send."""
    import torch.distributed as dist
    from torch import nn

    from perfsuite.training.distributed import Exchanged
    from perfsuite.training.presets import EAGER

    with TemporaryDirectory() as folder:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1)
        try:
            model = nn.parallel.DistributedDataParallel(_model())
            exchanged = Exchanged.by(model)
            _call(EAGER, accumulate=2, model=model)()
        finally:
            dist.destroy_process_group()
    return {"all_reduces": exchanged.all_reduces, "all_reduced_bytes": exchanged.bytes}


CASES: dict[str, Callable[[], Counted]] = {
    "eager": _step("eager"),
    "accumulated": _step("eager", accumulate=2),
    "bf16": _step("bf16"),
    "channels_last": _step("channels_last"),
    "fused": _step("fused"),
    "foreach": _step("foreach"),
    "checkpointing": _step("checkpointing"),
    "clipped": _clipped,
    "compiled": _compiled,
    "answered": _answered,
    "distributed": _distributed,
}


def _counted(call: Callable[[], object]) -> Counted:
    from perfsuite.measure.torch_counters import operators

    call()  # first calls make what later ones find
    with _one_thread():
        found = count(call)
        named = operators(call)
    return {name: found[name] for name in COUNTERS if name in found} | named


def _model() -> nn.Module:
    import torch

    from perfsuite.training.models import make_model

    torch.manual_seed(0)
    return make_model("small", 3)


def _call(chosen: Preset, accumulate: int = 1, model: nn.Module | None = None) -> Callable[[], Tensor]:
    import torch

    from perfsuite.training.optimisers import make_optimiser
    from perfsuite.training.step import TrainingStep

    own = model if model is not None else _model()
    path = chosen.optimiser_path if chosen.optimiser_path != "auto" else "loop"
    step = TrainingStep(own, make_optimiser(own, learning_rate=1e-3, path=path), chosen)
    batch = torch.zeros(BATCH, 3, SIZE, SIZE), torch.zeros(BATCH, dtype=torch.int64)
    if chosen.channels_last:
        batch = batch[0].contiguous(memory_format=torch.channels_last), batch[1]
    return lambda: step.accumulated([batch] * accumulate)


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
