"""Region prompts from the host's CONDITIONING, without the host."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..bgdefect_core.errors import SettingError
from ._wires import GraphPrompts

log = logging.getLogger(__name__)


def from_conditioning(conditioning: Sequence[Any], name: str) -> tuple[Tensor, dict[str, Tensor]]:
    """The tokens and the pooled vector of a CONDITIONING.

    Raises:
        SettingError: it holds several entries, or none, or tokens of several texts.
    """
    if len(conditioning) != 1 or conditioning[0][0].ndim != 3 or len(conditioning[0][0]) != 1:
        raise SettingError(
            f"{name} has {len(conditioning)} entries",
            "one encoded text",
            f"connect a single text encoder to {name}",
        )
    tokens, options = conditioning[0]
    ignored = sorted(set(options) - {"pooled_output"})
    if ignored:
        log.warning("%s: %s is not used, regions take its place", name, ", ".join(ignored))
    return tokens.float(), pooled_of(options.get("pooled_output"))


def pooled_of(pooled: Tensor | None) -> dict[str, Tensor]:
    """SDXL reads one pooled vector a picture: that of the background, which must not know the
    defect."""
    return {} if pooled is None else {"pooled_output": pooled}


def with_defect(
    before: GraphPrompts, tokens: Tensor, words: Sequence[int], mask: Tensor
) -> GraphPrompts:
    """The prompts with one more defect, which brings its own mask."""
    prompts = before.prompts
    extended = replace(
        prompts,
        defects=[*prompts.defects, tokens],
        defect_words=[*prompts.defect_words, list(words)],
    )
    return GraphPrompts(extended, [*before.masks, mask])


def word_range(count: int, tokens: Tensor, name: str) -> list[int]:
    """``count`` words behind the start token. Raises SettingError where the text is shorter."""
    if count > tokens.shape[1] - 1:
        raise SettingError(
            f"words is {count}",
            f"0 to {tokens.shape[1] - 1}, as {name} has tokens",
            "count the words of the defect's prompt",
        )
    return list(range(1, count + 1))
