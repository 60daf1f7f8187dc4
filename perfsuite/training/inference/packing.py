"""Convolutions whose weights lie as oneDNN computes with them: put in that order once, not at every call.

A ReLU that follows such a convolution, and nothing else, becomes part of it. The operators are those that
torch's compiler uses when it freezes weights; where they are missing, or answers differ, the model stays as
it is.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

# What rounding may differ by where sums are taken in another order.
RELATIVE, ABSOLUTE = 1e-3, 1e-4


class PackedConvolution(nn.Module):
    """A convolution for inference on a CPU; `activation` is `none` or `relu`."""

    def __init__(self, plain: nn.Conv2d, shape: torch.Size, activation: str) -> None:
        super().__init__()
        self.activation, self.bias = activation, plain.bias
        self.conv_arguments = (list(plain.padding), list(plain.stride), list(plain.dilation), plain.groups)
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            plain.weight.detach(), *self.conv_arguments, list(shape)
        )

    def forward(self, images: Tensor) -> Any:
        return torch.ops.mkldnn._convolution_pointwise(
            images, self.weight, self.bias, *self.conv_arguments, self.activation, [], ""
        )


def pack_convolutions(model: nn.Module, example: Tensor) -> nn.Module:
    """A copy of a traced `model` for images like `example`, fast for its shape and right for any."""
    if not isinstance(model, fx.GraphModule) or not _can_pack(example):
        return model
    shapes, expected = _record_input_shapes(model, example)
    graph = copy.deepcopy(model)
    for name, activation in _find_packable_convolutions(graph).items():
        plain: Any = graph.get_submodule(name)
        parent, _, attribute = name.rpartition(".")
        setattr(graph.get_submodule(parent), attribute, PackedConvolution(plain, shapes[name], activation))
    graph.delete_all_unused_submodules()
    graph.recompile()
    with torch.inference_mode():
        is_same = torch.allclose(graph(example), expected, RELATIVE, ABSOLUTE)
    return graph if is_same else model


def _can_pack(example: Tensor) -> bool:
    has_operators = hasattr(torch.ops.mkldnn, "_convolution_pointwise") and hasattr(
        torch.ops.mkldnn, "_reorder_convolution_weight"
    )
    is_plain = example.device.type == "cpu" and example.dtype == torch.float32
    is_built_in: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return is_plain and is_built_in and has_operators


def _record_input_shapes(model: fx.GraphModule, example: Tensor) -> tuple[dict[str, torch.Size], Tensor]:
    """What each convolution is given for the example, and the model's answer to it."""
    shapes: dict[str, torch.Size] = {}

    def remember(name: str) -> Any:
        return lambda _, given: shapes.__setitem__(name, given[0].shape)

    hooks = [
        module.register_forward_pre_hook(remember(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.inference_mode():
        answer: Tensor = model(example)
    for hook in hooks:
        hook.remove()
    return shapes, answer


def _find_packable_convolutions(graph: fx.GraphModule) -> dict[str, str]:
    """Convolutions that are called once, with what follows them; a ReLU that does leaves the graph."""
    modules = dict(graph.named_modules())
    calls = [node for node in graph.graph.nodes if node.op == "call_module"]
    times = [str(node.target) for node in calls]
    found = {}
    for node in calls:
        name = str(node.target)
        if not _is_packable(modules[name]) or times.count(name) > 1:
            continue
        after = next(iter(node.users)) if len(node.users) == 1 else None
        is_relu = after is not None and isinstance(modules.get(str(after.target)), nn.ReLU)
        found[name] = "relu" if is_relu else "none"
        if after is not None and is_relu:
            after.replace_all_uses_with(node)
            graph.graph.erase_node(after)
    return found


def _is_packable(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.weight.dtype == torch.float32
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )
