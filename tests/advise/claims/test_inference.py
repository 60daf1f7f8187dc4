"""Runtimes that the claims time: each is compared with eager before. Nothing is timed or compiled here."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perfsuite.advise.claims.inference import runtime_factories
from perfsuite.errors import ParityError
from perfsuite.training.inference import folding

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def convolution() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()


@pytest.fixture
def _not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model: model)


def planted(model: nn.Module) -> nn.Module:
    """A folded model whose scores are off by a hundredth."""

    class Wrong(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            scores: Tensor = model(images)
            return scores * 1.01

    return Wrong().eval()


@pytest.mark.usefixtures("_not_compiled")
@pytest.mark.parametrize("name", ["folded, channels_last", "combined"])
def test_a_folded_runtime_with_wrong_outputs_is_rejected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call = runtime_factories(convolution(), IMAGES)[name]()
    scores = call()
    assert isinstance(scores, Tensor)
    assert torch.allclose(scores, convolution()(IMAGES), atol=1e-6)
    monkeypatch.setattr(folding, "fold_batchnorm", planted)
    with pytest.raises(ParityError, match=f"{name}: scores differ by 1.0% of the largest"):
        runtime_factories(convolution(), IMAGES)[name]()


class Untraceable(nn.Module):
    """Branches on a value, so that nothing can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.convolution(images).mean((2, 3))
        return scores if scores.sum() > 0 else -scores


@pytest.mark.usefixtures("_not_compiled")
def test_a_model_that_cannot_be_folded_keeps_its_memory_format_for_the_other_runtimes() -> None:
    formats: list[bool] = []
    model = Untraceable().eval()

    def note_format(module: nn.Module, arguments: object) -> None:
        formats.append(module.get_parameter("convolution.weight").is_contiguous())

    model.register_forward_pre_hook(note_format)
    factories = runtime_factories(model, IMAGES)
    eager = factories["eager"]()
    factories["folded, channels_last"]()
    formats.clear()
    eager()
    assert formats == [True]
