"""BatchNorm folded into the convolution before it: the same outputs with fewer passes over memory."""

from __future__ import annotations

import copy
from collections import Counter

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """Return a copy of `model`, in eval mode, without the BatchNorms that directly follow a convolution.

    A BatchNorm stays if its convolution has another use, since the folded weights would be wrong there. A
    model that cannot be traced is returned unchanged.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    >>> sum(isinstance(module, nn.BatchNorm2d) for module in fold_batchnorm(model).modules())
    0
    """
    if model.training:
        raise ValueError(
            "fold: the model is in training mode, expected eval mode, where BatchNorm does not depend on the "
            "batch; call eval()"
        )
    try:
        graph = fx.symbolic_trace(copy.deepcopy(model))
    except Exception:  # a forward pass may raise anything when its input is no tensor
        return model
    modules = dict(graph.named_modules())
    uses = _count_uses(graph.graph)
    for node in list(graph.graph.nodes):
        pair = _conv_batchnorm_pair(node, modules)
        if pair is not None and uses[str(pair[0].target)] > 1:
            continue
        if pair is not None:
            convolution_node, convolution, norm = pair
            name = str(convolution_node.target)
            modules[name] = fuse_conv_bn_eval(convolution, norm)
            replace_submodule(graph, name, modules[name])
            node.replace_all_uses_with(convolution_node)
            graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def replace_submodule(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` in place of the submodule of that dotted name.

    >>> model = nn.Sequential(nn.Sequential(nn.ReLU()))
    >>> replace_submodule(model, "0.0", nn.Identity()); model[0][0]
    Identity()
    """
    owner, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(owner), attribute, module)


def _count_uses(graph: fx.Graph) -> Counter[str]:
    """Count the calls of each module by name, and the direct reads of its parameters."""
    uses: Counter[str] = Counter()
    for node in graph.nodes:
        if node.op == "call_module":
            uses[str(node.target)] += 1
        elif node.op == "get_attr":
            uses[str(node.target).rpartition(".")[0]] += 1
    return uses


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _conv_batchnorm_pair(
    node: fx.Node, modules: dict[str, nn.Module]
) -> tuple[fx.Node, nn.Conv2d, nn.BatchNorm2d] | None:
    """Return the convolution's node and both modules, if `node` is a BatchNorm that can be folded."""
    if node.op != "call_module" or not node.args or not isinstance(node.args[0], fx.Node):
        return None
    before = node.args[0]
    norm, convolution = modules.get(str(node.target)), modules.get(str(before.target))
    if before.op != "call_module" or len(before.users) > 1:
        return None
    if type(norm) is not nn.BatchNorm2d or type(convolution) is not nn.Conv2d or not norm.track_running_stats:
        return None
    if norm.training or convolution.training or _has_hooks(norm) or _has_hooks(convolution):
        return None
    return before, convolution, norm
