"""The device of a name."""

from __future__ import annotations

import torch


def parse_device(device: str | torch.device) -> torch.device:
    """The device of a name; a name that torch does not know, or a GPU that is not there, is a ValueError.

    >>> parse_device("cpu")
    device(type='cpu')
    """
    try:
        parsed = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device: {device!r}, expected cpu, cuda or cuda:N") from error
    if parsed.type != "cuda":
        return parsed
    if not torch.cuda.is_available():
        raise ValueError(f"device: {device!r}, but torch sees no CUDA device here; use cpu")
    if (parsed.index or 0) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise ValueError(f"device: {device!r}, expected at most cuda:{last}, because GPUs count from 0")
    return parsed
