"""How often the verdict is right (docs/method.md, choice 21): real defects put through the same
measure must pass it, masks painted with the background's prompt and squares that were merely
encoded and decoded must not.

The profile is learned from a few real defects of a class; others of the class are the positives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bgdefect_core.errors import DataError
from bgdefect_core.jobs import Attempt, Framing, Job, PaintSettings
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.regions import RegionPrompts
from bgdefect_core.method.start import StartSettings
from bgdefect_core.networks import ClassNetworks
from bgdefect_core.painting import paint
from bgdefect_core.pictures.crop import take
from bgdefect_core.pictures.masks import Mask, separate_defects
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.pixels import as_pictures
from bgdefect_core.pictures.reading import load_picture
from bgdefect_core.placement.library import MaskLibrary, numbered_library
from bgdefect_core.placement.likeness import Likeness
from bgdefect_core.placement.part import part_kind, part_mask
from bgdefect_core.placement.placing import place_mask
from bgdefect_core.placement.surroundings import Surroundings, surroundings_of
from bgdefect_core.preparing import prepare
from bgdefect_core.quality import ClassProfile, Standard
from bgdefect_core.quality.effects import effects_of
from bgdefect_core.quality.known import known_defects
from bgdefect_core.quality.shown import Shown
from bgdefect_core.quality.verdict import is_shown

from ..bases.apply import load_trained
from ..bases.load import Base
from ..data.examples import Example, load_example
from ..data.layouts import find_examples, good_examples
from ..drawing.weaves import PITCHES, WeaveDefect, weave, woven_defect

_BATCH = 4
_KINDS: tuple[WeaveDefect, ...] = ("speck", "thread")


@dataclass(frozen=True)
class VerdictShares:
    """Shares of what passes the verdict, 0..1 each."""

    name: str
    """Of the class, with what it was painted with."""
    known: int
    """Real defects that the profile was learned from."""
    real: float
    """Of other real defects."""
    painted: float
    """Of masks painted with the background's prompt."""
    decoded: float
    """Of good squares encoded and decoded once more."""
    judged_defects: int
    """Of the other real defects."""
    judged_masks: int
    """Of the painted masks."""
    effect: float | None
    """Of the real defects that do what nearly all known ones do; None: nothing is shared."""


@dataclass(frozen=True)
class _NegativePainter:
    """Paints masks with the background's prompt."""

    model: Base
    prompts: RegionPrompts
    """The background's in place of the defect's."""
    framing: Framing
    seed: int


def class_shares(
    weights: Path,
    base: str | None,
    data: Path,
    known: int,
    count: int,
    seed: int,
) -> VerdictShares:
    """The shares of the class that a weights file was trained on.

    Args:
        data: the data set with its real defects and good pictures. known: real defects that the
            profile is learned from. count: real defects and painted masks that are judged.

    Raises:
        DataError: fewer than ``known`` + 1 real defects.
    """
    model, info = load_trained(base, weights)
    defects = find_examples(data, info.object, info.defect)
    good = good_examples(data, info.object)
    rng = np.random.default_rng(seed)
    apart = info.zoom != "whole"
    library = _library(defects, apart, rng)
    if len(library.masks) <= known:
        came = f"{len(library.masks)} real defects of {info.object} / {info.defect}"
        raise DataError(came, f"more than {known}", "lower the number of known ones")
    known_library, others = _part(library, 0, known), _part(library, known, known + count)
    pictures: list[Picture] = []
    for number in rng.permutation(len(good))[:count]:
        pictures.append(load_picture(good[number].image, None))
    prompts = model.prompts(info.background_prompt, [info.background_prompt], info.mask_prompt)
    painter = _NegativePainter(model, prompts, Framing(info.resolution, info.zoom), seed)
    jobs = _jobs(known_library, pictures, rng)
    return _shares(f"{info.object} / {info.defect}", painter, known_library, others, jobs)


def weave_shares(model: Base, known: int, count: int, seed: int) -> list[VerdictShares]:
    """The shares on drawn weaves, for each pitch dark specks and faint broken threads."""
    prompts = model.prompts("a photo of a woven fabric", ["a photo of a woven fabric"], "mask")
    painter = _NegativePainter(model, prompts, Framing(model.resolution), seed)
    results: list[VerdictShares] = []
    for pitch in PITCHES:
        for kind in _KINDS:
            rng = np.random.default_rng((seed, int(pitch), len(kind)))
            masks: list[Mask] = []
            surroundings: list[Surroundings] = []
            for _ in range(known + count):
                drawn = woven_defect(model.resolution, pitch, kind, rng)
                masks.append(drawn.mask)
                surroundings.append(surroundings_of(drawn.picture, drawn.mask))
            library = numbered_library(masks, surroundings)
            known_library, others = _part(library, 0, known), _part(library, known, known + count)
            jobs = _weave_jobs(masks[known:], model.resolution, pitch, rng)
            name = f"weave of {pitch:g} pixels / {kind}"
            results.append(_shares(name, painter, known_library, others, jobs))
    return results


