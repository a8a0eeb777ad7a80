"""Pictures and masks in and out, under the names of the modules that hold them now."""

from ..files import atomic_write
from .listing import PICTURE_SUFFIXES
from .mask_reading import read_mask, read_masks
from .picture import Pixels
from .reading import MIN_SIDE, read_picture
from .writing import write_mask, write_picture

Picture = Pixels

__all__ = [
    "MIN_SIDE",
    "PICTURE_SUFFIXES",
    "Picture",
    "atomic_write",
    "read_mask",
    "read_masks",
    "read_picture",
    "write_mask",
    "write_picture",
]
