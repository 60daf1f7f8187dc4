from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perfsuite import stages
from perfsuite.errors import UsageError
from perfsuite.training.devices import TensorBatch
from perfsuite.training.models import make_model
from perfsuite.training.step.presets import (
    ACTIVATION_CHECKPOINTING,
    BF16,
    CHANNELS_LAST,
    CUDA_GRAPHS,
    EAGER,
    FOREACH,
    FP16,
    FUSED,
    IEEE,
    Preset,
)
from perfsuite.training.step.step import TrainingStep, group_batches
from tests.training.tiny_models import OperatorCounter, batch_norm, linear_model, norm_model, random_batch

EAGER_PRESETS = [
    EAGER,
    IEEE,
    BF16,
    CHANNELS_LAST,
    BF16 + CHANNELS_LAST,
    FUSED,
    FOREACH,
    Preset(clip_norm=1.0),
]


def make_step(model: nn.Module, preset: Preset = EAGER, **options: Any) -> TrainingStep:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return TrainingStep(model, optimizer, preset, **options)


def split_batch(batch: TensorBatch, sizes: list[int]) -> list[TensorBatch]:
    images, labels = batch
    return list(zip(torch.split(images, sizes), torch.split(labels, sizes), strict=True))


def max_weight_difference(first: nn.Module, second: nn.Module) -> float:
    """The largest difference of a parameter, relative to the largest one of its tensor."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


def run_plain_loop(model: nn.Module, batches: list[TensorBatch]) -> list[Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for images, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.detach())
    return losses


def test_the_step_equals_a_plain_loop_bit_for_bit() -> None:
    model, plain = norm_model(), norm_model()
    batches = [random_batch(8, seed=seed) for seed in range(3)]
    step = make_step(model)
    assert [step(*batch) for batch in batches] == run_plain_loop(plain, batches)
    for name, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("sizes", [[4, 4, 4, 4], [6, 6, 4], [15, 1], [16]])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_accumulating_equals_the_large_batch(sizes: list[int], dtype: torch.dtype, tolerance: float) -> None:
    images, labels = random_batch(16)
    images = images.to(dtype)
    whole, parts = linear_model(dtype), linear_model(dtype)
    whole_step, parts_step = make_step(whole), make_step(parts)
    for _ in range(3):
        whole_loss = whole_step(images, labels)
        parts_loss = parts_step.accumulate(split_batch((images, labels), sizes))
        assert parts_loss.item() == pytest.approx(whole_loss.item(), rel=tolerance)
    assert max_weight_difference(parts, whole) <= tolerance


def test_equal_weights_for_unequal_batches_would_differ() -> None:
    """The negative control: a mean of means is wrong if the batches differ in size."""
    images, labels = random_batch(16)
    whole, wrong = linear_model(), linear_model()
    make_step(whole)(images, labels)
    make_step(wrong, count_labels=lambda labels: 1).accumulate(split_batch((images, labels), [15, 1]))
    assert max_weight_difference(wrong, whole) > 1e-3


def test_accumulating_differs_with_batchnorm_in_training_mode() -> None:
    images, labels = random_batch(16)
    whole, parts = norm_model(), norm_model()
    make_step(whole)(images, labels)
    make_step(parts).accumulate(split_batch((images, labels), [4, 4, 4, 4]))
    assert max_weight_difference(parts, whole) > 1e-3
    assert batch_norm(parts).num_batches_tracked == 4  # each part updates the running statistics
    assert batch_norm(whole).num_batches_tracked == 1


def test_batches_are_weighted_by_their_unmasked_labels() -> None:
    images, labels = random_batch(16)
    labels[:7] = -100  # most of the first part is masked
    whole, parts = linear_model(), linear_model()
    make_step(whole)(images, labels)
    step = make_step(parts, count_labels=lambda labels: (labels != -100).sum())
    step.accumulate(split_batch((images, labels), [8, 8]))
    assert max_weight_difference(parts, whole) <= 1e-5


def test_clipping_uses_the_norm_of_the_accumulated_gradient() -> None:
    images, labels = random_batch(16)
    whole, parts = linear_model(), linear_model()
    clipped = Preset(clip_norm=0.01)
    make_step(whole, clipped)(images, labels)
    make_step(parts, clipped).accumulate(split_batch((images, labels), [6, 6, 4]))
    assert max_weight_difference(parts, whole) <= 1e-5
    norm = torch.stack(
        [weight.grad.norm() for weight in parts.parameters() if weight.grad is not None]
    ).norm()
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("preset", EAGER_PRESETS, ids=lambda preset: preset.name)
def test_no_preset_synchronizes_with_the_device(preset: Preset, operators: OperatorCounter) -> None:
    step = make_step(norm_model(), preset)
    step(*random_batch(8))
    with operators:
        step.accumulate([random_batch(8), random_batch(5)])
    assert operators.host_syncs == 0


def test_fp16_with_a_fused_optimizer_does_not_synchronize(operators: OperatorCounter) -> None:
    model = linear_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    step = TrainingStep(model, optimizer, FP16 + Preset(clip_norm=1.0))
    step(*random_batch(8))
    with operators:
        step(*random_batch(8))
    assert operators.host_syncs == 0


def test_a_planted_synchronization_is_counted(operators: OperatorCounter) -> None:
    def synchronizing_loss(scores: Tensor, labels: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(scores, labels)
        loss.item()
        return loss

    step = make_step(norm_model(), loss=synchronizing_loss)
    with operators:
        step(*random_batch(8))
    assert operators.host_syncs == 1


def test_fp16_trains_where_unscaled_gradients_would_vanish() -> None:
    def tiny_loss(scores: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(scores.float(), labels) * 1e-6

    model = linear_model()
    before = copy.deepcopy(model)
    step = make_step(model, FP16, loss=tiny_loss)
    step(*random_batch(8))
    assert step.scaler.get_scale() > 1
    reference = copy.deepcopy(before)
    make_step(reference, loss=tiny_loss)(*random_batch(8))
    moved = [(a - b).detach().norm() for a, b in zip(model.parameters(), before.parameters(), strict=True)]
    expected = [
        (a - b).detach().norm() for a, b in zip(reference.parameters(), before.parameters(), strict=True)
    ]
    assert torch.stack(moved) == pytest.approx(torch.stack(expected), rel=0.05)


def test_stages_begin_in_order_for_every_batch() -> None:
    begun: list[str] = []

    class RecordingListener:
        def begin(self, stage: str) -> None:
            begun.append(stage)

        def end(self, stage: str) -> None: ...

        def count_event(self, what: str, count: int) -> None: ...

    step = make_step(linear_model())
    with stages.listen_to_stages(RecordingListener()):
        step.accumulate([random_batch(4), random_batch(4)])
    assert begun == ["forward", "backward", "forward", "backward", "optimize"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_skipping_a_bad_loss_leaves_the_model_unchanged(bad: float) -> None:
    model = norm_model()
    step = make_step(model, skip_bad_loss=True)
    step(*random_batch(8))
    before = copy.deepcopy(model.state_dict())
    images, labels = random_batch(8)
    images[3, 0, 0, 0] = bad
    assert not torch.isfinite(step(images, labels))
    assert step.steps_skipped == 1
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.isfinite(step(*random_batch(8)))


def test_without_skipping_a_bad_loss_reaches_the_weights() -> None:
    model = norm_model()
    images, labels = random_batch(8)
    images[:] = float("nan")
    make_step(model)(images, labels)
    assert model.get_parameter("0.weight").isnan().any()


def test_gradients_are_exchanged_only_in_the_last_backward_pass() -> None:
    entered = 0

    class DistributedModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = linear_model()

        def forward(self, images: Tensor) -> Tensor:
            scores: Tensor = self.module(images)
            return scores

        def no_sync(self) -> object:
            nonlocal entered
            entered += 1
            return torch.autograd.grad_mode.set_grad_enabled(True)

    make_step(DistributedModel()).accumulate([random_batch(4), random_batch(4), random_batch(2)])
    assert entered == 2


def test_channels_last_images_are_not_converted_again(operators: OperatorCounter) -> None:
    step = make_step(make_model("small", 3), CHANNELS_LAST)
    images, labels = random_batch(8)
    images = images.contiguous(memory_format=torch.channels_last)
    step(images, labels)
    with operators:
        step(images, labels)
    assert operators.count["clone"] == 0
    images = images.contiguous()
    with operators:
        step(images, labels)
    assert operators.count["clone"] == 1


def test_bf16_computes_in_bf16_and_keeps_float32_weights() -> None:
    model = linear_model()
    dtypes: list[torch.dtype] = []
    model[0].register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))
    loss = make_step(model, BF16)(*random_batch(4))
    assert dtypes == [torch.bfloat16]
    assert loss.dtype == torch.float32
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_presets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="cuda_graphs on cpu"):
        make_step(linear_model(), CUDA_GRAPHS)
    with pytest.raises(UsageError, match="no blocks"):
        make_step(linear_model(), ACTIVATION_CHECKPOINTING)


def python_calls(call: Callable[[], object]) -> int:
    """Count calls of Python and C functions: the cost of a step beside its operators, without a clock."""
    call()
    calls = 0

    def profile(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


def calls_added_by_the_step(**options: Any) -> int:
    model, plain = norm_model(), norm_model()
    images, labels = random_batch(8)
    step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1), **options)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)

    def plain_step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(plain(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return python_calls(lambda: step(images, labels)) - python_calls(plain_step)


def test_the_plain_step_adds_few_calls_to_a_hand_written_loop() -> None:
    assert calls_added_by_the_step() <= 40  # a few microseconds
    assert calls_added_by_the_step(skip_bad_loss=True) > 40  # the negative control


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [1]), (4, [4]), (9, [4, 4, 1])])
def test_groups_lose_no_batch(count: int, expected: list[int]) -> None:
    assert [len(group) for group in group_batches(range(count), 4)] == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnCuda:
    @pytest.mark.parametrize("preset", [CUDA_GRAPHS, CUDA_GRAPHS + BF16], ids=lambda preset: preset.name)
    def test_cuda_graphs_equal_the_plain_step(self, preset: Preset) -> None:
        plain, graphed = norm_model().cuda(), norm_model().cuda()
        images, labels = (tensor.cuda() for tensor in random_batch(8))
        reference, step = make_step(plain, EAGER), make_step(graphed, preset)
        for _ in range(4):
            expected, loss = reference(images, labels), step(images, labels)
            assert loss.item() == pytest.approx(expected.item(), rel=2e-2 if preset.autocast_dtype else 1e-4)
        assert step(images[:5], labels[:5]).isfinite()  # another shape runs uncaptured
        assert batch_norm(graphed).num_batches_tracked == 5

    @pytest.mark.parametrize("preset", [*EAGER_PRESETS, FP16 + FUSED], ids=lambda preset: preset.name)
    def test_no_preset_synchronizes_with_the_gpu(self, preset: Preset) -> None:
        model = norm_model().cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=preset.needs_scaler or None)
        step = TrainingStep(model, optimizer, preset)
        images, labels = (tensor.cuda() for tensor in random_batch(8))
        step(images, labels)
        torch.cuda.set_sync_debug_mode("error")
        try:
            step.accumulate([(images, labels), (images[:5], labels[:5])])
        finally:
            torch.cuda.set_sync_debug_mode("default")
