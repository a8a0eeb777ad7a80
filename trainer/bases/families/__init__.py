"""The base families, one a file; a new one is registered here."""

from bgdefect_core.declarations import Registry

from .family import Family
from .mini import MINI
from .sd1 import SD1
from .sd2 import SD2
from .sdxl import SDXL

__all__ = ["BASE_HELP", "FAMILIES", "Family"]

FAMILIES: Registry[Family] = Registry("base family", MINI, SD1, SD2, SDXL)
BASE_HELP = FAMILIES.help(
    "Base model: bgdefect-mini (embedded, the default), a diffusers folder, or a .safetensors file "
    "of one of these families."
)
"""Help text of the option ``base``, wherever it stands."""
