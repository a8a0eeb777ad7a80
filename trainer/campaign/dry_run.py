"""``bgdefect campaign --dry-run``: every class checked, the tasks, and what they would cost."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import BGDefectError
from bgdefect_core.pictures.reading import load_picture
from bgdefect_core.weights.info import ClassWeightsInfo

from ..bases.timing import duration
from ..data.examples import validate
from ..data.splits import write_split
from ..generation.dry_run import sample_seconds
from ..generation.pairs import Pairs, open_pairs
from ..training.setup import choose_class
from .classes import ClassPlan
from .evaluation_run import EvaluationRun
from .measuring import Facts
from .plan import Plan

__all__ = ["ClassCost", "DryRun", "class_cost", "dry_run"]

_PAIRS = 8
"""Pairs of a class whose masks are placed."""
_GB = 1e9
_HALF, _FLOAT = 2, 4
"""Bytes of a number."""
_LORA = 0.02
"""Share of the U-Net's numbers that a LoRA has, at most."""
_CHECKPOINTS = 2
_STATES = 3
"""Numbers of a checkpoint for each that is trained: itself, and AdamW's two."""
_BESIDE = 1.5
"""A sample's files over its picture alone: label, requested mask and heat map are small."""


@dataclass
class ClassCost:
    """What one class would take."""

    item: ClassPlan
    problems: Sequence[str] = ()
    """Why it cannot be learned; the rest is empty then."""
    notes: list[str] = field(default_factory=list)
    trained: int = 0
    """Pictures that train; the next: that are held out."""
    held_out: int = 0
    shards: int = 0
    learn: float = 0.0
    """Seconds."""
    paint: float = 0.0
    disk: float = 0.0
    """Bytes."""


@dataclass(frozen=True)
class EvaluationCost:
    """What one evaluation would take."""

    name: str
    seconds: float = 0.0
    problem: str = ""
    """Why it cannot be done."""


@dataclass(frozen=True)
class DryRun:
    """What a campaign would do."""

    classes: tuple[ClassCost, ...]
    evaluations: tuple[EvaluationCost, ...]
    workers: int
    free: float
    """Bytes on the disk of the output."""

    @property
    def lines(self) -> list[str]:
        """For the terminal."""
        lines: list[str] = []
        for cost in self.classes:
            if cost.problems:
                lines.append(f"{cost.item.name} cannot be learned: {'; '.join(cost.problems)}")
                continue
            pictures = f"{cost.trained} train, {cost.held_out} held out"
            tasks = f"learn -> {cost.shards} x (place -> paint) -> assemble"
            times = f"learning {duration(cost.learn)}, painting {duration(cost.paint)}"
            lines.append(f"{cost.item.name}: {pictures}; {tasks}; {times}")
            lines += [f"  {note}" for note in cost.notes]
        for evaluation in self.evaluations:
            lines.append(f"{evaluation.name}: {evaluation.problem or duration(evaluation.seconds)}")
        return [*lines, *self._total_lines()]

    def _total_lines(self) -> list[str]:
        good = shards = 0
        seconds = longest = disk = 0.0
        for cost in self.classes:
            if not cost.problems:
                good += 1
                shards += cost.shards
                seconds = seconds + cost.learn + cost.paint
                disk += cost.disk
                longest = max(longest, cost.learn)
        for evaluation in self.evaluations:
            seconds += evaluation.seconds
            longest = max(longest, evaluation.seconds)
        spread = max(seconds / self.workers, longest)
        enough = "" if disk <= self.free else ": not enough"
        return [
            f"tasks: {good} learn, {shards} place, {shards} paint, {good} assemble, "
            f"{len(self.evaluations)} evaluate",
            f"time:  {duration(seconds)} of one worker, {duration(spread)} on {self.workers}; "
            "validation, placing, retries and writing come on top",
            f"disk:  {disk / _GB:.2f} GB of {self.free / _GB:.0f} GB that are free{enough}",
            f"{good} classes can be learned, {len(self.classes) - good} cannot",
            "nothing was written",
        ]

    @property
    def failing(self) -> int:
        """Classes and evaluations that cannot be done."""
        refused = sum(bool(evaluation.problem) for evaluation in self.evaluations)
        return refused + sum(bool(cost.problems) for cost in self.classes)


