"""What is planted; benchmarks/gate/validation.py writes other numbers here."""

EXTRA_WORK_UNITS: dict[str, int] = {}  # by stage
EXTRA_CALLS = 0  # of each repeated workload
