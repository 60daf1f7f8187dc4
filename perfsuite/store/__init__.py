"""Where it is kept."""

DEFAULT_RUNS = ".perfsuite/runs"
DEFAULT_BASELINES = "benchmarks/baselines"
