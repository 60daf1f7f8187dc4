from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perfsuite.training.inference import packing as module
from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.inference.packing import PackedConvolution, pack_convolutions
from perfsuite.training.models import make_model


def ready(model: nn.Module) -> nn.Module:
    return fold_batchnorm(model.eval()).to(memory_format=torch.channels_last)


def random_images(n: int, side: int = 32) -> Tensor:
    images = torch.randn((n, 3, side, side), generator=torch.Generator().manual_seed(1))
    return images.to(memory_format=torch.channels_last)


def convolutions(model: nn.Module) -> list[PackedConvolution]:
    return [part for part in model.modules() if isinstance(part, PackedConvolution)]


@pytest.mark.parametrize("name", ["small", "resnet18-cifar", "resnet50"])
def test_answers_stay_the_same_for_any_batch(name: str) -> None:
    plain = ready(make_model(name, 10))
    made = pack_convolutions(plain, random_images(1))
    assert convolutions(made)
    assert not any(type(part) is nn.Conv2d for part in made.modules())
    with torch.inference_mode():
        for images in (random_images(1), random_images(5), random_images(2, side=48)):
            assert torch.allclose(made(images), plain(images), rtol=1e-3, atol=1e-4)


class Shared(nn.Module):
    """A convolution whose answer is used before its ReLU and after it; and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.again = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.strided = nn.Conv2d(4, 6, 3, stride=2, dilation=2)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.first(images)
        twice = self.again(self.again(seen + self.relu(seen)))
        answer: Tensor = self.relu(self.strided(twice)).mean((2, 3))
        return answer


def test_only_a_relu_that_follows_alone_is_taken_in() -> None:
    plain = ready(Shared())
    made = pack_convolutions(plain, random_images(1))
    assert sorted(part.activation for part in convolutions(made)) == ["none", "relu"]
    assert sum(type(part) is nn.Conv2d for part in made.modules()) == 1  # that which is called twice
    with torch.inference_mode():
        assert torch.allclose(made(random_images(3)), plain(random_images(3)), rtol=1e-3, atol=1e-4)


def test_what_cannot_be_packed_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    untraced = make_model("small", 10).eval()
    assert pack_convolutions(untraced, random_images(1)) is untraced
    plain = ready(make_model("small", 10))
    assert pack_convolutions(plain, random_images(1).double()) is plain
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack_convolutions(plain, random_images(1)) is plain


def test_other_answers_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ready(make_model("small", 10))
    monkeypatch.setattr(
        module, "_find_packable_convolutions", lambda graph: dict.fromkeys(_names(graph), "relu")
    )
    assert pack_convolutions(plain, random_images(1)) is plain  # planted: a ReLU where there is none


def _names(graph: nn.Module) -> list[str]:
    return [name for name, part in graph.named_modules() if type(part) is nn.Conv2d]
