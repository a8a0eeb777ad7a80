"""The networks of the detectors. A new one is one file and one line of ``NETWORKS``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bgdefect_core.declarations import Registry

from .draem import DRAEM
from .network import Network
from .unet_lite0 import UNET_LITE0

NETWORKS: Registry[Network] = Registry("network", UNET_LITE0, DRAEM)
DEFAULT_NETWORK = UNET_LITE0.name

if TYPE_CHECKING:
    NetworkName = str
else:
    NetworkName = Literal[tuple(NETWORKS)]
