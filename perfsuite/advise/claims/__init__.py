"""Measure common claims about training optimizations on this machine."""
