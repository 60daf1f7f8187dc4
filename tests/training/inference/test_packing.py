from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perfsuite.training.inference import packing
from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.inference.packing import PackedConvolution, pack_convolutions
from perfsuite.training.models import make_model


def fold(model: nn.Module) -> nn.Module:
    return fold_batchnorm(model.eval()).to(memory_format=torch.channels_last)


def random_images(count: int, side: int = 32) -> Tensor:
    images = torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(1))
    return images.to(memory_format=torch.channels_last)


def packed_convolutions(model: nn.Module) -> list[PackedConvolution]:
    return [module for module in model.modules() if isinstance(module, PackedConvolution)]


@pytest.mark.parametrize("name", ["small", "resnet18-cifar", "resnet50"])
def test_outputs_stay_the_same_for_any_batch(name: str) -> None:
    plain = fold(make_model(name, 10))
    packed = pack_convolutions(plain, random_images(1))
    assert packed_convolutions(packed)
    assert not any(type(module) is nn.Conv2d for module in packed.modules())
    with torch.inference_mode():
        for images in (random_images(1), random_images(5), random_images(2, side=48)):
            assert torch.allclose(packed(images), plain(images), rtol=1e-3, atol=1e-4)


class SharedConvolutions(nn.Module):
    """One convolution with a second user besides its ReLU, and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.again = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.strided = nn.Conv2d(4, 6, 3, stride=2, dilation=2)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        twice = self.again(self.again(features + self.relu(features)))
        scores: Tensor = self.relu(self.strided(twice)).mean((2, 3))
        return scores


def test_only_a_relu_that_is_the_single_user_becomes_an_activation() -> None:
    plain = fold(SharedConvolutions())
    packed = pack_convolutions(plain, random_images(1))
    assert sorted(part.activation for part in packed_convolutions(packed)) == ["none", "relu"]
    assert sum(type(module) is nn.Conv2d for module in packed.modules()) == 1  # the one that is called twice
    with torch.inference_mode():
        assert torch.allclose(packed(random_images(3)), plain(random_images(3)), rtol=1e-3, atol=1e-4)


def test_models_that_cannot_be_packed_are_returned_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    untraced = make_model("small", 10).eval()
    assert pack_convolutions(untraced, random_images(1)) is untraced
    plain = fold(make_model("small", 10))
    assert pack_convolutions(plain, random_images(1).double()) is plain
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack_convolutions(plain, random_images(1)) is plain


def test_a_packed_model_with_other_outputs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = fold(make_model("small", 10))
    monkeypatch.setattr(
        packing, "_find_packable_convolutions", lambda graph: dict.fromkeys(_convolution_names(graph), "relu")
    )
    assert pack_convolutions(plain, random_images(1)) is plain  # planted: a ReLU where there is none


def _convolution_names(graph: nn.Module) -> list[str]:
    return [name for name, module in graph.named_modules() if type(module) is nn.Conv2d]
