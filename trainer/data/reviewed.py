"""What a person's review leaves of a generated data set, whether or not it has been applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.decisions import REVIEW
from bgdefect_core.records.manifest import JOURNAL, ManifestLine, read_manifest

from .examples import Example


def standing_examples(folder: Path, defect: str, examples: Sequence[Example]) -> list[Example]:
    """The examples without the samples that a person rejected, and with the labels that a person
    mended. Those of a data set that was not reviewed are returned as they are.

    Args:
        folder: of the object. examples: of one of its defects, in MVTec AD's layout.

    Raises:
        DataError: decisions that cannot be read, or that are being applied; no example is left.
    """
    extras = extras_folder(folder.parent, folder.name, defect)
    if not (extras / REVIEW).is_file() and not (extras / JOURNAL).is_file():
        return list(examples)
    lines: dict[str, ManifestLine] = {}
    for line in read_manifest(extras / "manifest.jsonl"):
        lines[line.file] = line
    standing: list[Example] = []
    for example in examples:
        name = example.image.relative_to(folder.parent).as_posix()
        if name not in lines:
            standing.append(example)
        elif lines[name].accepted:
            standing.append(replace(example, masks=(folder.parent / lines[name].label,)))
    if examples and not standing:
        came = f"{folder}: every sample of {defect} was rejected in the review"
        raise DataError(came, "at least one", "generate more, or change the decisions")
    return standing
