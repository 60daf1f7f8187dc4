"""Compare loader settings in turns, and choose the number of workers."""
