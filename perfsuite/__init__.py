"""Performance regression suite for PyTorch vision."""

__version__ = "0.1.0"
