"""Region prompts: which text tokens each region of the picture may read (Eq. 10, 11, 31), for any
number of regions.

Region 0 is the background, regions 1..R are the defects. A pixel of region ``r`` reads only the
tokens of region ``r``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import SettingError


@dataclass(frozen=True, eq=False)
class Context:
    """The text that one call of the U-Net reads: concatenated prompts, and the region of each
    token.

    Compared by identity: projected keys and values are cached for each context while sampling.
    """

    tokens: Tensor
    """``[G, T, D]`` text embeddings, G contexts side by side. A batch of B splits into G equal
    runs, one a context."""
    token_region: Tensor
    """long ``[T]``: 0 for background tokens, i for those of defect i."""
    added: Mapping[str, Tensor] = field(default_factory=dict)
    """Further conditions of the U-Net, each ``[1, ...]``. SDXL: ``text_embeds``; ``time_ids`` where
    they shall not follow from the latents."""

    def to(self, like: Tensor) -> Context:
        """The same context on ``like``'s device and in its type."""
        added = {name: value.to(like.device, like.dtype) for name, value in self.added.items()}
        tokens = self.tokens.to(like.device, like.dtype)
        return Context(tokens, self.token_region.to(like.device), added)


@dataclass(frozen=True, eq=False)
class RegionPrompts:
    """The encoded prompts of one background and R defects."""

    background: Tensor
    """``C_bg`` ``[1, T_b, D]``."""
    defects: Sequence[Tensor]
    """``C_def`` of each defect, ``[1, T_i, D]``."""
    placeholder: Tensor
    """``C_m`` ``[1, T_m, D]``."""
    defect_words: Sequence[Sequence[int]]
    """For each defect the positions of its prompt's word tokens (no start, end, padding), or of
    some of them: what Eq. 13 reads."""
    empty: Tensor | None = None
    """The empty prompt ``[1, T_e, D]``, for guidance."""
    added: Mapping[str, Tensor] = field(default_factory=dict)
    """See :attr:`Context.added`."""
    _contexts: dict[str, Context] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.defects or len(self.defects) != len(self.defect_words):
            words = f"{len(self.defect_words)} lists of word positions"
            raise SettingError(
                f"{len(self.defects)} defect prompts and {words}",
                "one list a prompt, at least one",
                "encode every defect's prompt with its words",
            )

    def defect_context(self) -> Context:
        """``C_1 = [C_def 1, ..., C_def R, C_bg]`` (Eq. 10)."""
        return self._context("C_1", *self.defects)

    def background_context(self) -> Context:
        """``C_2 = [C_m, C_bg]`` (Eq. 11); to be used with the union of all defects as region 1."""
        return self._context("C_2", self.placeholder)

    def unguided_context(self) -> Context:
        """``[empty, C_bg]``: the starting point of defect guidance (choice 7).

        Raises:
            SettingError: no empty prompt was encoded.
        """
        if self.empty is None:
            raise SettingError(
                "guidance without an empty prompt",
                "the encoded empty prompt",
                "encode it, or set guidance to 1",
            )
        return self._context("C_0", *[self.empty] * len(self.defects))

    def training_context(self) -> Context:
        """``C_1`` and ``C_2`` side by side for Eq. 5's batch of 2B (one defect; both padded to one
        length).

        Raises:
            SettingError: several defects, or prompts of different lengths.
        """
        c_1, c_2 = self.defect_context(), self.background_context()
        if c_1.tokens.shape != c_2.tokens.shape or len(self.defects) != 1:
            raise SettingError(
                f"C_1 has {c_1.tokens.shape[1]} tokens and C_2 has {c_2.tokens.shape[1]}",
                "one defect, prompts padded to one length",
                "encode all prompts with the same padding",
            )
        return Context(torch.cat([c_1.tokens, c_2.tokens]), c_1.token_region, self.added)

    def word_positions(self) -> list[Tensor]:
        """For each defect the positions of its words in :meth:`defect_context`."""
        positions, start = [], 0
        for prompt, words in zip(self.defects, self.defect_words, strict=True):
            positions.append(torch.tensor([start + word for word in words], dtype=torch.long))
            start += prompt.shape[1]
        return positions

    def _context(self, name: str, *defects: Tensor) -> Context:
        """The context of this name: one object, since predictors cache by identity."""
        if name in self._contexts:
            return self._contexts[name]
        prompts = [*defects, self.background]
        regions = torch.tensor([*range(1, len(defects) + 1), 0])
        lengths = torch.tensor([prompt.shape[1] for prompt in prompts])
        token_region = regions.repeat_interleave(lengths).to(self.background.device)
        context = Context(torch.cat(prompts, dim=1), token_region, self.added)
        self._contexts[name] = context
        return context


def word_places(prompt: Sequence[int], words: Sequence[int], text: str) -> list[int]:
    """Positions of chosen words in a prompt (choice 3), for :attr:`RegionPrompts.defect_words`.

    Args:
        prompt: token ids of the whole prompt.
        words: token ids of the chosen words, in their order.
        text: the chosen words, for the error.

    Raises:
        SettingError: the prompt does not contain them one after the other.
    """
    length = len(words)
    places: list[int] = []
    for start in range(len(prompt)):
        if words and list(prompt[start : start + length]) == list(words):
            places.extend(range(start, start + length))
    if not places:
        raise SettingError(
            f"attention words {text!r}",
            "words of the defect's prompt",
            "choose from the prompt, in its order, or leave them out: all of its words",
        )
    return places


def union(regions: Tensor) -> Tensor:
    """All defects as one region: long ``[B, h, w]`` of 0 and 1."""
    return (regions > 0).long()