def _shares(
    name: str,
    painter: _NegativePainter,
    known: MaskLibrary,
    others: MaskLibrary,
    jobs: Sequence[Job],
) -> VerdictShares:
    """The shares of one class.

    Args:
        known: real defects of the profile. others: real defects that are judged.
        jobs: masks in good pictures that are painted.
    """
    framing = painter.framing
    profile = ClassProfile.from_library(known, framing.resolution, framing.zoom)
    standard = Standard(profile=profile)
    passed: list[bool] = []
    for defect in known_defects(others, framing.resolution, framing.zoom, painter.model):
        view = profile.view(defect.painted, defect.normal, defect.mask)
        passed.append(_passes(view, standard))
    painted, decoded = _negatives(painter, jobs, standard)
    effect = None
    if profile.effects.known:
        changes = effects_of(others).changes
        effect = _mean([profile.effects.agrees(change) for change in changes])
    return VerdictShares(
        name=name,
        known=profile.known,
        real=_mean(passed),
        painted=_mean(painted),
        decoded=_mean(decoded),
        judged_defects=len(passed),
        judged_masks=len(painted),
        effect=effect,
    )


@torch.no_grad()
def _negatives(
    painter: _NegativePainter, jobs: Sequence[Job], standard: Standard
) -> tuple[list[bool], list[bool]]:
    """Whether masks painted with the background's prompt pass, and whether the good squares,
    encoded and decoded once more, do."""
    model, prompts, framing = painter.model, painter.prompts, painter.framing
    settings = PaintSettings(starting=StartSettings(("noise",)))
    painted: list[bool] = []
    decoded: list[bool] = []
    with unet_predictor(model.unet, model.schedule) as predict:
        networks = ClassNetworks(model, predict, prompts)
        for start in range(0, len(jobs), _BATCH):
            batch = jobs[start : start + _BATCH]
            prepared = prepare(networks, batch, framing, settings)
            attempts: list[Attempt] = []
            for number in range(len(batch)):
                attempts.append(Attempt(number, painter.seed * 1_000_003 + start + number))
            samples = paint(networks, prepared, attempts, settings, standard)
            painted += [sample.judgement.verdict.good for sample in samples]
            normal = as_pictures(prepared.normal)
            again = as_pictures(model.decode(model.encode(prepared.normal)))
            for number, job in enumerate(batch):
                mask = take(job.requested, prepared.crops[number], framing.resolution)
                view = standard.profile.view(again[number], normal[number], mask)
                decoded.append(_passes(view, standard))
    return painted, decoded


def _passes(view: Shown | None, standard: Standard) -> bool:
    return view is not None and is_shown(view, standard.limits, standard.profile)


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _library(examples: Sequence[Example], apart: bool, rng: np.random.Generator) -> MaskLibrary:
    """The real defects in a random order, one of each picture: the largest."""
    masks: list[Mask] = []
    surroundings: list[Surroundings] = []
    for number in rng.permutation(len(examples)).tolist():
        picture, mask = load_example(examples[number])
        defect = separate_defects(mask)[0] if apart else mask
        masks.append(defect)
        surroundings.append(surroundings_of(picture, defect))
    return numbered_library(masks, surroundings)


def _part(library: MaskLibrary, first: int, end: int) -> MaskLibrary:
    return MaskLibrary(library.masks[first:end])


def _jobs(library: MaskLibrary, pictures: Sequence[Picture], rng: np.random.Generator) -> list[Job]:
    """A mask in each good picture, placed as in generation."""
    kind = part_kind([picture.eight_bit() for picture in pictures[:8]])
    jobs: list[Job] = []
    for number, picture in enumerate(pictures):
        real = library.masks[number % len(library.masks)]
        pixels = picture.eight_bit()
        placed = place_mask(part_mask(pixels, kind), real, rng, likeness=Likeness(pixels))
        if placed is not None:
            jobs.append(Job(picture, (placed.mask,), real.surroundings))
    return jobs


def _weave_jobs(
    masks: Sequence[Mask], size: int, pitch: float, rng: np.random.Generator
) -> list[Job]:
    jobs: list[Job] = []
    for mask in masks:
        gray = weave(size, pitch, rng, (rng.random(), rng.random()))
        pixels = np.repeat(np.rint(255 * gray).astype(np.uint8)[..., None], 3, axis=2)
        jobs.append(Job(Picture(pixels), (mask,)))
    return jobs


def shares_table(rows: Sequence[VerdictShares]) -> list[str]:
    """Lines of a Markdown table."""
    lines = [
        "| the verdict passes | known | other real defects | with the known ones' effect | painted "
        "with the background's prompt | encoded and decoded |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        effect = "no effect shared" if row.effect is None else f"{row.effect:.0%}"
        lines.append(
            f"| {row.name} | {row.known} | {row.real:.0%} of {row.judged_defects} | {effect} | "
            f"{row.painted:.0%} of {row.judged_masks} | {row.decoded:.0%} |"
        )
    return lines
