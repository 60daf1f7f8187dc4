from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.models import make_model


def model_with_running_statistics(name: str) -> nn.Module:
    """A model whose running statistics differ from their initial values, so that folding must use them."""
    torch.manual_seed(0)
    model = make_model(name, 10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("name", ["small", "resnet18", "resnet18-cifar"])
def test_folding_removes_every_norm_and_keeps_the_outputs(name: str) -> None:
    model = model_with_running_statistics(name)
    folded = fold_batchnorm(model)
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = model(images)
        assert (folded(images) - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_the_original_model_stays_unchanged() -> None:
    model = model_with_running_statistics("small")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fold_batchnorm(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_norm_whose_input_has_another_user_is_not_folded() -> None:
    class TwoUsers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, images: Tensor) -> Tensor:
            features = self.convolution(images)
            total: Tensor = features + self.norm(features)
            return total

    model = TwoUsers().eval()
    folded = fold_batchnorm(model)
    assert [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    images = torch.randn(1, 3, 4, 4)
    assert torch.allclose(folded(images), model(images), atol=1e-6)


def test_a_model_with_data_dependent_control_flow_is_returned_unchanged() -> None:
    class Branching(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images if images.sum() > 0 else -images

    model = Branching().eval()
    assert fold_batchnorm(model) is model


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call eval\(\)"):
        fold_batchnorm(make_model("small", 2))
