"""Documents of a run and of a comparison of stored runs."""
