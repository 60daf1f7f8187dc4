"""Imported by the fork server, so that no worker has to import or compile these modules itself."""

from perfsuite.data import image_maker
from perfsuite.data.decoding import region

if region.is_available():
    from perfsuite.data.decoding import region_kernels

__all__ = ["image_maker", "region", "region_kernels"]
