"""`sample_project` is a project of its own that the gate is proven on, not a benchmark of this repository."""

collect_ignore = ["sample_project"]
