"""One optimizer step: presets, optimizers, learning-rate schedules, compilation and numerical parity."""
