"""Region prompts: what the part is, what the defect is, and a word for the empty mask (Eq. 10,
11)."""

from __future__ import annotations

import logging
from itertools import chain
from typing import Any, NamedTuple

from torch import Tensor

from ..bgdefect_core.errors import SettingError
from ..bgdefect_core.method.regions import RegionPrompts, word_places
from ._declare import PROMPTS, Node, Output, Schema, widget, wire
from ._graph_prompts import from_conditioning, pooled_of, with_defect, word_range
from ._wires import GraphPrompts

log = logging.getLogger(__name__)


class EncodedText(NamedTuple):
    """A text as the host's CLIP gives it."""

    tokens: Tensor
    """``[1, T, D]``."""
    pooled: Tensor | None
    """``[1, P]``."""
    words: list[int]
    """Positions of the words: no start, end, padding."""


def encode(clip: Any, text: str, attention_words: str = "") -> EncodedText:
    """A text by the host's CLIP.

    Args:
        attention_words: the words of the text whose positions are asked for. Empty: all.

    Raises:
        SettingError: there is no CLIP, or the words are not in the text.
    """
    if clip is None:  # what a loader gives out for a checkpoint without one
        raise SettingError(
            "clip is None: its checkpoint holds no text encoder",
            "a CLIP",
            "load the base's own with Load CLIP",
        )
    ids, words = _tokenize(clip, text)
    if attention_words.strip():
        chosen, named = _tokenize(clip, attention_words)
        words = word_places(ids, [chosen[place] for place in named], attention_words)
    tokens, pooled = clip.encode_from_tokens(clip.tokenize(text), return_pooled=True)
    return EncodedText(tokens.float(), pooled, words)


def _tokenize(clip: Any, text: str) -> tuple[list[Any], list[int]]:
    """All token ids, and the positions of the words."""
    marked = clip.tokenize(text, return_word_ids=True)
    # SDXL's two encoders share one tokenizer: their words stand at the same places.
    chunks = next(iter(marked.values()))
    ids: list[int] = []
    places: list[int] = []
    for token in chain.from_iterable(chunks):
        if token[2] != 0:
            places.append(len(ids))
        ids.append(token[0])
    return ids, places


def _text(name: str, default: str, tooltip: str) -> Any:
    return widget(
        "STRING", name, default=default, multiline=True, dynamic_prompts=True, tooltip=tooltip
    )


def _words() -> Any:
    return widget(
        "INT",
        "words",
        default=0,
        min=0,
        max=1024,
        advanced=True,
        tooltip="How many tokens of the defect's prompt are words. Only the attention signal of "
        "Refine Defect Mask reads it;"
        " 0: not known, use the difference signal.",
    )


def _attention_words() -> Any:
    return widget(
        "STRING",
        "attention_words",
        default="",
        optional=True,
        advanced=True,
        tooltip="Words of the defect's prompt whose attention is recorded, such as the defect's "
        "name. Only the attention signal of"
        " Refine Defect Mask reads it; empty: all of the prompt's words.",
    )


_MASK = (
    "Where this defect is painted, white: one mask, or one a picture. "
    "Where defects overlap, a latent cell goes to the one that covers more of it."
)
_PROMPTS = "For Masked DDIM Inversion, or to add a further defect."


