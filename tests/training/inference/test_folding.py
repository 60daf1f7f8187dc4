from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.models import make_model


def with_running_statistics(name: str) -> nn.Module:
    """With running statistics that folding must carry over."""
    torch.manual_seed(0)
    model = make_model(name, 10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("name", ["small", "resnet18", "resnet18-cifar"])
def test_folding_leaves_no_norm_and_the_same_answers(name: str) -> None:
    model = with_running_statistics(name)
    ready = fold_batchnorm(model)
    assert not [one for one in ready.modules() if isinstance(one, nn.BatchNorm2d)]
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = model(images)
        assert (ready(images) - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_the_given_model_is_left_alone() -> None:
    model = with_running_statistics("small")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fold_batchnorm(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_norm_whose_input_is_used_elsewhere_stays() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, images: Tensor) -> Tensor:
            found = self.convolution(images)
            both: Tensor = found + self.norm(found)
            return both

    model = Shared().eval()
    ready = fold_batchnorm(model)
    assert [one for one in ready.modules() if isinstance(one, nn.BatchNorm2d)]
    images = torch.randn(1, 3, 4, 4)
    assert torch.allclose(ready(images), model(images), atol=1e-6)


def test_a_model_that_decides_by_its_input_is_left_as_it_is() -> None:
    class Deciding(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images if images.sum() > 0 else -images

    model = Deciding().eval()
    assert fold_batchnorm(model) is model


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call eval\(\)"):
        fold_batchnorm(make_model("small", 2))
