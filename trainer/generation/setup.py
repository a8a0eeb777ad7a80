"""Everything that a run needs before its first sample."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bgdefect_core.declarations import replace_options
from bgdefect_core.good_squares import GoodSquares
from bgdefect_core.jobs import Framing, PaintSettings
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.quality import ClassProfile, Standard
from bgdefect_core.records.run_record import Inputs, read_inputs
from bgdefect_core.weights.files import read_info
from bgdefect_core.weights.info import ClassWeightsInfo

from ..bases.apply import load_trained
from ..bases.devices import pick_device
from ..bases.load import Base
from ..bases.precision import choose_precision
from .attempts import SamplePlan
from .choice_file import ChoiceFile
from .config import GenerateConfig
from .pair import Pair
from .pairs import Pairs, open_pairs, start_in_use
from .record import made_with, run_settings
from .sources import ExampleSources

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Painter:
    """All that the painting of chunks needs, on whatever machine."""

    plan: SamplePlan
    seed: int
    base: Base
    """With the class on it."""
    prompts: RegionPrompts
    framing: Framing
    paint: PaintSettings
    standard: Standard
    squares: GoodSquares = field(default_factory=GoodSquares)
    """Encoded and decoded good squares, for pairs that share one."""


@dataclass(kw_only=True)
class GenerationRun(Painter):
    """A generation run, set up."""

    output: Path
    object: str
    """Names in the data set."""
    defect: str
    pairs: Pairs
    record: dict[str, Any]
    """The settings that make it this run."""
    inputs: Inputs
    made_with: dict[str, Any]
    without_mask: list[Pair] = field(default_factory=list)
    """Pairs whose picture took none of the masks that were tried."""
    replace_rejected: bool = False
    """Whether samples that a person rejected are made anew."""


def set_up(
    config: GenerateConfig, examples: ExampleSources | None = None, base: Base | None = None
) -> GenerationRun:
    """Check the settings, read the sources and load the networks. Nothing is written.

    Args:
        examples: sources in place of the settings' folders.
        base: as :func:`ready_base` makes it; None: it is loaded.

    Raises:
        BGDefectError: whatever the user can mend.
    """
    config.check()
    info = read_info(config.weights)
    framing = Framing(info.resolution, info.zoom)
    pairs = open_pairs(config, info, examples)
    config = replace_options(config, start=start_in_use(config, pairs.sources))
    base = base or ready_base(config)
    SIGNALS[config.paint.label.signal].check_resolution(framing.resolution, base.factor)
    record = run_settings(config, info, pairs)
    library = pairs.sources.library
    profile = ClassProfile(0)
    if library is not None:
        profile = ClassProfile.from_library(library, framing.resolution, framing.zoom)
        effect = profile.effects.gate_in_words()
        if effect:
            log.info("%s", effect)
    record |= {"base": base.name, "base_fingerprint": base.fingerprint}
    record["precision"] = base.precision
    return GenerationRun(
        output=config.output,
        object=config.object or info.object,
        defect=config.defect or info.defect,
        plan=config.plan,
        seed=config.seed,
        pairs=pairs,
        base=base,
        prompts=prompts_of(config, info, base),
        framing=framing,
        paint=config.paint,
        standard=Standard(config.limits, profile),
        record=record,
        inputs=read_inputs(pairs.files(config.plan.pairs)) | base.inputs,
        made_with=made_with(config, pairs.sources.folder, info.base_licence)
        | {"real_defects": profile.record},
        replace_rejected=config.replace_rejected,
    )


def prompts_of(config: GenerateConfig, info: ClassWeightsInfo, base: Base) -> RegionPrompts:
    """The prompts of a run, encoded."""
    texts = config.prompts(info)
    return base.prompts(texts.background, [texts.defect], texts.mask, config.attention_words)


def choice_file(run: GenerationRun) -> ChoiceFile:
    """Where a run keeps its choices of pictures."""
    return ChoiceFile(run.output, run.object, run.defect, run.record)


def ready_base(config: GenerateConfig) -> Base:
    """The base with the class on it, on the device and in the precision of the settings.

    Raises:
        WeightsError: weights and base do not fit. SettingError: as :func:`settle_base`.
    """
    base, _ = load_trained(config.base, config.weights, config.allow_other_base)
    return settle_base(base, config)


def settle_base(base: Base, config: GenerateConfig) -> Base:
    """Move a base with a class on it to the device and the precision of the settings; returns
    it.

    Raises:
        SettingError: no such device, or more steps than the base's schedule has.
    """
    device = pick_device(config.device)
    base.to(device).to_precision(choose_precision(config.precision, base, device))
    config.paint.sampling.levels(base.schedule)
    return base
