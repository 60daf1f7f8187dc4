"""Record what a side's process runs and reads, to prove that both sides run the same code."""
