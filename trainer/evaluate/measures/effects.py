"""Whether samples do to a two-toned picture what the real defects do (docs/method.md, choice 16):
the share that adds or removes connected areas as these do, beside the real defects' own share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bgdefect_core.pictures.masks import Mask, separate_defects
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.quality.effects import Change, Effects, effect, effect_of_real

from ...data.examples import Example, load_example
from ...data.paired_good import load_before
from ..samples.sample_set import SampleSet

REAL = "real defects"


def effect_shares(
    samples: SampleSet, pool: Sequence[Example], test: Sequence[Example]
) -> dict[str, float]:
    """Shares of samples and of held-out real defects that do what nearly all real defects of the
    training side do.

    Args:
        samples: accepted ones. pool, test: real defects of the training side and held-out ones.

    Returns:
        "samples" and "real defects", 0..1; empty where the pictures are not two-toned, or fewer
        than nine of ten real defects do the same.
    """
    effects = real_effects(pool)
    if not effects.known:
        return {}
    shares: dict[str, float] = {}
    held_out = [effects.agrees(change) for change in real_effects(test).changes]
    if held_out:
        shares[REAL] = float(np.mean(held_out))
    agreeing: list[bool] = []
    for sample in samples.samples:
        if sample.source is None or sample.source.shape != sample.picture.shape:
            continue
        change = effect(sample.source, sample.picture, sample.requested)
        if change is not None:
            agreeing.append(effects.agrees(change))
    if agreeing:
        shares["samples"] = float(np.mean(agreeing))
    return shares


def real_effects(examples: Sequence[Example]) -> Effects:
    """The effects of real defects, each against its aligned good picture where there is one
    (``paired_good``), else against the other tone within its mask."""
    changes: list[Change] = []
    for example in examples:
        picture, mask = load_example(example)
        before = load_before(example)
        for defect in separate_defects(mask):
            change = _real_effect(picture, defect, before)
            if change is not None:
                changes.append(change)
    return Effects(tuple(changes))


def _real_effect(picture: Pixels, defect: Mask, before: Pixels | None) -> Change | None:
    if before is None or before.shape != picture.shape:
        return effect_of_real(picture, defect)
    # beside the defect the two differ by what the alignment left
    good = np.where(defect[..., None], before, picture)
    return effect(good, picture, defect)
