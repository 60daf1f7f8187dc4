"""Reports of gates, of comparisons and of pytest runs, in every format."""
