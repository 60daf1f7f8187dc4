"""BatchNorm folded into the convolution before it: the same answers from fewer passes over memory."""

from __future__ import annotations

import copy

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TRACE_ERRORS = (fx.proxy.TraceError, NotImplementedError, TypeError, ValueError)


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """A copy of `model`, in eval mode, without the BatchNorms that follow a convolution directly.

    What cannot be traced is returned as it is.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    >>> sum(isinstance(part, nn.BatchNorm2d) for part in fold_batchnorm(model).modules())
    0
    """
    if model.training:
        raise ValueError(
            "fold: the model is in training mode, where BatchNorm depends on the batch; call eval()"
        )
    try:
        graph = fx.symbolic_trace(copy.deepcopy(model))
    except TRACE_ERRORS:
        return model
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        pair = _conv_batchnorm_pair(node, modules)
        if pair is not None:
            before, convolution, norm = pair
            _replace_submodule(graph, str(before.target), fuse_conv_bn_eval(convolution, norm))
            modules[str(before.target)] = graph.get_submodule(str(before.target))
            node.replace_all_uses_with(before)
            graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def _conv_batchnorm_pair(
    node: fx.Node, modules: dict[str, torch.nn.Module]
) -> tuple[fx.Node, nn.Conv2d, nn.BatchNorm2d] | None:
    if node.op != "call_module" or not node.args or not isinstance(node.args[0], fx.Node):
        return None
    before = node.args[0]
    norm, convolution = modules.get(str(node.target)), modules.get(str(before.target))
    if before.op != "call_module" or len(before.users) > 1:
        return None
    if type(norm) is not nn.BatchNorm2d or type(convolution) is not nn.Conv2d or not norm.track_running_stats:
        return None
    return before, convolution, norm


def _replace_submodule(graph: fx.GraphModule, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(graph.get_submodule(parent), attribute, module)
