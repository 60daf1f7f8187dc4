"""What is fuzzed: one file for each kind of input, with a `TARGET`."""
