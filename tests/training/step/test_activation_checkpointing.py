from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from perfsuite.training.models import make_model
from perfsuite.training.step import activation_checkpointing
from perfsuite.training.step.presets import ACTIVATION_CHECKPOINTING, EAGER, Preset
from perfsuite.training.step.step import TrainingStep
from tests.training.tiny_models import MakeOptimizer, random_batch


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return make_model("small", 3)


def test_recomputing_changes_neither_loss_nor_weights_nor_statistics(sgd: MakeOptimizer) -> None:
    eager, recomputing = small_model(), small_model()
    reference = TrainingStep(eager, sgd(eager))
    step = TrainingStep(recomputing, sgd(recomputing), ACTIVATION_CHECKPOINTING)
    for seed in range(2):
        batch = random_batch(4, size=16, seed=seed)
        assert torch.equal(step(*batch), reference(*batch))
    for name, value in eager.state_dict().items():
        assert torch.equal(recomputing.state_dict()[name], value), name


def test_without_frozen_statistics_each_batch_would_count_twice(
    sgd: MakeOptimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr(activation_checkpointing, "_frozen_batchnorm_statistics", lambda block: nullcontext())
    model = small_model()
    TrainingStep(model, sgd(model), ACTIVATION_CHECKPOINTING)(*random_batch(4, size=16))
    assert model.get_buffer("blocks.0.first_norm.num_batches_tracked") == 2


def test_fewer_bytes_are_saved_for_the_backward_pass(sgd: MakeOptimizer) -> None:
    def saved_bytes(preset: Preset) -> int:
        model = small_model()
        step = TrainingStep(model, sgd(model), preset)
        bytes_by_storage: dict[int, int] = {}
        weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

        def record(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                bytes_by_storage[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
            loss = step._loss_of(*random_batch(4, size=16))
        assert loss.requires_grad
        return sum(bytes_by_storage.values())

    assert saved_bytes(ACTIVATION_CHECKPOINTING) < 0.6 * saved_bytes(EAGER)


def test_evaluation_recomputes_nothing(sgd: MakeOptimizer) -> None:
    model = small_model()
    step = TrainingStep(model, sgd(model), ACTIVATION_CHECKPOINTING)
    model.eval()
    images, _ = random_batch(4, size=16)
    assert torch.equal(step.model(images), small_model().eval()(images))


@pytest.mark.parametrize(("name", "blocks"), [("small", 3), ("resnet18", 8), ("resnet50", 16)])
def test_every_residual_block_is_checkpointed(name: str, blocks: int) -> None:
    assert activation_checkpointing.checkpoint_blocks(make_model(name, 10)) == blocks
