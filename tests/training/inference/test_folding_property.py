"""Folding against the unfolded model, over random graphs and the architectures of torchvision."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from perfsuite.training.inference.folding import fold_batchnorm


def randomize_norms(model: nn.Module) -> nn.Module:
    """Give each norm statistics unlike the initial ones, so that a norm folded twice or not at all shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


def norm_count(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def assert_folding_keeps_outputs(model: nn.Module, images: Tensor) -> nn.Module:
    folded = fold_batchnorm(model)
    with torch.inference_mode():
        expected, actual = model(images), folded(images)
    assert (actual - expected).abs().max() <= 1e-4 * expected.abs().max().clamp_min(1e-3)
    return folded


Call = tuple[str, int]  # the kind and the number of a module


class RandomGraph(nn.Module):
    """Calls a few convolutions, norms and ReLUs in a random order, with repetitions and additions."""

    def __init__(self, calls: list[Call]) -> None:
        super().__init__()
        self.calls = calls
        self.conv = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1, bias=bool(index)) for index in range(2))
        self.norm = nn.ModuleList(nn.BatchNorm2d(3, affine=bool(index)) for index in range(2))

    def forward(self, images: Tensor) -> Tensor:
        earlier, features = images, images
        for kind, index in self.calls:
            if kind == "conv":
                features = self.conv[index](features)
            elif kind == "norm":
                features = self.norm[index](features)
            elif kind == "add":
                features = features + earlier
            elif kind == "keep":
                earlier = features
            elif kind == "weight":
                features = nn.functional.conv2d(features, self.conv[index].get_parameter("weight"), padding=1)
            else:
                features = torch.tanh(features)
        return features


KINDS = ("conv", "norm", "norm", "conv", "add", "keep", "tanh", "weight")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 1)), min_size=1, max_size=8), st.integers(0, 99)
)
def test_folding_keeps_the_outputs_of_any_graph(calls: list[Call], seed: int) -> None:
    torch.manual_seed(seed)
    assert_folding_keeps_outputs(randomize_norms(RandomGraph(calls)), torch.randn(1, 3, 5, 5))


class Shared(nn.Module):
    def __init__(self, forward: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.other = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.norm, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.same_conv = self.conv
        self._forward = forward

    def forward(self, images: Tensor) -> Tensor:
        return self._forward(self, images)


@pytest.mark.parametrize(
    ("forward", "norms"),
    [
        (lambda m, x: m.norm(m.conv(m.norm(m.conv(x)))), 1),
        (lambda m, x: m.second(m.conv(m.norm(m.conv(x)))), 2),
        (lambda m, x: m.conv(m.norm(m.conv(x))), 1),
        (lambda m, x: m.norm(m.conv(x)) + m.same_conv(x), 1),
        (lambda m, x: m.norm(m.conv(x)) * m.conv.weight.sum(), 1),
        # A norm that follows two convolutions can be folded into both.
        (lambda m, x: m.norm(m.conv(x)) + m.norm(m.other(x)), 0),
        (lambda m, x: m.norm(m.conv(x)) + m.norm(x), 1),
    ],
)
def test_modules_used_twice(forward: Callable[[Any, Tensor], Tensor], norms: int) -> None:
    torch.manual_seed(0)
    folded = assert_folding_keeps_outputs(randomize_norms(Shared(forward)), torch.randn(2, 3, 4, 4))
    assert norm_count(folded) == norms


def test_a_convolution_folded_twice_would_be_noticed() -> None:
    """The negative control: what folding computed before."""
    torch.manual_seed(0)
    model = randomize_norms(Shared(lambda m, x: m.norm(m.conv(m.norm(m.conv(x))))))
    wrong: Any = copy.deepcopy(model)
    for _ in range(2):
        wrong.conv = nn.utils.fusion.fuse_conv_bn_eval(wrong.conv, wrong.norm)
    images = torch.randn(2, 3, 4, 4)
    expected = model(images)
    assert (wrong.conv(wrong.conv(images)) - expected).abs().max() > 0.1 * expected.abs().max()


def test_hooks_keep_a_norm_and_its_convolution() -> None:
    for index in (0, 1):
        model = randomize_norms(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))
        model.get_submodule(str(index)).register_forward_hook(lambda module, inputs, output: output * 2)
        folded = assert_folding_keeps_outputs(model, torch.randn(2, 3, 4, 4))
        assert norm_count(folded) == 1


def test_a_norm_in_training_mode_inside_an_eval_model_is_kept() -> None:
    model = randomize_norms(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))
    model.get_submodule("1").train()
    assert norm_count(fold_batchnorm(model)) == 1


def test_a_model_whose_trace_raises_anything_is_returned_unchanged() -> None:
    class Picky(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            assert isinstance(images, Tensor)
            return images

    model = Picky().eval()
    assert fold_batchnorm(model) is model


ARCHITECTURES = (
    *("resnet18", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5", "regnet_y_400mf"),
    *("squeezenet1_0", "vgg11_bn", "densenet121", "googlenet", "efficientnet_b0", "convnext_tiny"),
)
FOLDED_ENTIRELY = {
    "resnet18",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mnasnet0_5",
    "regnet_y_400mf",
    "vgg11_bn",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("mobilenet_v3_small", "densenet121") else pytest.mark.slow)
        for name in ARCHITECTURES
    ],
)
def test_the_architectures_of_torchvision_keep_their_outputs(name: str) -> None:
    from torchvision import models

    torch.manual_seed(0)
    options = {"init_weights": False} if name == "googlenet" else {}
    model = randomize_norms(models.get_model(name, num_classes=5, **options))
    folded = assert_folding_keeps_outputs(model, torch.randn(1, 3, 64, 64))
    if name in FOLDED_ENTIRELY:
        assert norm_count(folded) == 0
