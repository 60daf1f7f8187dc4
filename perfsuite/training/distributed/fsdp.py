"""Parameters sharded over the ranks (FSDP2): a rank holds a shard of each tensor, a checkpoint all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perfsuite.training.distributed.wrapping import is_distributed, wrapping_of
from perfsuite.training.models import residual_blocks


def apply_fsdp(model: nn.Module) -> nn.Module:
    """Shard the parameters of `model` in place; every rank starts from the first rank's weights.

    Each residual block is gathered separately, so that one whole block at a time is in memory.
    """
    from torch.distributed.fsdp import fully_shard

    _broadcast_from_first_rank(model)
    model.to(memory_format=torch.contiguous_format)  # tensors are sharded in memory order
    for module in [*residual_blocks(model), model]:
        fully_shard(module)
    return model


def gather_full_tensors(state: Any) -> Any:
    """Return `state` with every sharded tensor gathered.

    All ranks must call it at the same time, with the same keys in the same order.
    """
    return _gather(state) if is_distributed() else state


def gather_full_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict that a file of `model` stores: whole parameters, and the first rank's buffers."""
    state: dict[str, Tensor] = gather_full_tensors(model.state_dict())
    if wrapping_of(model) == "fsdp":
        buffers = dict(model.named_buffers())
        for name in sorted(buffers.keys() & state.keys()):
            state[name] = state[name].clone()
            dist.broadcast(state[name], src=0)
    return state


def gather_full_copy(model: nn.Module, build: Callable[[], nn.Module], device: torch.device) -> nn.Module:
    """Return a whole copy of a sharded model, made by `build`.

    A forward pass of the sharded model needs every rank, and ranks with more batches would hang.
    """
    with torch.device("meta"):  # draws no weights, so the RNG states stay unchanged
        copy = build()
    copy.to_empty(device=device)
    copy.load_state_dict(gather_full_state_dict(model))
    return copy


def shard_like(full_tensors: Mapping[str, Tensor], local_tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Shard whole tensors the way those of `local_tensors` are sharded."""
    if not is_distributed():
        return dict(full_tensors)
    return {
        name: _shard_tensor_like(tensor, local_tensors.get(name)) for name, tensor in full_tensors.items()
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[int, dict[str, Any]]) -> None:
    """Load what is remembered of each parameter, sharding whole tensors like it; options stay as they are."""
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    if not is_distributed():
        return
    for parameter, parameter_state in optimizer.state.items():
        for name, value in parameter_state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                parameter_state[name] = _shard_tensor_like(value, parameter)


def _gather(state: Any) -> Any:
    # Imported here: a single process has no sharded tensors, and their import takes a while.
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
