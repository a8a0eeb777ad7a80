"""Masked cross-attention (Eq. 10, 11) on a diffusers U-Net.

With a binary ``m'`` the two softmaxes of Eq. 10 are exactly one attention over the concatenated
context with the boolean mask ``region(pixel) == region(token)``. Self-attention stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import WeightsError
from ..pictures.region_maps import resize_region_map
from .attention_maps import MapRecorder
from .regions import Context

MARK_COLUMNS = 8
"""Columns that carry the recorded attention; fast GPU kernels need head widths that are multiples
of 8."""


MOST_SCORES = 1024 * 1024
"""Scores of one head, pixels times tokens, up to which :func:`attend` forms them."""


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
        query = _heads(attn, attn.to_q(hidden_states))
        key, value = self.state.keys_values(self.name, attn, tokens)
        mask, grid = self.state.mask(pixels), self.state.grid(pixels)
        recorder = self.state.current.recorder
        if recorder is not None and recorder.wants(grid, self.state.latent):
            output, share = attend_and_read(query, key, value, mask, recorder.marks(value))
            recorder.add(share, grid)
        else:
            output = attend(query, _spread(key, batch), _spread(value, batch), mask)
        return _leave(attn, output, hidden_states)


class SelfAttentionProcessor:
    """A diffusers attention processor for one self-attention layer: as diffusers' own, by
    :func:`attend`."""

    def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """``hidden_states`` ``[B, pixels, C]`` -> the same shape."""
        query = _heads(attn, attn.to_q(hidden_states))
        key = _heads(attn, attn.to_k(hidden_states))
        value = _heads(attn, attn.to_v(hidden_states))
        return _leave(attn, attend(query, key, value), hidden_states)


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
            weights. Off, as in training, self-attention goes by :func:`attend`, too.

    Raises:
        WeightsError: no cross-attention layer: the prompts would reach every pixel, or none.
    """
    state = RegionAttention(cache_prompts)
    before = dict(unet.attn_processors)
    patched = dict(before)
    for name in before:
        if ".attn2." in name:
            patched[name] = RegionProcessor(name, state)
        elif ".attn1." in name and not cache_prompts:
            patched[name] = SelfAttentionProcessor()
    if not any(".attn2." in name for name in before):
        came = f"the U-Net has {len(before)} attention layers, none of them cross-attention"
        raise WeightsError(
            came, "layers named attn2, as in Stable Diffusion", "choose a text-to-image base"
        )
    try:
        unet.set_attn_processor(patched)
        yield state
    finally:
        unet.set_attn_processor(before)


def _project(layer: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    return _heads(layer, layer.to_k(tokens)), _heads(layer, layer.to_v(tokens))


def _heads(layer: Any, projected: Tensor) -> Tensor:
    """``[B, T, heads d]`` -> ``[B, heads, T, d]``."""
    heads: Tensor = projected.view(*projected.shape[:-1], layer.heads, -1)
    return heads.transpose(1, 2)


def _leave(layer: Any, output: Tensor, entered: Tensor) -> Tensor:
    """``[B, heads, pixels, d]`` -> ``[B, pixels, C]``, through the layer's last projection."""
    joined = output.transpose(1, 2).flatten(2)
    left = layer.to_out[1](layer.to_out[0](joined))
    if layer.residual_connection:
        left = left + entered
    result: Tensor = left / layer.rescale_output_factor
    return result


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention by torch's fused kernel; where gradients are taken in bf16 on a CPU, by its
    formula.

    There the fused kernel's backward pass is slow: of 256 pixels and heads of 16 numbers 19 ms,
    the formula's 4.4 (one thread). A training iteration of the embedded base takes three quarters
    of the time.

    Args:
        query: ``[B, heads, pixels, d]``. key, value: ``[B, heads, T, d]``. mask: bool ``[B, 1,
            pixels, T]``, what a pixel may read, at least one token; None: all.

    Returns:
        ``[B, heads, pixels, d]``.
    """
    few = query.shape[-2] * key.shape[-2] <= MOST_SCORES
    slow = query.requires_grad and query.dtype == torch.bfloat16 and query.device.type == "cpu"
    if not (few and slow):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        bias = torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, float("-inf"))
        scores = scores + bias
    output: Tensor = scores.softmax(-1) @ value
    return output


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
