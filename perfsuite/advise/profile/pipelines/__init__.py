"""The pipelines that can be profiled by name, one file each, and their registry."""
