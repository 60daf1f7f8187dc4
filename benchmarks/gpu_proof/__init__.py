"""Everything that a GPU is needed for, measured by one command within nine minutes: `make gpu-proof`."""
