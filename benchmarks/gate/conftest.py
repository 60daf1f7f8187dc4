"""Ignore `sample_project`: a project that validates the gate, not a benchmark of this repository."""

collect_ignore = ["sample_project"]
