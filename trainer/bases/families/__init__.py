"""The base families, one a file; a new one is registered here."""

from bgdefect_core.declarations import Registry

from .family import Family
from .mini import MINI
from .sd1 import SD1
from .sd2 import SD2

__all__ = ["FAMILIES", "Family"]

FAMILIES: Registry[Family] = Registry("base family", MINI, SD1, SD2)
