"""What the claims are measured with."""

from __future__ import annotations

from dataclasses import dataclass

from perfsuite.advise.claims.parts import DEFAULT_SECONDS
from perfsuite.advise.inputs.loaders import UserLoader


@dataclass(frozen=True, slots=True)
class ClaimsConfig:
    """The model and batch that are measured, and for how long: `seconds` for all tables together."""

    model: str = "small"
    image_size: int = 64
    batch_size: int = 32
    seconds: float = DEFAULT_SECONDS
    device: str = "cpu"
    user_loader: UserLoader | None = None  # measured beside perfsuite's
