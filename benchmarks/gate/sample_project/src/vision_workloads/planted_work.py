"""Extra work by stage, in grains; the proof writes other numbers here to plant a slowdown."""

GRAINS: dict[str, int] = {}
