from __future__ import annotations

import pytest
import torch

from perfsuite.errors import UsageError
from perfsuite.training.models import MODELS, make_model


@pytest.mark.parametrize("name", MODELS)
def test_every_model_scores_every_class(name: str) -> None:
    model = make_model(name, 7).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 7)


def test_the_cifar_stem_keeps_small_images_whole() -> None:
    model = make_model("resnet18-cifar", 10).eval()
    last: list[torch.Size] = []
    model.layer4.register_forward_hook(lambda module, inputs, output: last.append(output.shape))
    with torch.inference_mode():
        model(torch.zeros(1, 3, 32, 32))
    assert last == [torch.Size([1, 512, 4, 4])]  # one pixel with the usual stem


def test_unknown_models_and_single_classes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'vgg' is not known, expected small.*resnet50"):
        make_model("vgg", 10)
    with pytest.raises(UsageError, match="1 classes, expected at least 2"):
        make_model("small", 1)
