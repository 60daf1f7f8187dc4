"""The gate: compare two states of a repository, base and head, in turns."""
