"""Measure a machine, and advise what to change: presets, loader settings, pipelines, claims, scaling."""
