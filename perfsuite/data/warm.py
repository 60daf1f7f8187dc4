"""Imported by the fork server: all that a worker needs, so that none has to import or compile it again."""

from perfsuite.data import pictures, windows

if windows.is_available():
    from perfsuite.data import compiled as compiled

__all__ = ["pictures", "windows"]
