"""Imported by the fork server: all that a worker needs, so that none has to import or compile it again."""

from perfsuite.data import image_maker
from perfsuite.data.decoding import region

if region.is_available():
    from perfsuite.data.decoding import region_kernels

__all__ = ["image_maker", "region", "region_kernels"]
