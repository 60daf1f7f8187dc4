"""Measure a machine, and advise what to change: presets, loader settings, pipelines, claims, scaling.

Words of this folder:

side    One of the things that are compared: a loader in one setting, a training step, both together.
turn    A stretch of a fraction of a second in which one side works and the others wait.
block   Two turns of every side, there and back (A B C C B A). Sides are compared block by block, by ratios.
race    Settings that differ in one respect and take turns until one wins or the time is over.
knee    The cheapest setting that is not shown to be slower than the fastest; more workers do not pay off.
stage   A named part of a workload, such as decode or forward (perfsuite.stages).
"""
