"""The settings of ``bgdefect generate``, and their limits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from bgdefect_core.declarations import check_settings
from bgdefect_core.errors import SettingError, WeightsError, check_range
from bgdefect_core.method.backgrounds import DEFAULT_BACKGROUND, BackgroundName
from bgdefect_core.method.refinement import PEAK, LabelSettings
from bgdefect_core.method.sampling import SamplingSettings
from bgdefect_core.method.signals import SIGNALS, SignalName
from bgdefect_core.method.solvers import DEFAULT_SOLVER, SolverName
from bgdefect_core.painting import PaintSettings, StitchSettings
from bgdefect_core.placement.part import PartKind
from bgdefect_core.placement.placing import PlacementSettings
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.dataset_place import MAX_INDEX
from bgdefect_core.records.run_record import file_digest
from bgdefect_core.weights.info import ClassWeightsInfo

from ..bases.devices import DTYPES, pick_device
from ..bases.versions import library_versions


@dataclass(frozen=True)
class GenerateConfig:
    """Paint a trained defect into good pictures: a data set in MVTec AD layout, with manifest and
    page."""

    weights: Path
    """Class weights file that ``bgdefect train`` wrote (.safetensors)."""
    good: Path
    """Good pictures: a folder of them, an object's folder in MVTec layout, or a data set of several
    objects."""
    output: Path
    """Folder for the data set. The same command goes on where an earlier run of it was stopped."""
    masks: Path | None = None
    """Folder of masks to be used as they are: one for each good picture, NAME.png or
    NAME_mask.png."""
    mask_library: Path | None = None
    """Folder of real masks from which new ones are made (ground_truth/DEFECT of an MVTec object).
    Default: that of the good pictures' own object, where there is one."""
    mask_split: Path | None = None
    """split.json of the training (NAME.run/split.json beside its weights): make new masks only from
    the masks of its training side. Without it masks of held-out pictures are used, too, with a
    warning."""
    object: str | None = None
    """Name of the object in the data set. Default: as in the weights file."""
    defect: str | None = None
    """Name of the defect in the data set. Default: as in the weights file."""
    count: int = 24
    """Samples to make; raise it later to go on with a finished run."""
    variants: int = 1
    """Samples for each pair of picture and mask; they share one inversion."""
    batch: int = 4
    """Samples a call of the U-Net. Another batch gives other last digits, so that it belongs to the
    run."""
    retries: int = 2
    """New attempts, with new seeds, at a sample that was rejected."""
    seed: int = 0
    """Everything random follows from it: same seed, same data set."""
    part: PartKind = "auto"
    """Where new masks may lie: on the object in front of its tray, or anywhere on a texture; "auto"
    decides once for all pictures."""
    placement: Annotated[PlacementSettings, tyro.conf.arg(name="")] = field(
        default_factory=PlacementSettings
    )
    """How far new masks may differ from the real ones."""
    steps: int = 50
    """Steps each way."""
    solver: SolverName = "ddim"
    """How the steps down are taken: "ddim", the paper's, or "dpmpp_2m" (DPM-Solver++, second
    order), meant for 10 or 20 steps."""
    background: BackgroundName = DEFAULT_BACKGROUND
    """How the background is held: "noised" and "replay" keep it exactly, "replay" by an inversion
    that costs as much again; "literal" is the paper's printed equation, for comparison."""
    guidance: tuple[float, ...] = (1.0, 2.0, 3.0)
    """Guidance inside the mask at the first attempt at a sample, the second, ...; the last value
    counts on. 1: none, the paper's. More is stronger and less true to life, so that it is left to
    the samples that came out too faint."""
    signal: SignalName = "difference"
    """What the label is made from: the change that the defect made, the attention to its words,
    their product, or where the class explains the picture better than its background does
    (likelihood: 20 more U-Net samples a sample)."""
    threshold: float | None = None
    """Share of the signal's peak in the mask above which a pixel is labelled. Default: 0.3, for
    attention 0.5, for likelihood 0.1."""
    attention_words: str | None = None
    """Words of the defect's prompt whose attention is read, such as the defect's name; only the
    signals attention and product know them. Default: all of its words."""
    peak: float = PEAK
    """Percentile of the signal in the mask that counts as its peak; 100: the maximum, as in the
    paper."""
    feather: float | None = None
    """Width of the blended seam in picture pixels. Default: a quarter of the mask's mean width,
    from 2 to 1/32 of the square's side."""
    stitch: bool = True
    """Blend the result into the picture. Off: the decoded square replaces it whole."""
    detail: bool = True
    """Give back what the VAE lost of the picture, where little changed. Off: all of the mask shows
    the decoder's softer picture."""
    limits: Annotated[QualityLimits, tyro.conf.arg(name="")] = field(default_factory=QualityLimits)
    """What a sample needs to be accepted."""
    background_prompt: str | None = None
    """Prompt of the background. Default for all three: as trained."""
    defect_prompt: str | None = None
    """Prompt of the defect."""
    mask_prompt: str | None = None
    """Prompt of the empty mask."""
    base: str | None = None
    """Base model: "bgdefect-mini" (embedded, the default), a diffusers folder, or a Stable
    Diffusion 1.x/2.x .safetensors file."""
    allow_other_base: bool = False
    """Use a full U-Net although it was trained on another base."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the U-Net; fp16 needs a GPU."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to run; auto: the best that there is."""
    dry_run: bool = False
    """Only say what would be made, which masks cannot be placed, and how long it would take."""

    def check(self) -> None:
        """Raise SettingError where a value is out of its range, or two exclude each other;
        the parts of :attr:`paint_settings` check the rest."""
        check_range("count", self.count, 1, MAX_INDEX + 1)
        check_range("variants", self.variants, 1, 10_000)
        check_range("batch", self.batch, 1, 1024)
        check_range("retries", self.retries, 0, 100)
        check_range("seed", self.seed, 0, 2**31)
        check_settings(self.paint_settings)
        if self.masks is not None and (
            self.mask_library is not None or self.mask_split is not None
        ):
            raise SettingError(
                "both masks and a mask library are given", "one of them", "leave the other out"
            )
        attention_signals = [name for name in SIGNALS if SIGNALS[name].needs_attention]
        if self.attention_words is not None and self.signal not in attention_signals:
            do = "leave it out, or choose one of these signals"
            raise SettingError(
                f"attention words for the signal {self.signal!r}",
                " or ".join(attention_signals),
                do,
            )
        pick_device(self.device, self.precision)

    @property
    def inversion_batch(self) -> int:
        """Pairs that are inverted in one call: as many as a batch of samples needs, so that one
        pair with many variants costs one."""
        return -(-self.batch // self.variants)

    @property
    def threshold_in_use(self) -> float:
        """Of the labels: as given, or the signal's own."""
        return SIGNALS[self.signal].threshold_in_use(self.threshold)

    @property
    def dtype(self) -> torch.dtype:
        """Of the U-Net."""
        return DTYPES[self.precision]

    @property
    def paint_settings(self) -> PaintSettings:
        """How samples are made.

        Raises:
            SettingError: a value out of its range.
        """
        return PaintSettings(
            SamplingSettings(self.steps, self.solver, self.background, self.guidance),
            LabelSettings(self.signal, self.threshold, self.peak),
            StitchSettings(self.feather, self.stitch, self.detail),
        )

    def guidance_at(self, attempt: int) -> float:
        """Guidance of an attempt, counted from 0."""
        return self.paint_settings.sampling.guidance_at(attempt)

    def prompts(self, info: ClassWeightsInfo) -> tuple[str, str, str]:
        """Background, defect and mask prompt: as trained, where none is given."""
        own = (self.background_prompt, self.defect_prompt, self.mask_prompt)
        trained = (info.background_prompt, info.defect_prompt, info.mask_prompt)
        background, defect, mask = (
            one if one is not None else other for one, other in zip(own, trained, strict=True)
        )
        return background, defect, mask

    def record(
        self,
        info: ClassWeightsInfo,
        good: Sequence[Path],
        masks: Sequence[str],
        surroundings: int,
        part: str,
    ) -> dict[str, Any]:
        """All that decides what the samples look like, for the manifest; not ``count``: a run may
        be extended."""
        background, defect, mask = self.prompts(info)
        settings = self.paint_settings
        sampling = asdict(settings.sampling)
        sampling["guidance"] = list(self.guidance) if len(self.guidance) > 1 else self.guidance[0]
        if self.solver == DEFAULT_SOLVER:  # said only where it is another one
            del sampling["solver"]
        painted = {
            "resolution": info.resolution,
            "zoom": info.zoom,
            **sampling,
            **asdict(settings.label),
            **asdict(settings.stitching),
        }
        if self.attention_words is not None:
            painted["attention_words"] = self.attention_words
        return {
            "weights_sha256": file_digest(self.weights, WeightsError, "a class weights file"),
            "class": f"{info.object} / {info.defect}",
            "base": self.base or "bgdefect-mini",
            "base_fingerprint": info.base_fingerprint,
            "good_names": _names_digest([path.name for path in good]),
            "ready_masks": self.masks is not None,
            "mask_names": _names_digest(masks),
            "known_surroundings": surroundings,
            "part": part,
            "placement": asdict(self.placement),
            "variants": self.variants,
            "batch": self.batch,
            "retries": self.retries,
            "run_seed": self.seed,
            **painted,
            "limits": asdict(self.limits),
            "background_prompt": background,
            "defect_prompt": defect,
            "mask_prompt": mask,
            "precision": self.precision,
            "device": pick_device(self.device).type,
        }

    def made_with(self, library: Path | None) -> dict[str, Any]:
        """What a repetition needs beside :meth:`record`, for the manifest: where things lay, what
        defaults came to, versions.

        No part of the settings: a run goes on with weights or masks of the same content at another
            place.

        Args:
            library: the folder of real masks that is used, given or found.
        """
        return {
            "weights": os.path.abspath(self.weights),
            "good": os.path.abspath(self.good),
            "masks": os.path.abspath(self.masks) if self.masks else None,
            "base": os.path.abspath(self.base)
            if self.base and Path(self.base).exists()
            else self.base or "bgdefect-mini",
            "mask_library": os.path.abspath(library) if library else None,
            "mask_split": os.path.abspath(self.mask_split) if self.mask_split else None,
            "allow_other_base": self.allow_other_base,
            "threshold": self.threshold_in_use,
            "versions": library_versions(),
        }


def _names_digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
