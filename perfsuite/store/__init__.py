"""Stored runs and baselines: files in a folder or behind a URL."""

DEFAULT_RUNS = ".perfsuite/runs"
DEFAULT_BASELINES = "benchmarks/baselines"
