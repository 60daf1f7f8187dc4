"""Prove that a workload runs the same code on both sides, so that it need not be timed."""
