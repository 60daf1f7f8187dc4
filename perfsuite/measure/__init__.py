"""Measuring: clocks, sampling, counters, memory, GPU and environment."""
