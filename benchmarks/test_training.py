"""Training and inference: the overhead of the step, the presets, the latency of one image."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import nn

from benchmarks.gpu_proof.device import GpuDevice
from perfsuite.advise.preset_search import CPU_COMPILED_CANDIDATES, find_fastest_preset
from perfsuite.data.loaders import make_loaders
from perfsuite.data.synthetic import dataset
from perfsuite.pytest_plugin.fixture import Perf
from perfsuite.training.inference.export import export
from perfsuite.training.inference.model_cache import ModelCache
from perfsuite.training.models import make_model
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.step.presets import COMBINED, EAGER, Preset
from perfsuite.training.step.step import TrainingStep

BATCH = 32
LARGE_GPU = {"gpu": "*[HB][12]00*"}


def random_batch(count: int, size: int, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(count, 3, size, size, device=device), torch.randint(10, (count,), device=device)


def make_step(model: nn.Module, preset: Preset = EAGER) -> TrainingStep:
    fused = True if preset.optimizer_implementation == "fused" else None
    return TrainingStep(
        model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=fused), preset
    )


@pytest.mark.ceiling(overhead=0.10)
@pytest.mark.aim(overhead=0.02)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_step_overhead_over_a_hand_written_loop(perf: Perf, gpu: GpuDevice, device: str) -> None:
    device = gpu.name if device == "cuda" else device
    images, labels = random_batch(16, 32, device)
    model = make_model("small", 10).to(device)
    reference = copy.deepcopy(model)
    step = make_step(model)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.01, momentum=0.9)

    def by_hand() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(reference(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    perf.pair(by_hand=by_hand, step=lambda: step(images, labels), device=device)


@pytest.mark.floor(images_per_second=30)  # a smoke floor: any 2-core machine
@pytest.mark.ceiling(host_syncs=0, layout_copies=0)
def test_small_model_throughput(perf: Perf) -> None:
    images, labels = random_batch(BATCH, 64)
    step = make_step(make_model("small", 10))
    perf(lambda: step(images, labels), items=BATCH, unit="images")


@pytest.mark.floor(images_per_second=15)  # a smoke floor: any 2-core machine
@pytest.mark.ceiling(host_syncs=0)
def test_gradient_accumulation_throughput(perf: Perf) -> None:
    images, labels = random_batch(BATCH, 64)
    parts = list(zip(torch.split(images, 12), torch.split(labels, 12), strict=True))  # 12, 12 and 8
    step = make_step(make_model("small", 10))
    perf(lambda: step.accumulate(parts), items=BATCH, unit="images")


@pytest.fixture
def eight_images(tmp_path: Path) -> Path:
    return dataset.make_dataset(tmp_path / "images", images=8, classes=2, size=(96, 64))


@pytest.mark.gpu
@pytest.mark.floor(gpu_utilization="90 %")
def test_loading_keeps_a_gpu_busy(perf: Perf, gpu: GpuDevice, request: pytest.FixtureRequest) -> None:
    image_dir: Path = request.getfixturevalue(gpu.choose("image_dir", "eight_images"))
    loaders = make_loaders(
        image_dir, batch_size=gpu.choose(128, 4), image_size=gpu.choose(224, 32), device=gpu.name
    )
    step = make_step(make_model(gpu.choose("resnet50", "small"), 10).to(gpu.name), COMBINED)

    def epoch() -> None:
        for images, labels in loaders.train:
            step(images, labels)

    perf(epoch, items=loaders.train.samples, unit="images")


@pytest.mark.slow  # measures every preset
@pytest.mark.ceiling(overhead=0.10)
@pytest.mark.aim(overhead=0.0)
def test_the_chosen_preset_is_not_slower_than_eager(perf: Perf) -> None:
    images, labels = random_batch(BATCH, 64)
    model = make_model("small", 10)
    choice = find_fastest_preset(model, images, labels, CPU_COMPILED_CANDIDATES, seconds=20)
    eager, chosen = make_step(copy.deepcopy(model)), make_step(model, choice.preset)
    perf.pair(eager=lambda: eager(images, labels), chosen=lambda: chosen(images, labels))


@pytest.mark.ceiling(seconds_per_call="500 ms", opened_files=1)  # the image; the model stays open
@pytest.mark.aim(p95="50 ms")  # 37 to 67 ms on 2 cores, see docs/results/training.md
def test_prediction_latency_of_one_image(perf: Perf, small_image_dir: Path, tmp_path: Path) -> None:
    spec = ModelSpec("resnet18", tuple(f"class {number}" for number in range(10)), image_size=224)
    Checkpoint(spec, spec.build().state_dict()).save(tmp_path / "m.pth")
    cache = ModelCache()
    image = next(small_image_dir.rglob("*.jpg"))
    perf(lambda: cache.get(tmp_path / "m.pth")([image]), items=1, unit="images")


@pytest.mark.ceiling(seconds_per_call="5 ms", opened_files=0, copies=0)
def test_cached_model_opens_no_file(perf: Perf, tmp_path: Path) -> None:
    spec = ModelSpec("resnet18", ("a", "b"), image_size=224)
    Checkpoint(spec, spec.build().state_dict()).save(tmp_path / "m.pth")
    cache = ModelCache()
    perf(lambda: cache.get(tmp_path / "m.pth"))


@pytest.mark.floor(images_per_second=5)  # a smoke floor: any 2-core machine
@pytest.mark.parametrize(
    "runtime",
    ["folded", "torch.export", "torchscript", "onnxruntime", "onnxruntime-int8", "onnxruntime-int8-dynamic"],
)
def test_resnet18_in_every_runtime(perf: Perf, runtime: str) -> None:
    if runtime.startswith("onnx"):
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    model = make_model("resnet18", 10).eval()
    images, _ = random_batch(8, 224)
    predict = export(runtime, model, images)

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return predict(images)

    perf(call, items=8, unit="images")


@pytest.mark.gpu
@pytest.mark.floor(speedup=2.5, where=LARGE_GPU)
def test_combined_preset_on_resnet50(perf: Perf, gpu: GpuDevice) -> None:
    _race_combined(perf, gpu, "resnet50", batch=gpu.choose(128, 4), size=gpu.choose(224, 32))


@pytest.mark.gpu
@pytest.mark.floor(speedup=1.8, where=LARGE_GPU)
def test_combined_preset_on_cifar_size(perf: Perf, gpu: GpuDevice) -> None:
    _race_combined(perf, gpu, "resnet18-cifar", batch=gpu.choose(256, 4), size=32)


@pytest.mark.gpu
@pytest.mark.floor(images_per_second=4500, where={"gpu": "*H200*"})  # 7,950 is the best published there
def test_resnet50_throughput(perf: Perf, gpu: GpuDevice) -> None:
    images, labels = random_batch(gpu.choose(256, 4), gpu.choose(224, 32), gpu.name)
    step = make_step(make_model(gpu.choose("resnet50", "small"), 1000).to(gpu.name), COMBINED)
    perf(lambda: step(images, labels), items=len(images), unit="images", device=gpu.name)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_takes_at_most_60_percent_of_the_memory(
    gpu: GpuDevice, precision: Literal["bf16", "fp16"]
) -> None:
    if gpu.name == "cpu":
        pytest.skip("the CPU does not count the memory of tensors")
    peaks = {name: _peak_bytes(Preset(precision=name)) for name in ("float32", precision)}
    assert peaks[precision] <= 0.6 * peaks["float32"]


def _race_combined(perf: Perf, gpu: GpuDevice, name: str, batch: int, size: int) -> None:
    images, labels = random_batch(batch, size, gpu.name)
    name = gpu.choose(name, "small")
    combined = make_step(make_model(name, 1000).to(gpu.name), COMBINED)
    eager = make_step(make_model(name, 1000).to(gpu.name))
    perf.race(
        combined=lambda: combined(images, labels),
        eager=lambda: eager(images, labels),
        items=batch,
        device=gpu.name,
    )


def _peak_bytes(preset: Preset) -> int:
    images, labels = random_batch(128, 224, "cuda")
    step = make_step(make_model("resnet50", 1000).cuda(), preset)
    step(images, labels)
    torch.cuda.reset_peak_memory_stats()
    step(images, labels)
    return torch.cuda.max_memory_allocated()
