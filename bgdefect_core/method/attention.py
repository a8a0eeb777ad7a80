"""Masked cross-attention (Eq. 10, 11) on a diffusers U-Net.

With a binary ``m'`` the two softmaxes of Eq. 10 are exactly one attention over the concatenated
context with the boolean mask ``region(pixel) == region(token)``. Self-attention is untouched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError
from ..pictures.masks import resize_region_map
from .attention_maps import MapRecorder
from .regions import Context

MARK_COLUMNS = 8
"""Columns that carry the recorded attention; fast GPU kernels need head widths that are multiples
of 8."""


class AttentionHost(Protocol):
    """The part of diffusers' U-Net that is used: any ``UNet2DConditionModel``."""

    @property
    def attn_processors(self) -> dict[str, Any]:
        """Name -> processor of every attention layer."""

    def set_attn_processor(self, processor: Any) -> None:
        """Set processors by name."""


@dataclass(frozen=True, eq=False)
class _Call:
    """What one call of the U-Net reads."""

    context: Context
    regions: Tensor
    """long ``[B, h, w]`` at latent size."""
    recorder: MapRecorder | None


class RegionAttention:
    """The state that all patched layers of one U-Net share: which tokens a pixel may read in the
    current call.

    Args:
        cache_prompts: see :func:`region_attention`.
    """

    def __init__(self, cache_prompts: bool = False) -> None:
        self.cache_prompts = cache_prompts
        self._current: _Call | None = None
        self._masks: dict[int, Tensor] = {}
        self._grids: dict[int, Tensor] = {}
        self._keys_values: WeakKeyDictionary[Context, dict[str, tuple[Tensor, Tensor]]] = (
            WeakKeyDictionary()
        )

    def set(self, context: Context, regions: Tensor, recorder: MapRecorder | None = None) -> None:
        """What the next call reads: ``regions`` long ``[B, h, w]`` at latent size."""
        before = self._current
        if before is None or regions is not before.regions:
            self._grids = {}
            self._masks = {}
        elif context is not before.context:
            self._masks = {}
        self._current = _Call(context, regions, recorder)

    @property
    def current(self) -> _Call:
        """The call that runs.

        Raises:
            RuntimeError: :meth:`set` was never called.
        """
        if self._current is None:
            raise RuntimeError("set() must run before the U-Net does")
        return self._current

    @property
    def latent(self) -> tuple[int, int]:
        """Height and width of the latents in the current call."""
        height, width = self.current.regions.shape[-2:]
        return height, width

    def grid(self, pixels: int) -> tuple[int, int]:
        """Height and width ``h', w'`` of an attention layer with ``pixels = h' w'`` queries."""
        return attention_grid(self.latent, pixels)

    def grid_regions(self, pixels: int) -> Tensor:
        """The region map ``[B, h', w']`` of an attention layer."""
        if pixels not in self._grids:
            self._grids[pixels] = resize_region_map(self.current.regions, self.grid(pixels))
        return self._grids[pixels]

    def mask(self, pixels: int) -> Tensor:
        """``region(pixel) == region(token)``: bool ``[B, 1, pixels, T]``."""
        if pixels not in self._masks:
            regions = self.grid_regions(pixels).flatten(1)
            token_region = self.current.context.token_region
            self._masks[pixels] = (regions[:, :, None] == token_region)[:, None]
        return self._masks[pixels]

    def keys_values(self, name: str, layer: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Projected keys and values ``[G, heads, T, d]`` of a layer; with ``cache_prompts``
        computed once for each context."""
        if not self.cache_prompts:
            return _project(layer, tokens)
        cache = self._keys_values.setdefault(self.current.context, {})
        if name not in cache:
            cache[name] = _project(layer, tokens)
        return cache[name]


def attention_grid(latent: Sequence[int], pixels: int) -> tuple[int, int]:
    """Height and width of an attention layer with this many queries: the latent size, halved
    (rounding up) until it fits."""
    height, width = int(latent[0]), int(latent[1])
    while height * width > pixels:
        height, width = (height + 1) // 2, (width + 1) // 2
    return height, width


class RegionProcessor:
    """A diffusers attention processor for one cross-attention layer: Eq. 10 as one attention with a
    boolean mask."""

    def __init__(self, name: str, state: RegionAttention) -> None:
        self.name, self.state = name, state

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """``hidden_states`` ``[B, pixels, C]`` -> the same shape; ``encoder_hidden_states`` ``[G,
        T, D]``."""
        tokens = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        batch, pixels, _ = hidden_states.shape
        residual = hidden_states
        query = attn.to_q(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        key, value = self.state.keys_values(self.name, attn, tokens)
        mask, grid = self.state.mask(pixels), self.state.grid(pixels)
        recorder = self.state.current.recorder
        if recorder is not None and recorder.wants(grid, self.state.latent):
            output, share = attend_and_read(query, key, value, mask, recorder.marks(value))
            recorder.add(share, grid)
        else:
            output = F.scaled_dot_product_attention(
                query, _spread(key, batch), _spread(value, batch), attn_mask=mask
            )
        output = output.transpose(1, 2).flatten(2).to(query.dtype)
        output = attn.to_out[1](attn.to_out[0](output))
        if attn.residual_connection:
            output = output + residual
        result: Tensor = output / attn.rescale_output_factor
        return result


@contextmanager
def region_attention(unet: AttentionHost, cache_prompts: bool = False) -> Iterator[RegionAttention]:
    """Put the masked cross-attention on every cross-attention layer of a diffusers U-Net while the
    block lasts; the U-Net's processors are restored in any case.

    Layers are recognised by diffusers' names: ``attn2`` is cross-attention. LoRA layers inside
    ``to_q``, ``to_k``, ``to_v``, ``to_out`` keep working.

    Args:
        unet: the network; its cross-attention layers must have names with ``.attn2.``, as those of
            every ``UNet2DConditionModel`` have.
        cache_prompts: project each context's keys and values once, for sampling with fixed
            weights.

    Raises:
        WeightsError: no cross-attention layer: the prompts would reach every pixel, or none.
    """
    state = RegionAttention(cache_prompts)
    before = dict(unet.attn_processors)
    patched = {
        name: RegionProcessor(name, state) if ".attn2." in name else processor
        for name, processor in before.items()
    }
    if not any(".attn2." in name for name in before):
        came = f"the U-Net has {len(before)} attention layers, none of them cross-attention"
        raise WeightsError(
            came, "layers named attn2, as in Stable Diffusion", "choose a text-to-image base"
        )
    try:
        unet.set_attn_processor(dict(patched))
        yield state
    finally:
        unet.set_attn_processor(before)


def _project(layer: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor]:
    heads: Any = layer.heads
    key: Tensor = layer.to_k(tokens)  # type: ignore[operator]
    value: Tensor = layer.to_v(tokens)  # type: ignore[operator]
    return (
        key.view(*key.shape[:-1], heads, -1).transpose(1, 2),
        value.view(*value.shape[:-1], heads, -1).transpose(1, 2),
    )


def attend_and_read(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, marks: Tensor
) -> tuple[Tensor, Tensor]:
    """Attention, and the share of it that each query pays to the marked tokens (mean of the heads,
    ``[B, pixels]``).

    The marks are further columns of the values: their attention-weighted sum is the share, and the
    map is never formed.
    """
    batch, width = len(query), query.shape[-1]
    value = torch.cat([value, marks.expand(*value.shape[:-1], MARK_COLUMNS)], dim=-1)
    # columns of zeros: the scores stay the same
    query = F.pad(query, (0, MARK_COLUMNS))
    key = F.pad(key, (0, MARK_COLUMNS))
    output = F.scaled_dot_product_attention(
        query, _spread(key, batch), _spread(value, batch), attn_mask=mask, scale=width**-0.5
    )
    return output[..., :width], output[..., width].float().mean(1)


def _spread(tensor: Tensor, batch: int) -> Tensor:
    """``[G, ...]`` -> ``[B, ...]``: each context serves an equal run of the batch."""
    groups = tensor.shape[0]
    if groups == 1:
        return tensor.expand(batch, *tensor.shape[1:])
    return tensor.repeat_interleave(batch // groups, dim=0)
