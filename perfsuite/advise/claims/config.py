"""What the claims are measured with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClaimsConfig:
    """The model and batch that are measured, and for how long: `seconds` for each table."""

    model: str = "small"
    image_size: int = 64
    batch_size: int = 32
    seconds: float = 40.0
    device: str = "cpu"
