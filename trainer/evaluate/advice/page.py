"""The page of the advice in plain words, and ``advice.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from bgdefect_core.files import atomic_write

from ..report.statistics import Interval
from ..report.tables import POINTS
from .design import LEAST_DEFECTS, Design, design_record
from .judgement import TELLING, Operation, RunsJudgement, operation_text
from .misses import KINDS, HeldOutDefect, parted, photograph_text
from .runs import Recipe

_MOST_MISSES = 20
_WHEN = {
    "mixed": "mixed in with the real ones from the first step to the last (one stage)",
    "two-stage": "alone in the first half of the training; the real ones alone in the second "
    "(two stages)",
}


@dataclass(frozen=True)
class ClassAdvice:
    """The advice on one class."""

    object: str
    defect: str
    judgement: RunsJudgement | None
    """None: too few defects to measure at all."""
    defects: tuple[HeldOutDefect, ...] = ()
    """The held-out ones, as the advised detectors find them."""
    options: str = ""
    """Options of ``bgdefect generate`` for the advised recipe."""


def advice_lines(advice: ClassAdvice, tolerated: float) -> list[str]:
    """The advice in plain words, a sentence or two a line.

    Args:
        tolerated: share of false alarms, 0..1.
    """
    judgement = advice.judgement
    if judgement is None:
        return [
            f"Cannot be told. It takes at least about {LEAST_DEFECTS} real defects with masks to "
            "measure at all."
        ]
    if judgement.answer == "cannot be told":
        return [_untold(judgement)]
    lines = _decision(judgement)
    if judgement.recipe is not None:
        recipe = judgement.recipe
        lines.append(f"Recipe: {recipe.arm}, {advice.options or 'the default start'}.")
        if recipe.schedule == "mixed":
            lines.append(f"Of the training crops with a defect, {recipe.share:.0%} are generated.")
        lines.append(f"Show the generated defects {_WHEN[recipe.schedule]}.")
        if judgement.equals:
            titles = "; ".join(equal.title for equal in judgement.equals)
            lines.append(f"No worse by these figures: {titles}.")
        if judgement.worth is not None:
            lines.append(judgement.worth.text())
    lines.append(operation_text(judgement.operation, tolerated))
    if judgement.recipe is not None and judgement.operation is not None:
        without = operation_text(judgement.operation_real, tolerated)
        lines.append(f"Without generated defects: {without}")
    if judgement.operation is not None:
        lines += photograph_text(advice.defects)
    return lines


def _untold(judgement: RunsJudgement) -> str:
    text = f"Cannot be told with {judgement.held_out} held-out defects."
    if judgement.needed is None:
        return f"{text} It takes at least about {LEAST_DEFECTS} real defects with masks."
    return (
        f"{text} It takes about {judgement.needed}, to tell differences of "
        f"{TELLING * POINTS:.0f} points."
    )


def _decision(judgement: RunsJudgement) -> list[str]:
    level = f"{judgement.real.mean * POINTS:.1f} points of pixel AP without them"
    known = f"With {judgement.k} known real defects ({level})"
    if judgement.recipe is not None:
        gained = _gain_text(judgement.gains[judgement.recipe])
        return [f"Use generated defects. {known} they gained {gained}."]
    texts = []
    for recipe, gain in judgement.gains.items():
        texts.append(f"{recipe.title}: {_gain_text(gain)}")
    listed = "; ".join(texts)
    if judgement.answer == "do not use":
        return [f"Do not use generated defects. {known} every recipe lost: {listed}."]
    highest = max(gain.high or 0.0 for gain in judgement.gains.values())
    return [
        f"No gain from generated defects was shown. {known} the intervals leave room for at most "
        f"{highest * POINTS:+.1f} points: {listed}."
    ]


def _gain_text(gain: Interval) -> str:
    if gain.low is None or gain.high is None:
        return f"{gain.mean * POINTS:+.1f} points"
    low, high = gain.low * POINTS, gain.high * POINTS
    return f"{gain.mean * POINTS:+.1f} points (interval {low:+.1f} to {high:+.1f})"


def advice_document(
    advices: Sequence[ClassAdvice], tolerated: float, design: Design | None
) -> dict[str, Any]:
    """``advice.json``: one entry a class. Where nothing can be told, an entry holds the answer and
    the number of held-out defects that it takes, no more. Points are hundredths of pixel AP."""
    return {
        "tolerated_false_alarms": tolerated,
        "measured": None if design is None else design_record(design),
        "classes": [_class_document(advice, tolerated) for advice in advices],
    }


def _class_document(advice: ClassAdvice, tolerated: float) -> dict[str, Any]:
    names = {"object": advice.object, "defect": advice.defect}
    judgement = advice.judgement
    if judgement is None:
        return {**names, "answer": "cannot be told", "needed_defects": LEAST_DEFECTS}
    if judgement.answer == "cannot be told":
        needed = {"held_out_defects": judgement.held_out}
        return {
            **names,
            "answer": judgement.answer,
            **needed,
            "needed_held_out_defects": judgement.needed,
        }
    gains = []
    for recipe, gain in judgement.gains.items():
        gains.append({**vars(recipe), "gain_points": _interval(gain, POINTS)})
    recipe_values = None
    if judgement.recipe is not None:
        recipe_values = _recipe(judgement.recipe, advice.options)
    return {
        **names,
        "answer": judgement.answer,
        "known_real_defects": judgement.k,
        "held_out_defects": judgement.held_out,
        "real_points": _interval(judgement.real, POINTS),
        "recipe": recipe_values,
        "equals": [_recipe(recipe, "") for recipe in judgement.equals],
        "gains": gains,
        "worth_more_real_defects": None if judgement.worth is None else vars(judgement.worth),
        "threshold": _operation(judgement.operation),
        "threshold_without": _operation(judgement.operation_real),
        "photograph_next": [] if judgement.operation is None else photograph_text(advice.defects),
        "missed": _missed(advice.defects),
        "text": advice_lines(advice, tolerated),
    }


def _recipe(recipe: Recipe, options: str) -> dict[str, Any]:
    values: dict[str, Any] = {"arm": recipe.arm, "stages": 1 if recipe.schedule == "mixed" else 2}
    values["share"] = recipe.share if recipe.schedule == "mixed" else None
    if options:
        values["generate_options"] = options
    return values


def _interval(interval: Interval, scale: float = 1.0) -> dict[str, float | None]:
    ends = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {name: None if value is None else value * scale for name, value in ends.items()}


def _operation(operation: Operation | None) -> dict[str, Any] | None:
    if operation is None:
        return None
    return {
        "image_score": operation.threshold,
        "smallest": operation.low,
        "largest": operation.high,
        "found": _interval(operation.found_share),
    }


def _missed(defects: Sequence[HeldOutDefect]) -> list[dict[str, Any]]:
    lines = []
    for defect in parted(defects)[0]:
        properties = {}
        for kind, value in zip(KINDS, defect.properties, strict=True):
            properties[kind.name] = value
        lines.append({"file": defect.file, "found": defect.found_share, **properties})
    return lines


def write_advice(
    folder: Path,
    data: str,
    advices: Sequence[ClassAdvice],
    tolerated: float,
    design: Design | None,
    settings: Mapping[str, Any],
) -> None:
    """Write ``advice.html`` and ``advice.json``.

    Args:
        data: name of the data set. settings: the evaluation's record.

    Raises:
        OutputError: a file cannot be written.
    """
    document = advice_document(advices, tolerated, design) | {"config": dict(settings)}
    with atomic_write(folder / "advice.json", "w") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")
    sections = []
    for advice in advices:
        missed = []
        if advice.judgement is not None and advice.judgement.operation is not None:
            missed = parted(advice.defects)[0][:_MOST_MISSES]
        lines = advice_lines(advice, tolerated)
        title = f"{advice.object} / {advice.defect}"
        sections.append({"title": title, "lines": lines, "missed": missed})
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    source = Path(__file__).with_name("advice.html.j2").read_text(encoding="utf-8")
    text = environment.from_string(source).render(data=data, sections=sections, design=design)
    with atomic_write(folder / "advice.html", "w") as page:
        page.write(text)