class RegionPromptEncode(Node):
    """Encode Region Prompts (Eq. 10, 11): three texts by the host's CLIP."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectRegionPromptEncode",
            display_name="Encode Region Prompts",
            category="BGDefect/prompts",
            description="Encodes what the part is, what the defect is, and a word for the empty "
            "mask. Pixels inside the mask read the"
            " defect's words alone, those outside the background's.",
            search_aliases=["bgdefect", "regional prompt", "defect prompt"],
            inputs=[
                wire("CLIP", "clip", tooltip="The text encoder of the same base as the model."),
                _text(
                    "background",
                    "a photo of a part",
                    "What the good part is. As trained: connect Apply Defect Weights.",
                ),
                _text(
                    "defect",
                    "a defect on a part",
                    "What shall be painted inside the mask. As trained: connect Apply Defect "
                    "Weights.",
                ),
                _text(
                    "placeholder",
                    "mask",
                    "Stands for the mask while the background is inverted; neutral: mask.",
                ),
                _attention_words(),
            ],
            outputs=[Output(PROMPTS, "prompts", tooltip=_PROMPTS)],
        )

    @classmethod
    def execute(
        cls, clip: Any, background: str, defect: str, placeholder: str, attention_words: str = ""
    ) -> Any:
        part, damage = encode(clip, background), encode(clip, defect, attention_words)
        if not damage.words:
            log.warning("the defect's prompt is empty: the network paints what it likes")
        prompts = RegionPrompts(
            background=part.tokens,
            defects=[damage.tokens],
            placeholder=encode(clip, placeholder).tokens,
            defect_words=[damage.words],
            empty=encode(clip, "").tokens,
            added=pooled_of(part.pooled),
        )
        return (GraphPrompts(prompts, [None]),)


class RegionPromptsNode(Node):
    """Region Prompts from Conditioning (Eq. 10, 11): texts that other nodes encoded."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectRegionPrompts",
            display_name="Region Prompts from Conditioning",
            category="BGDefect/prompts",
            description="Region prompts from texts that any encoder of the host has encoded.",
            search_aliases=["bgdefect", "regional prompt"],
            inputs=[
                wire("CONDITIONING", "background", tooltip="What the good part is."),
                wire("CONDITIONING", "defect", tooltip="What shall be painted inside the mask."),
                wire(
                    "CONDITIONING",
                    "placeholder",
                    tooltip="Stands for the mask while the background is inverted, such as the "
                    "word mask.",
                ),
                _words(),
                wire(
                    "CONDITIONING",
                    "empty",
                    optional=True,
                    tooltip="The encoded empty text: only a defect guidance other than 1 needs it.",
                ),
            ],
            outputs=[Output(PROMPTS, "prompts", tooltip=_PROMPTS)],
        )

    @classmethod
    def execute(
        cls, background: Any, defect: Any, placeholder: Any, words: int, empty: Any = None
    ) -> Any:
        part, pooled = from_conditioning(background, "background")
        tokens, _ = from_conditioning(defect, "defect")
        empty_mask, _ = from_conditioning(placeholder, "placeholder")
        nothing = None if empty is None else from_conditioning(empty, "empty")[0]
        prompts = RegionPrompts(
            part, [tokens], empty_mask, [word_range(words, tokens, "defect")], nothing, pooled
        )
        return (GraphPrompts(prompts, [None]),)


class AddDefect(Node):
    """Add Defect: one more region with its text and mask."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectAddDefect",
            display_name="Add Defect",
            category="BGDefect/prompts",
            description="One more defect in the same picture, with its own words and its own mask. "
            "Can be chained.",
            search_aliases=["bgdefect", "several defects"],
            inputs=[
                wire(
                    PROMPTS,
                    "prompts",
                    tooltip="The region prompts so far. They stay as they are.",
                ),
                wire("CLIP", "clip", tooltip="The text encoder of the same base as the model."),
                wire("MASK", "mask", tooltip=_MASK),
                _text("defect", "a defect on a part", "What shall be painted inside this mask."),
                _attention_words(),
            ],
            outputs=[Output(PROMPTS, "prompts", tooltip=_PROMPTS)],
        )

    @classmethod
    def execute(
        cls, prompts: GraphPrompts, clip: Any, mask: Tensor, defect: str, attention_words: str = ""
    ) -> Any:
        damage = encode(clip, defect, attention_words)
        return (with_defect(prompts, damage.tokens, damage.words, mask),)


class AddDefectConditioning(Node):
    """Add Defect from Conditioning: one more region with its encoded text and mask."""

    @classmethod
    def define_schema(cls) -> Any:
        return Schema(
            node_id="BGDefectAddDefectConditioning",
            display_name="Add Defect from Conditioning",
            category="BGDefect/prompts",
            description="One more defect in the same picture, from a text that any encoder of the "
            "host has encoded.",
            search_aliases=["bgdefect", "several defects"],
            inputs=[
                wire(
                    PROMPTS,
                    "prompts",
                    tooltip="The region prompts so far. They stay as they are.",
                ),
                wire("CONDITIONING", "defect", tooltip="What shall be painted inside this mask."),
                wire("MASK", "mask", tooltip=_MASK),
                _words(),
            ],
            outputs=[Output(PROMPTS, "prompts", tooltip=_PROMPTS)],
        )

    @classmethod
    def execute(cls, prompts: GraphPrompts, defect: Any, mask: Tensor, words: int) -> Any:
        tokens, _ = from_conditioning(defect, "defect")
        return (with_defect(prompts, tokens, word_range(words, tokens, "defect"), mask),)


NODES = [RegionPromptEncode, RegionPromptsNode, AddDefect, AddDefectConditioning]
