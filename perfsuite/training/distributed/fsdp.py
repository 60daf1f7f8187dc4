"""Parameters sharded over the ranks (FSDP2): each keeps a part of every tensor, a file holds them whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.training.step.activation_checkpointing import residual_blocks
from perfsuite.training.step.presets import Preset


def apply_fsdp(model: nn.Module) -> nn.Module:
    """Keep only this rank's part of each parameter of `model`, in place; all begin with the first one's.

    Each residual block is gathered for itself, so that one whole block at a time is in memory.
    """
    from torch.distributed.fsdp import fully_shard

    _broadcast_from_first_rank(model)
    model.to(memory_format=torch.contiguous_format)  # a tensor is cut as it lies
    for part in [*residual_blocks(model), model]:
        fully_shard(part)
    return model


def is_sharded(model: nn.Module) -> bool:
    return hasattr(model, "set_requires_gradient_sync")


def check_fsdp_supports(preset: Preset) -> None:
    """Refuse what torch cannot do with parts of parameters, or has not been seen to do alike."""
    refused = {
        "fp16": preset.needs_scaler,
        "compile_mode": preset.is_compiled,
        "cuda_graphs": preset.cuda_graphs,
        "fused": preset.optimizer_implementation == "fused",
    }
    named = [name for name, is_asked in refused.items() if is_asked]
    if named:
        raise UsageError(
            f"fsdp: {', '.join(named)} with sharded parameters, expected none of "
            f"{', '.join(refused)}; leave out one side, or take bf16"
        )


def gather_full_tensors(state: Any) -> Any:
    """`state` with every sharded tensor gathered; all ranks call it at once, with the same keys in order."""
    return _gather(state) if _is_distributed() else state


def gather_full_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """What a file of `model` holds: whole parameters, and of the buffers the first rank's."""
    found: dict[str, Tensor] = gather_full_tensors(model.state_dict())
    if is_sharded(model):
        buffers = dict(model.named_buffers())
        for name in sorted(buffers.keys() & found.keys()):
            found[name] = found[name].clone()
            dist.broadcast(found[name], src=0)
    return found


def shard_like(whole_tensors: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors cut as those of `own` are."""
    if not _is_distributed():
        return dict(whole_tensors)
    return {name: _shard_tensor_like(tensor, own.get(name)) for name, tensor in whole_tensors.items()}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Like `load_state_dict`, of whole tensors into whatever parts the parameters are in."""
    optimizer.load_state_dict(state)
    if not _is_distributed():
        return
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                kept[name] = _shard_tensor_like(value, parameter)


def _is_distributed() -> bool:
    # Asked first: torch's sharded tensors take a while to import, and alone nobody has any.
    return dist.is_available() and dist.is_initialized()


def _gather(state: Any) -> Any:
    from torch.distributed.tensor import DTensor

    if isinstance(state, DTensor):
        return state.full_tensor()
    if isinstance(state, Mapping):
        return {name: _gather(value) for name, value in state.items()}
    return [_gather(value) for value in state] if isinstance(state, list) else state


def _shard_tensor_like(tensor: Tensor, like: Tensor | None) -> Tensor:
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor) or isinstance(tensor, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def _broadcast_from_first_rank(model: nn.Module) -> None:
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            dist.broadcast(tensor, src=0)
