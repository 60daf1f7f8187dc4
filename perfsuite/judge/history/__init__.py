"""Trends of stored runs: change points, drift and creep. It reports and gates nothing."""
