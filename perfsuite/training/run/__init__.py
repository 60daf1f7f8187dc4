"""Training runs: the trainer, its data, checkpoints, evaluation and logs."""
