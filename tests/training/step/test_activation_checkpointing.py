from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from perfsuite.training.models import make_model
from perfsuite.training.step import activation_checkpointing
from perfsuite.training.step.presets import ACTIVATION_CHECKPOINTING, EAGER
from perfsuite.training.step.step import TrainingStep
from tests.training.tiny_models import batch_of

SGD = Callable[[nn.Module], torch.optim.Optimizer]


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return make_model("small", 3)


def test_recomputing_changes_neither_loss_nor_weights_nor_statistics(sgd: SGD) -> None:
    plain, ours = small_model(), small_model()
    reference, step = TrainingStep(plain, sgd(plain)), TrainingStep(ours, sgd(ours), ACTIVATION_CHECKPOINTING)
    for seed in range(2):
        batch = batch_of(4, size=16, seed=seed)
        assert torch.equal(step(*batch), reference(*batch))
    for name, value in plain.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name


def test_statistics_counted_twice_would_be_found(sgd: SGD, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(activation_checkpointing, "_frozen_batchnorm_statistics", lambda block: nullcontext())
    model = small_model()
    TrainingStep(model, sgd(model), ACTIVATION_CHECKPOINTING)(*batch_of(4, size=16))
    assert model.blocks[0].first_norm.num_batches_tracked == 2


def test_less_is_kept_for_the_backward_pass(sgd: SGD) -> None:
    def saved_bytes(preset: object) -> int:
        model = small_model()
        step = TrainingStep(model, sgd(model), preset)  # type: ignore[arg-type]
        saved: dict[int, int] = {}
        weights = {one.untyped_storage().data_ptr() for one in model.parameters()}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                saved[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = step._loss_of(*batch_of(4, size=16))
        assert loss.requires_grad
        return sum(saved.values())

    assert saved_bytes(ACTIVATION_CHECKPOINTING) < 0.6 * saved_bytes(EAGER)


def test_evaluation_recomputes_nothing(sgd: SGD) -> None:
    model = small_model()
    step = TrainingStep(model, sgd(model), ACTIVATION_CHECKPOINTING)
    model.eval()
    images, _ = batch_of(4, size=16)
    assert torch.equal(step.model(images), small_model().eval()(images))


@pytest.mark.parametrize(("name", "blocks"), [("small", 3), ("resnet18", 8), ("resnet50", 16)])
def test_every_residual_block_is_found(name: str, blocks: int) -> None:
    assert activation_checkpointing.checkpoint_blocks(make_model(name, 10)) == blocks
