"""What a captured step does around torch's capture; the graphs themselves need a GPU (test_step)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perfsuite.training.step.cuda_graphs import CapturedStep
from perfsuite.training.step.presets import EAGER
from tests.training.tiny_models import batch_norm, norm_model, random_batch


def capture_by_running(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Any:
    """Stands for torch's capture, which runs the module several times."""
    for _ in range(3):
        module(*batch).backward()
    return module


def test_a_capture_leaves_statistics_and_gradients_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture_by_running)
    model = norm_model()
    images, labels = random_batch(8)
    captured = CapturedStep.capture(model, nn.functional.cross_entropy, EAGER, images, labels)
    assert batch_norm(model).num_batches_tracked == 0
    assert all(parameter.grad is None for parameter in model.parameters())
    expected = nn.functional.cross_entropy(norm_model()(images), labels)
    assert torch.equal(captured.replay(images, labels), expected)


def test_a_captured_step_fits_only_its_own_batch_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture_by_running)
    captured = CapturedStep.capture(norm_model(), nn.functional.cross_entropy, EAGER, *random_batch(8))
    assert captured.fits(*random_batch(8, seed=1))
    assert not captured.fits(*random_batch(5))
