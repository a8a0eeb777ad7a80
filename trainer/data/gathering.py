"""All pictures of a data set as files to write in another format: names, sides, and how generated
ones were made."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable
from bgdefect_core.records.manifest import ManifestLine, read_manifest

from .examples import GOOD, Example
from .formats import LabelledFile, Provenance
from .layouts import (
    AS_FOUND,
    PlainFolder,
    ReadingSettings,
    all_good_examples,
    find_examples,
    layout_of,
)
from .sides import are_divided

__all__ = ["divided", "gather", "gather_generated", "on_own_sides", "provenance_of"]

_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def gather(root: Path, reading: ReadingSettings = AS_FOUND) -> list[LabelledFile]:
    """Every picture of a data set, once, with all of its classes; all on the training side.

    A data set that ``bgdefect generate`` wrote brings along how its samples were made.

    Raises:
        DataError: no data set, or nothing in it.
    """
    layout = layout_of(root, reading)
    if isinstance(layout, PlainFolder):
        raise DataError(f"{root} holds pictures without labels", "a data set", "check the path")
    classes = layout.classes(root)
    examples = find_examples(root, reading=reading) if any(classes.values()) else []
    for object in classes:
        examples += all_good_examples(root, object, reading)
    generated: dict[Path, ManifestLine] = {}
    for line in _lines_of(root):
        generated[Path(os.path.abspath(root)) / line.file] = line
    return _joined(root, examples, generated)


def gather_generated(root: Path, object: str, defect: str) -> list[LabelledFile]:
    """The accepted samples of one run of ``bgdefect generate``, and the good pictures that were
    painted into.

    Raises:
        DataError: the data set does not fit its manifest.
    """
    files: list[LabelledFile] = []
    for labelled in gather(root):
        classes = {example.defect for example in labelled.examples}
        if labelled.object == object and (not classes or defect in classes):
            files.append(labelled)
    return files


def _lines_of(root: Path) -> list[ManifestLine]:
    """The accepted attempts of all runs in a generated data set; none in another one."""
    lines: list[ManifestLine] = []
    if root.is_dir():
        for path in sorted(root.glob("extras/*/*/manifest.jsonl")):
            for line in read_manifest(path):
                if line.accepted:
                    lines.append(line)
    return lines


def _joined(
    root: Path, examples: Sequence[Example], generated: dict[Path, ManifestLine]
) -> list[LabelledFile]:
    """Examples of one picture as one file.

    Args:
        generated: how each generated picture was made.
    """
    by_picture: dict[tuple[str, Path], list[Example]] = {}
    for example in examples:
        members = by_picture.setdefault((example.object, example.image), [])
        if example.defect not in {member.defect for member in members}:
            members.append(example)
    names = _names(root, [image for _, image in by_picture])
    painted = {line.good_stem for line in generated.values()}
    files: list[LabelledFile] = []
    for (object, image), members in by_picture.items():
        line = generated.get(Path(os.path.abspath(image)))
        group = members[0].group
        if line is not None:
            group = line.good_stem
        elif not group and image.stem in painted:
            group = image.stem
        defective: list[Example] = []
        for member in members:
            if not member.is_good:
                defective.append(member)
        labelled = LabelledFile(image, names[image], object, tuple(defective), group)
        labelled = replace(labelled, source_side=members[0].side)
        if line is not None:
            labelled = replace(labelled, provenance=provenance_of(line))
        files.append(labelled)
    return files


def _names(root: Path, images: Sequence[Path]) -> dict[Path, str]:
    """A file name for each picture: its own where all stems differ, else with the folders that lead
    to it; without bytes and control characters that tables cannot hold."""
    stems = [comparable(_plain(image.stem)) for image in images]
    if len(set(stems)) == len(set(images)):
        return {image: _plain(image.name) for image in images}
    folder = Path(os.path.abspath(root if root.is_dir() else root.parent))
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for image in images:
        if image in names:
            continue
        relative = Path(os.path.relpath(os.path.abspath(image), folder))
        parts = [part for part in relative.with_suffix("").parts if part != ".."]
        joined = _plain("_".join(parts))
        stem = joined
        number = 1
        while comparable(stem) in taken:
            number += 1
            stem = f"{joined}_{number}"
        taken.add(comparable(stem))
        names[image] = stem + image.suffix
    return names


def _plain(name: str) -> str:
    return _UNFIT.sub("_", name)


def provenance_of(line: ManifestLine) -> Provenance:
    """How a generated sample was made, in plain entries."""
    start = line.start or {"kind": "noise"}
    made_with = line.made_with or {}
    entries: dict[str, Any] = {
        "method": f"bgdefect, start from {start.get('kind', 'noise')}",
        "seed": line.seed,
        "exemplar": start.get("exemplar") or line.mask_origin.get("made_from"),
        "start_level": start.get("level"),
        "source": Path(line.source).name,
        "source_sha256": line.source_sha256,
        "base": line.settings.get("base"),
        "base_licence": made_with.get("base_licence"),
    }
    plain: dict[str, str | int | float] = {}
    for name, value in entries.items():
        if isinstance(value, str | int | float):
            plain[name] = value
    return plain


def on_own_sides(files: Sequence[LabelledFile]) -> list[LabelledFile] | None:
    """The files on the sides of the data set that they come from, those without one on "train";
    None where it does not divide them."""
    if not are_divided({labelled.source_side for labelled in files}):
        return None
    return [replace(labelled, side=labelled.source_side or "train") for labelled in files]


def divided(files: Sequence[LabelledFile], share: float, seed: int) -> list[LabelledFile]:
    """The files with a share of each class, and of the good pictures, on the side "val". Groups
    stay together; every class that has two groups keeps one for training.

    Args:
        share: 0 to 1. seed: of the order in which groups are drawn.
    """
    groups: dict[tuple[str, str], list[LabelledFile]] = {}
    totals: dict[tuple[str, str], int] = {}
    for labelled in files:
        key = (labelled.object, labelled.group) if labelled.group else ("", str(labelled.picture))
        groups.setdefault(key, []).append(labelled)
        for name in _classes(labelled):
            totals[name] = totals.get(name, 0) + 1
    wanted: dict[tuple[str, str], int] = {}
    for name, total in totals.items():
        wanted[name] = max(round(share * total), int(share > 0))
    held: dict[tuple[str, str], int] = dict.fromkeys(totals, 0)
    keys = sorted(groups)
    chosen: set[int] = set()
    for index in np.random.default_rng((seed, 21)).permutation(len(keys)).tolist():
        counts: dict[tuple[str, str], int] = {}
        for labelled in groups[keys[index]]:
            for name in _classes(labelled):
                counts[name] = counts.get(name, 0) + 1
        missing, spared = False, True
        for name, count in counts.items():
            missing |= held[name] < wanted[name]
            spared &= held[name] + count < totals[name]
        if missing and spared:
            chosen.update(map(id, groups[keys[index]]))
            for name, count in counts.items():
                held[name] += count
    sides: list[LabelledFile] = []
    for labelled in files:
        sides.append(replace(labelled, side="val" if id(labelled) in chosen else "train"))
    return sides


def _classes(labelled: LabelledFile) -> list[tuple[str, str]]:
    """Object and defect of each label; of a good picture ``GOOD``."""
    if not labelled.examples:
        return [(labelled.object, GOOD)]
    return [(labelled.object, example.defect) for example in labelled.examples]
