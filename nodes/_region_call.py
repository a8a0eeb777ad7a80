"""Which tokens each pixel may read in one network evaluation (Eq. 10, 11), as an additive mask."""

from __future__ import annotations

import torch
from torch import Tensor

from ..bgdefect_core.method.attention_maps import MapRecorder
from ..bgdefect_core.method.regions import Context
from ..bgdefect_core.pictures.region_maps import resize_region_map


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
        _, regions = self._current()
        return regions.shape[-2], regions.shape[-1]

    def mask(self, grid: tuple[int, int], query: Tensor) -> Tensor:
        """0 where ``region(pixel) == region(token)``, else the least number there is: ``[B, 1,
        pixels, T]``, as ``query``."""
        context, region_map = self._current()
        masks = self._masks[context]
        if grid not in masks:
            regions = resize_region_map(region_map, grid).flatten(1)
            hidden = regions[:, :, None] != context.token_region.to(regions.device)
            mask = torch.zeros(hidden.shape, dtype=query.dtype, device=query.device)
            mask.masked_fill_(hidden.to(query.device), torch.finfo(query.dtype).min)
            masks[grid] = mask[:, None]
        return masks[grid]

    def _current(self) -> tuple[Context, Tensor]:
        if self._context is None or self._regions is None:
            raise RuntimeError("the network was evaluated before its regions were set")
        return self._context, self._regions
