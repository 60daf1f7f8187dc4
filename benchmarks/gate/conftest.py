"""`eight` is a project of its own that the gate is proven on; its tests are no benchmarks of this repository."""

collect_ignore = ["eight"]