def dry_run(
    plan: Plan,
    classes: Sequence[ClassPlan],
    evaluations: Sequence[EvaluationRun],
    facts: Facts,
    workers: int,
) -> DryRun:
    """Check every class and count what it would take. Nothing is written.

    Args:
        facts: with measured steps.
    """
    costs: list[ClassCost] = []
    for item in tqdm(classes, desc="checking", unit="class", leave=False):
        if item.problems:
            costs.append(ClassCost(item, item.problems))
            continue
        try:
            costs.append(class_cost(item, facts, plan.run.paint))
        except BGDefectError as error:
            costs.append(ClassCost(item, [str(error)]))
    evaluation_costs: list[EvaluationCost] = []
    for run in tqdm(evaluations, desc="checking", unit="evaluation", leave=False):
        try:
            evaluation_costs.append(EvaluationCost(run.name, run.expected_seconds()))
        except BGDefectError as error:
            evaluation_costs.append(EvaluationCost(run.name, problem=str(error)))
    place = plan.run.output
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return DryRun(tuple(costs), tuple(evaluation_costs), workers, free)


def class_cost(item: ClassPlan, facts: Facts, paints: bool = True) -> ClassCost:
    """Read the pictures of a class, place some of its masks, and count.

    Args:
        paints: whether it is learned and painted, and not only evaluated.

    Raises:
        BGDefectError: what the class's own tasks would refuse.
    """
    train, plan = item.train, item.generate.plan
    split = choose_class(train).split
    validate([*split.train, *split.held_out])
    cost = ClassCost(item, trained=len(split.train), held_out=len(split.held_out))
    if not paints:
        return cost
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "split.json"
        write_split(file, split, train.data)
        generate = item.generate
        if generate.mask_split is not None:
            generate = replace_options(generate, mask_split=file)
        pairs = open_pairs(generate, _provisional(item, facts))
        cost.notes = _placement_notes(pairs, min(_PAIRS, plan.pairs))
    cost.shards = len(list(plan.chunks()))
    cost.learn = train.steps * train.accumulate * facts.timing.iteration
    cost.paint = plan.count * sample_seconds(generate.paint, facts.timing, plan.variants)
    cost.disk = _bytes(item, facts, pairs.sources.good[0])
    return cost


def _placement_notes(pairs: Pairs, tried: int) -> list[str]:
    """What is to be said of the masks of the first pairs, placed for that."""
    missed: set[str] = set()
    placed = 0
    for number in range(tried):
        pair = pairs[number]
        placed += pair.job is not None
        for names in (pair.origin.get("missed") or {}).values():
            missed.update(names)
    notes: list[str] = []
    if placed < tried:
        notes.append(f"{tried - placed} of {tried} masks could not be placed")
    if missed:
        notes.append(f"fit nowhere on some pictures: {', '.join(sorted(missed))}")
    return notes


def _bytes(item: ClassPlan, facts: Facts, good: Path) -> float:
    """Room that a class takes: its weights, the checkpoints while it is learned, its samples."""
    size = load_picture(good, None).pixels.nbytes
    picture = min(size, max(good.stat().st_size, size / 3))
    samples = item.generate.count * picture * _BESIDE
    weights = facts.parameters * (_LORA if item.train.lora_rank else 1.0)
    checkpoints = _FLOAT * _STATES * _CHECKPOINTS
    return weights * (_HALF + checkpoints) + samples


def _provisional(item: ClassPlan, facts: Facts) -> ClassWeightsInfo:
    """What the weights of a class will say of themselves, as far as placing reads it."""
    prompts = item.train.prompts(item.object, item.defect)
    return ClassWeightsInfo(
        kind="lora" if item.train.lora_rank else "full",
        object=item.object,
        defect=item.defect,
        background_prompt=prompts.background,
        defect_prompt=prompts.defect,
        mask_prompt=prompts.mask,
        base_name=facts.name,
        base_fingerprint=facts.fingerprint,
        base_licence="",
        prediction_type="epsilon",
        resolution=facts.resolution,
        zoom=item.train.zoom,
        steps=item.train.steps,
        loss=item.train.loss,
        seed=item.train.seed,
        date="",
        architecture={},
    )
