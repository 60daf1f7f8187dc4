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
from tests.training.tiny_models import Batch, OperatorCounter, batch_of, linear_model, norm_model

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


def step_of(model: nn.Module, preset: Preset = EAGER, **options: object) -> TrainingStep:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return TrainingStep(model, optimizer, preset, **options)  # type: ignore[arg-type]


def cut(batch: Batch, sizes: list[int]) -> list[Batch]:
    images, labels = batch
    return list(zip(images.split(sizes), labels.split(sizes), strict=True))


def max_weight_difference(one: nn.Module, other: nn.Module) -> float:
    """The largest difference of a parameter, relative to the largest parameter of its tensor."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs)


def hand_written(model: nn.Module, batches: list[Batch]) -> list[Tensor]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for images, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def test_the_step_is_the_dull_loop_bit_for_bit() -> None:
    ours, dull = norm_model(), norm_model()
    batches = [batch_of(8, seed=seed) for seed in range(3)]
    step = step_of(ours)
    assert [step(*batch) for batch in batches] == hand_written(dull, batches)
    for name, value in dull.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name


@pytest.mark.parametrize("sizes", [[4, 4, 4, 4], [6, 6, 4], [15, 1], [16]])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_accumulating_equals_the_large_batch(sizes: list[int], dtype: torch.dtype, tolerance: float) -> None:
    images, labels = batch_of(16)
    images = images.to(dtype)
    whole, parts = linear_model(dtype), linear_model(dtype)
    whole_step, parts_step = step_of(whole), step_of(parts)
    for _ in range(3):
        at_once = whole_step(images, labels)
        by_parts = parts_step.accumulated(cut((images, labels), sizes))
        assert by_parts.item() == pytest.approx(at_once.item(), rel=tolerance)
    assert max_weight_difference(parts, whole) <= tolerance


def test_a_ragged_tail_weighed_as_a_whole_batch_would_be_found() -> None:
    """The negative control: means of means are wrong where the batches differ in size."""
    images, labels = batch_of(16)
    whole, wrong = linear_model(), linear_model()
    step_of(whole)(images, labels)
    step_of(wrong, count=lambda labels: 1).accumulated(cut((images, labels), [15, 1]))
    assert max_weight_difference(wrong, whole) > 1e-3


def test_accumulating_differs_with_batchnorm_in_training_mode() -> None:
    images, labels = batch_of(16)
    whole, parts = norm_model(), norm_model()
    step_of(whole)(images, labels)
    step_of(parts).accumulated(cut((images, labels), [4, 4, 4, 4]))
    assert max_weight_difference(parts, whole) > 1e-3
    assert parts[1].num_batches_tracked == 4  # running statistics are taken of every part
    assert whole[1].num_batches_tracked == 1


def test_masked_labels_are_weighed_by_what_counts() -> None:
    images, labels = batch_of(16)
    labels[:7] = -100  # most of the first part does not count
    whole, parts = linear_model(), linear_model()
    step_of(whole)(images, labels)
    step = step_of(parts, count=lambda labels: (labels != -100).sum())
    step.accumulated(cut((images, labels), [8, 8]))
    assert max_weight_difference(parts, whole) <= 1e-5


def test_clipping_takes_the_norm_of_the_whole_accumulated_gradient() -> None:
    images, labels = batch_of(16)
    whole, parts = linear_model(), linear_model()
    clipped = Preset(clip_norm=0.01)
    step_of(whole, clipped)(images, labels)
    step_of(parts, clipped).accumulated(cut((images, labels), [6, 6, 4]))
    assert max_weight_difference(parts, whole) <= 1e-5
    norm = torch.stack([one.grad.norm() for one in parts.parameters() if one.grad is not None]).norm()
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("preset", EAGER_PRESETS, ids=lambda preset: preset.name)
def test_no_preset_waits_for_the_device(preset: Preset, dispatched: OperatorCounter) -> None:
    step = step_of(norm_model(), preset)
    step(*batch_of(8))
    with dispatched:
        step.accumulated([batch_of(8), batch_of(5)])
    assert dispatched.host_syncs == 0


def test_fp16_waits_nowhere_with_a_fused_optimizer(dispatched: OperatorCounter) -> None:
    model = linear_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    step = TrainingStep(model, optimizer, FP16 + Preset(clip_norm=1.0))
    step(*batch_of(8))
    with dispatched:
        step(*batch_of(8))
    assert dispatched.host_syncs == 0


def test_a_planted_wait_is_counted(dispatched: OperatorCounter) -> None:
    def waiting_loss(scores: Tensor, labels: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(scores, labels)
        loss.item()
        return loss

    step = step_of(norm_model(), loss=waiting_loss)
    with dispatched:
        step(*batch_of(8))
    assert dispatched.host_syncs == 1


def test_fp16_trains_where_unscaled_gradients_would_vanish() -> None:
    def tiny_loss(scores: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(scores.float(), labels) * 1e-6

    model = linear_model()
    before = copy.deepcopy(model)
    step = step_of(model, FP16, loss=tiny_loss)
    step(*batch_of(8))
    assert step.scaler.get_scale() > 1
    reference = copy.deepcopy(before)
    step_of(reference, loss=tiny_loss)(*batch_of(8))
    moved = [(a - b).detach().norm() for a, b in zip(model.parameters(), before.parameters(), strict=True)]
    expected = [
        (a - b).detach().norm() for a, b in zip(reference.parameters(), before.parameters(), strict=True)
    ]
    assert torch.stack(moved) == pytest.approx(torch.stack(expected), rel=0.05)


def test_stages_are_announced_in_order_for_every_part() -> None:
    heard: list[str] = []

    class Listener:
        def begin(self, stage: str) -> None:
            heard.append(stage)

        def end(self, stage: str) -> None:
            pass

    step = step_of(linear_model())
    with stages.listen_to_stages(Listener()):
        step.accumulated([batch_of(4), batch_of(4)])
    assert heard == ["forward", "backward", "forward", "backward", "optimize"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_loss_is_skipped_by_policy_and_leaves_no_trace(bad: float) -> None:
    model = norm_model()
    step = step_of(model, skip_bad_loss=True)
    step(*batch_of(8))
    before = copy.deepcopy(model.state_dict())
    images, labels = batch_of(8)
    images[3, 0, 0, 0] = bad
    assert not torch.isfinite(step(images, labels))
    assert step.steps_skipped == 1
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.isfinite(step(*batch_of(8)))


def test_without_the_policy_a_bad_loss_reaches_the_weights() -> None:
    model = norm_model()
    images, labels = batch_of(8)
    images[:] = float("nan")
    step_of(model)(images, labels)
    assert model[0].weight.isnan().any()


def test_no_synchronization_before_the_last_part() -> None:
    entered = 0

    class Distributed(nn.Module):
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

    step_of(Distributed()).accumulated([batch_of(4), batch_of(4), batch_of(2)])
    assert entered == 2


def test_channels_last_converts_no_layout_when_the_images_come_so(dispatched: OperatorCounter) -> None:
    step = step_of(make_model("small", 3), CHANNELS_LAST)
    images, labels = batch_of(8)
    images = images.contiguous(memory_format=torch.channels_last)
    step(images, labels)
    with dispatched:
        step(images, labels)
    assert dispatched.count["clone"] == 0
    images = images.contiguous()
    with dispatched:
        step(images, labels)
    assert dispatched.count["clone"] == 1


def test_bf16_computes_in_bf16_and_keeps_float32_weights() -> None:
    model = linear_model()
    seen: list[torch.dtype] = []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    loss = step_of(model, BF16)(*batch_of(4))
    assert seen == [torch.bfloat16]
    assert loss.dtype == torch.float32
    assert {one.dtype for one in model.parameters()} == {torch.float32}


def test_mistakes_are_named() -> None:
    with pytest.raises(UsageError, match="cuda_graphs on cpu"):
        step_of(linear_model(), CUDA_GRAPHS)
    with pytest.raises(UsageError, match="no blocks"):
        step_of(linear_model(), ACTIVATION_CHECKPOINTING)


def python_calls(call: Callable[[], object]) -> int:
    """Calls of functions, Python's and C's: what a step costs beside its operators, without a stopwatch."""
    call()
    calls = 0

    def note(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


def added_by_the_step(**more: Any) -> int:
    ours, theirs = norm_model(), norm_model()
    images, labels = batch_of(8)
    step = TrainingStep(ours, torch.optim.SGD(ours.parameters(), lr=0.1), **more)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)

    def by_hand() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(theirs(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return python_calls(lambda: step(images, labels)) - python_calls(by_hand)


def test_the_plain_step_adds_few_calls_to_a_hand_written_loop() -> None:
    assert added_by_the_step() <= 40  # microseconds together
    assert added_by_the_step(skip_bad_loss=True) > 40  # what an addition looks like


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [1]), (4, [4]), (9, [4, 4, 1])])
def test_groups_lose_no_batch(count: int, expected: list[int]) -> None:
    assert [len(group) for group in group_batches(range(count), 4)] == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnCuda:
    @pytest.mark.parametrize("preset", [CUDA_GRAPHS, CUDA_GRAPHS + BF16], ids=lambda preset: preset.name)
    def test_cuda_graphs_equal_the_plain_step(self, preset: Preset) -> None:
        plain, graphed = norm_model().cuda(), norm_model().cuda()
        images, labels = (one.cuda() for one in batch_of(8))
        reference, step = step_of(plain, EAGER), step_of(graphed, preset)
        for _ in range(4):
            expected, found = reference(images, labels), step(images, labels)
            assert found.item() == pytest.approx(expected.item(), rel=2e-2 if preset.autocast_dtype else 1e-4)
        assert step(images[:5], labels[:5]).isfinite()  # the ragged tail runs uncaptured
        assert graphed[1].num_batches_tracked == 5

    @pytest.mark.parametrize("preset", [*EAGER_PRESETS, FP16 + FUSED], ids=lambda preset: preset.name)
    def test_the_device_is_never_waited_for(self, preset: Preset) -> None:
        model = norm_model().cuda()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=preset.needs_scaler or None)
        step = TrainingStep(model, optimizer, preset)
        images, labels = (one.cuda() for one in batch_of(8))
        step(images, labels)
        torch.cuda.set_sync_debug_mode("error")
        try:
            step.accumulated([(images, labels), (images[:5], labels[:5])])
        finally:
            torch.cuda.set_sync_debug_mode("default")
