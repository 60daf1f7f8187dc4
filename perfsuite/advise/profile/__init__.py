"""Time the parts of a pipeline or of a loader, and name the slowest."""
