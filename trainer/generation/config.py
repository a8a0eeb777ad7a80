"""The settings of ``bgdefect generate``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from bgdefect_core.declarations import Choice, Doc, Free, Range, check_settings
from bgdefect_core.errors import SettingError
from bgdefect_core.jobs import PaintSettings
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.pictures.mask_values import MASK_VALUES_HELP
from bgdefect_core.pictures.writing import ImageFormat
from bgdefect_core.placement.part import PartKind
from bgdefect_core.placement.settings import PlacementSettings
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.dataset_place import MAX_INDEX
from bgdefect_core.weights.info import ClassWeightsInfo, PromptTexts

from ..bases.devices import pick_device
from ..bases.families import BASE_HELP
from ..bases.precision import Precision
from ..data.formats import FORMATS, FormatName
from ..data.layouts import (
    LAYOUT_HELP,
    LAYOUTS,
    MASK_CLASSES_HELP,
    OUTSIDE_HELP,
    SIDES_HELP,
    ReadingSettings,
    SidesRead,
    data_help,
)
from .attempts import SamplePlan


@dataclass(frozen=True)
class GenerateConfig:
    """Paint a trained defect into good pictures: a data set in MVTec AD layout, with manifest and
    page."""

    weights: Annotated[
        Path, Free(), Doc("Class weights file that ``bgdefect train`` wrote (.safetensors).")
    ]
    good: Annotated[
        Path,
        Free(),
        Doc(data_help("Good pictures")),
    ]
    output: Annotated[
        Path,
        Free(),
        Doc("Folder for the data set. The same command resumes a run that was stopped."),
    ]
    masks: Annotated[
        Path | None,
        Free(),
        Doc(
            "Folder of masks that are used as they are: one for each good picture, NAME.png or "
            "NAME_mask.png."
        ),
    ] = None
    mask_library: Annotated[
        Path | None,
        Free(),
        Doc(
            "Real masks from which new ones are made: a folder of mask files (ground_truth/DEFECT "
            "of an MVTec object), or a data set with this defect in any layout. Default: those of "
            "the good pictures' own object or data set, where there are some."
        ),
    ] = None
    mask_split: Annotated[
        Path | None,
        Free(),
        Doc(
            "split.json of the training (NAME.run/split.json beside its weights): make new masks "
            "only from the masks of its training side. Default: the split beside the weights, "
            "unless --start is noise; without a split, masks of held-out pictures are used as "
            "well, with a warning."
        ),
    ] = None
    mask_values: Annotated[str | None, Doc(MASK_VALUES_HELP)] = None
    mask_classes: Annotated[
        str | None, Doc(f"{MASK_CLASSES_HELP} Of a folder of masks the class's own are read.")
    ] = None
    layout: Annotated[
        str | None,
        Free(),
        Choice(LAYOUTS),
        Doc(f"{LAYOUT_HELP} That of --mask-library, or of --good where there is none."),
    ] = None
    outside_files: Annotated[bool, Free(), Doc(OUTSIDE_HELP)] = False
    sides: Annotated[SidesRead, Free(), Doc(SIDES_HELP)] = "own"
    more_like: Annotated[
        Path | None,
        Free(),
        Doc(
            "misses.json that bgdefect misses wrote: masks of known defects that detectors missed "
            "are drawn more often, and with them their places and exemplars. Its content belongs "
            "to the run. Default: every mask is drawn equally often."
        ),
    ] = None
    more_like_factor: Annotated[
        float,
        Free(),  # recorded beside the file's content, where there is one
        Range(0, 100),
        Doc(
            "With more_like, a mask is drawn 1 + factor x miss rate times as often as that of a "
            "defect which was never missed; 0: all equally often."
        ),
    ] = 3.0
    allowed: Annotated[
        Path | None,
        Free(),
        Doc(
            "Where new masks may lie, in white: a mask for all good pictures, or a folder with one "
            "for each, NAME.png or NAME_mask.png. Default: anywhere on the part."
        ),
    ] = None
    forbidden: Annotated[
        Path | None,
        Free(),
        Doc(
            "Where new masks may not lie, in white: a mask for all good pictures, or a folder of "
            "masks; a picture without one is not bounded."
        ),
    ] = None
    object: Annotated[
        str | None,
        Free(),
        Doc("Name of the object in the data set. Default: as in the weights file."),
    ] = None
    defect: Annotated[
        str | None,
        Free(),
        Doc("Name of the defect in the data set. Default: as in the weights file."),
    ] = None
    count: Annotated[
        int,
        Free(),
        Range(1, MAX_INDEX + 1),
        Doc("Samples to make. Raise it later to extend a finished run."),
    ] = 24
    variants: Annotated[
        int,
        Range(1, 10_000),
        Doc("Samples for each pair of picture and mask; they share one inversion."),
    ] = 1
    batch: Annotated[
        int,
        Range(1, 1024),
        Doc(
            "Samples in a call of the U-Net. It changes the last digits of the results, so that it "
            "belongs to the run."
        ),
    ] = 4
    retries: Annotated[
        int,
        Range(0, 100),
        Doc("Further attempts, with new seeds, at a sample that was rejected."),
    ] = 2
    replace_rejected: Annotated[
        bool,
        Free(),
        Doc(
            "Make the samples anew that a person rejected on the page of ``bgdefect review``, each "
            "with new seeds and all retries. Its decisions are applied first. Default: a rejected "
            "sample stays rejected."
        ),
    ] = False
    seed: Annotated[
        int, Range(0, 2**31), Doc("Seed of everything random: same seed, same data set.")
    ] = 0
    part: Annotated[
        PartKind,
        Doc(
            "Where new masks may lie: on the object in front of its tray, or anywhere on a "
            'texture. "auto" decides once for all pictures.'
        ),
    ] = "auto"
    placement: Annotated[PlacementSettings, tyro.conf.OmitArgPrefixes] = field(
        default_factory=PlacementSettings
    )
    paint: Annotated[PaintSettings, tyro.conf.OmitArgPrefixes] = field(
        default_factory=PaintSettings
    )
    attention_words: Annotated[
        str | None,
        Doc(
            "Words of the defect's prompt whose attention is read, such as the defect's name; only "
            "for signals that read attention. Default: all of its words."
        ),
    ] = None
    limits: Annotated[QualityLimits, tyro.conf.OmitArgPrefixes] = field(
        default_factory=QualityLimits
    )
    background_prompt: Annotated[
        str | None, Doc("Prompt of the background. Default for all three: as trained.")
    ] = None
    defect_prompt: Annotated[str | None, Doc("Prompt of the defect.")] = None
    mask_prompt: Annotated[str | None, Doc("Prompt of the empty mask.")] = None
    base: Annotated[
        str | None,
        Doc(BASE_HELP),
    ] = None
    allow_other_base: Annotated[
        bool, Free(), Doc("Use a full U-Net although it was trained on another base.")
    ] = False
    precision: Annotated[
        Precision,
        Doc(
            "Arithmetic of the U-Net, and in bf16 of the VAE; fp16 needs a GPU. auto: bf16 where "
            "the device computes in it and the base was measured to paint the same in it, else "
            "fp32. A run is resumed in the precision in which it began."
        ),
    ] = "auto"
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Doc("Device to run on. auto: the fastest that is available."),
    ] = "auto"
    image_format: Annotated[
        ImageFormat,
        Doc(
            "Files of samples and good pictures: PNG, or TIFF, packed without loss. Both hold the "
            "same values, of 8 to 16 bits; masks and heat maps are PNG."
        ),
    ] = "png"
    format: Annotated[
        tuple[FormatName, ...],
        Free(),
        Choice(FORMATS),
        Doc(
            FORMATS.help(
                "Formats in which the accepted samples and their good pictures are written too, "
                "to OUTPUT/exports/OBJECT/DEFECT; several are separated by spaces."
            )
        ),
    ] = ()
    val_share: Annotated[
        float,
        Free(),
        Range(0, 0.9),
        Doc(
            "Share of the pictures on the val side of these formats; samples that were painted "
            "into one good picture stay together."
        ),
    ] = 0.2
    dry_run: Annotated[
        bool,
        Free(),
        Doc(
            "Write nothing. Print what would be made, which masks cannot be placed, and the "
            "expected time."
        ),
    ] = False

    def check(self) -> None:
        """Raise SettingError where a value is out of its range, or two exclude each other."""
        check_settings(self)
        self.reading.check()
        has_library = self.mask_library is not None or self.mask_split is not None
        if self.masks is not None and has_library:
            raise SettingError(
                "both masks and a mask library are given", "one of them", "leave the other out"
            )
        if self.masks is not None and self.more_like is not None:
            raise SettingError(
                "ready masks are given with more_like",
                "a mask library, from which masks are drawn",
                "leave one of them out",
            )
        if self.masks is not None and self.paint.starting.demands_real:
            raise SettingError(
                "a start from real defects with ready masks",
                "a mask library, whose masks know their real defects",
                "give --mask-library, or start from noise",
            )
        if self.masks is not None and (self.allowed or self.forbidden) is not None:
            raise SettingError(
                "ready masks are given with an area where defects may lie",
                "a mask library with it",
                "leave the area out: ready masks are used as they are",
            )
        signal = SIGNALS[self.paint.label.signal]
        if self.attention_words is not None and not signal.needs_attention:
            readers = [name for name in SIGNALS if SIGNALS[name].needs_attention]
            raise SettingError(
                f"attention words for the signal {signal.name!r}",
                " or ".join(readers),
                "leave it out, or choose one of these signals",
            )
        pick_device(self.device, self.precision)

    @property
    def reading(self) -> ReadingSettings:
        """How data sets are read."""
        return ReadingSettings(
            self.layout,
            mask_values=self.mask_values,
            mask_classes=self.mask_classes,
            outside_files=self.outside_files,
            sides=self.sides,
        )

    @property
    def plan(self) -> SamplePlan:
        """Which samples are made, and how the work is divided."""
        return SamplePlan(self.count, self.variants, self.batch, self.retries)

    def prompts(self, info: ClassWeightsInfo) -> PromptTexts:
        """The prompts: as trained, where none is set."""
        background, defect, mask = self.background_prompt, self.defect_prompt, self.mask_prompt
        return PromptTexts(
            info.background_prompt if background is None else background,
            info.defect_prompt if defect is None else defect,
            info.mask_prompt if mask is None else mask,
        )
