from __future__ import annotations

import pytest
import torch
from torch import nn

from perfsuite.errors import UsageError
from perfsuite.training.models import MODELS, make_model, residual_blocks


@pytest.mark.parametrize("name", MODELS)
def test_every_model_scores_every_class(name: str) -> None:
    model = make_model(name, 7).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


def test_the_cifar_stem_does_not_downsample() -> None:
    model = make_model("resnet18-cifar", 10).eval()
    last_shapes: list[torch.Size] = []
    layer = model.get_submodule("layer4")
    layer.register_forward_hook(lambda module, inputs, output: last_shapes.append(output.shape))
    with torch.inference_mode():
        model(torch.zeros(1, 3, 32, 32))
    assert last_shapes == [torch.Size([1, 512, 4, 4])]  # one pixel with the usual stem


def test_unknown_models_and_single_classes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'vgg' is not known, expected small.*resnet50"):
        make_model("vgg", 10)
    with pytest.raises(UsageError, match="1 classes, expected at least 2"):
        make_model("small", 1)


def test_a_model_without_sequences_of_modules_has_no_residual_blocks() -> None:
    assert residual_blocks(nn.Linear(2, 2)) == []
