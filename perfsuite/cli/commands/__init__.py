"""One file per command of `perfsuite`; each has `add_arguments(parser)` and `run(arguments)`."""
