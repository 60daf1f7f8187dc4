"""Convolution weights packed once into oneDNN's memory format, instead of at every call.

A ReLU that is the only user of such a convolution becomes part of it. The operators are those that torch's
compiler uses when it freezes weights. The model stays unchanged if they are missing or the outputs differ.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

from perfsuite.training.inference.folding import replace_submodule

# The rounding error of sums taken in another order.
RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-3, 1e-4


class PackedConvolution(nn.Module):
    """A convolution for inference on a CPU; `activation` is `none` or `relu`."""

    def __init__(self, convolution: nn.Conv2d, input_shape: torch.Size, activation: str) -> None:
        super().__init__()
        self.activation, self.bias = activation, convolution.bias
        self.conv_arguments = (
            list(convolution.padding),
            list(convolution.stride),
            list(convolution.dilation),
            convolution.groups,
        )
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            convolution.weight.detach(), *self.conv_arguments, list(input_shape)
        )

    def forward(self, images: Tensor) -> Any:
        return torch.ops.mkldnn._convolution_pointwise(
            images, self.weight, self.bias, *self.conv_arguments, self.activation, [], ""
        )


def pack_convolutions(model: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy of a traced `model`, packed for the shape of `example`; other shapes work, but slower."""
    if not isinstance(model, fx.GraphModule) or not _can_pack(example):
        return model
    input_shapes, expected = _record_input_shapes(model, example)
    graph = copy.deepcopy(model)
    for name, activation in _find_packable_convolutions(graph).items():
        convolution: Any = graph.get_submodule(name)
        replace_submodule(graph, name, PackedConvolution(convolution, input_shapes[name], activation))
    graph.delete_all_unused_submodules()
    graph.recompile()
    with torch.inference_mode():
        is_same = torch.allclose(graph(example), expected, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE)
    return graph if is_same else model


def _can_pack(example: Tensor) -> bool:
    has_operators = hasattr(torch.ops.mkldnn, "_convolution_pointwise") and hasattr(
        torch.ops.mkldnn, "_reorder_convolution_weight"
    )
    is_float32_on_cpu = example.device.type == "cpu" and example.dtype == torch.float32
    has_mkldnn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return is_float32_on_cpu and has_mkldnn and has_operators


def _record_input_shapes(model: fx.GraphModule, example: Tensor) -> tuple[dict[str, torch.Size], Tensor]:
    """Run `model` on `example`; return each convolution's input shape, and the model's output."""
    shapes: dict[str, torch.Size] = {}

    def record(name: str) -> Any:
        return lambda _, inputs: shapes.__setitem__(name, inputs[0].shape)

    hooks = [
        module.register_forward_pre_hook(record(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.inference_mode():
        output: Tensor = model(example)
    for hook in hooks:
        hook.remove()
    return shapes, output


def _find_packable_convolutions(graph: fx.GraphModule) -> dict[str, str]:
    """Return the activation of each packable convolution that is called once.

    A ReLU that becomes an activation is removed from the graph.
    """
    modules = dict(graph.named_modules())
    calls = [node for node in graph.graph.nodes if node.op == "call_module"]
    called_names = [str(node.target) for node in calls]
    activations = {}
    for node in calls:
        name = str(node.target)
        if not _is_packable(modules[name]) or called_names.count(name) > 1:
            continue
        only_user = next(iter(node.users)) if len(node.users) == 1 else None
        is_relu = only_user is not None and isinstance(modules.get(str(only_user.target)), nn.ReLU)
        activations[name] = "relu" if is_relu else "none"
        if only_user is not None and is_relu:
            only_user.replace_all_uses_with(node)
            graph.graph.erase_node(only_user)
    return activations


def _is_packable(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.weight.dtype == torch.float32
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )
