"""One module for each stage, with a `STAGE`."""
