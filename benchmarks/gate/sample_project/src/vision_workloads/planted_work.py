"""Extra work by stage, in units; benchmarks/gate/validation.py writes numbers here to plant a slowdown."""

EXTRA_WORK_UNITS: dict[str, int] = {}
