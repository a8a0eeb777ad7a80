"""Which tokens each pixel may read in one network evaluation (Eq. 10, 11), as an additive mask."""

from __future__ import annotations

import torch
from torch import Tensor

from ..bgdefect_core.method.attention import MapRecorder
from ..bgdefect_core.method.regions import Context
from ..bgdefect_core.pictures.masks import resize_region_map


class RegionCall:
    """What the patches of one MODEL read in the network evaluation at hand."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Let go of all tensors: they lie on the host's device, and the host may keep a GUIDER in
        its cache."""
        self.recorder: MapRecorder | None = None
        self._context: Context | None = None
        self._regions: Tensor | None = None
        self._masks: dict[Context, dict[tuple[int, int], Tensor]] = {}
        self._masks_of: dict[Context, Tensor] = {}

    def set(self, context: Context, regions: Tensor, recorder: MapRecorder | None = None) -> None:
        """``regions`` long ``[B, h, w]`` at latent size: whose tokens of ``context`` each pixel may
        read."""
        if self._masks_of.get(context) is not regions:
            self._masks[context], self._masks_of[context] = {}, regions
        self._context, self._regions, self.recorder = context, regions, recorder

    @property
    def latent(self) -> tuple[int, int]:
        """Height and width of the latents."""
        assert self._regions is not None  # set() runs before every evaluation
        return self._regions.shape[-2], self._regions.shape[-1]

    def mask(self, grid: tuple[int, int], query: Tensor) -> Tensor:
        """0 where ``region(pixel) == region(token)``, else the least number there is: ``[B, 1,
        pixels, T]``, as ``query``."""
        assert self._context is not None and self._regions is not None
        masks = self._masks[self._context]
        if grid not in masks:
            regions = resize_region_map(self._regions, grid).flatten(1)
            other = regions[:, :, None] != self._context.token_region.to(regions.device)
            mask = torch.zeros(other.shape, dtype=query.dtype, device=query.device)
            masks[grid] = mask.masked_fill_(other.to(query.device), torch.finfo(query.dtype).min)[
                :, None
            ]
        return masks[grid]
