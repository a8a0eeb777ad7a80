"""The decisions of a review take effect: files move between the data set and ``rejected/``.

Nothing is deleted. A sample that a person rejected goes where rejected attempts lie, one that a
person accepted comes into ``test/`` and ``ground_truth/``, and a mended label takes the place of
the painted one, which is kept in ``painted/``. Other decisions, applied again, take it all back.

Killed at any moment, it is finished by the next call, or by the next run of ``generate``: the new
manifest and a journal are written first. The journal holds stages, each of which may be done twice,
and is deleted when the new manifest has taken its place.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import DataError, OutputError
from ..files import atomic_write
from ..paths import file_inside, system_errors
from ..pictures.reading import read_picture
from .dataset_place import (
    MAX_INDEX,
    accepted_files,
    extras_folder,
    is_complete,
    rejected_files,
)
from .decisions import REVIEW_LOCK, Key, mended_file, read_decisions
from .manifest import JOURNAL, ManifestLine, painted_file, recorded_lines, standing_line
from .run_record import file_digest, locked

__all__ = ["Applied", "apply_decisions", "finish_apply"]

log = logging.getLogger(__name__)

_NEXT = "manifest.next.jsonl"
_Files = list[tuple[str, str]]
"""From and to, relative to the data set."""


@dataclass(frozen=True)
class Applied:
    """How many attempts changed their place or label."""

    accepted: int
    rejected: int
    labels: int


@dataclass
class _Stages:
    """What is done to the files, in this order; each stage only after the one before."""

    keep: _Files = field(default_factory=list)
    """Copies of painted labels, before persons' take their place."""
    label: _Files = field(default_factory=list)
    """Copies of the labels that count."""
    move_out: _Files = field(default_factory=list)
    move_in: _Files = field(default_factory=list)
    """Moved after ``move_out``: into places that this stage frees."""


def apply_decisions(root: str | Path, object: str, defect: str) -> Applied:
    """Move files and labels as the review says, and write the manifest anew.

    Raises:
        DataError: no run, damaged decisions, or a sample accepted by hand without a label: nothing
            is changed. OutputError: in use by ``generate`` or an open review, or unwritable.
    """
    root = Path(root)
    folder = extras_folder(root, object, defect)
    if not (folder / "manifest.jsonl").is_file():
        raise DataError(f"{folder} holds no manifest", "a data set of ours", "check the path")
    with ExitStack() as stack:
        stack.enter_context(locked(folder))
        stack.enter_context(locked(folder, REVIEW_LOCK))
        finish_apply(root, folder)
        lines = recorded_lines(folder / "manifest.jsonl")
        plan = _Plan(root, object, defect, lines)
        changed = [plan.place(line) for line in lines]
        if changed != lines:
            with atomic_write(folder / _NEXT) as file:
                for line in changed:
                    file.write(f"{line.to_json()}\n".encode())
            _write_journal(folder, 0, plan.stages)
            finish_apply(root, folder)
    return plan.counts


def finish_apply(root: Path, folder: Path) -> None:
    """Finish what was interrupted, if anything was. The caller holds the folder's lock.

    Args:
        root: of the data set. folder: of its manifest.

    Raises:
        DataError: a damaged journal. OutputError: a file cannot be moved.
    """
    journal = folder / JOURNAL
    if not journal.exists():
        return
    done, stages = _read_journal(journal)
    stage_list = [stages.keep, stages.label, stages.move_out, stages.move_in]
    for number, files in enumerate(stage_list):
        if number < done:
            continue
        for source, target in files:
            paths = file_inside(root, source), file_inside(root, target)
            (_copy if number < 2 else _move)(*paths)
        _write_journal(folder, number + 1, stages)
    with system_errors(OutputError, "a writable folder", "mend it, and apply again"):
        if (folder / _NEXT).exists():
            os.replace(folder / _NEXT, folder / "manifest.jsonl")
        journal.unlink()


def _copy(source: Path, target: Path) -> None:
    with system_errors(DataError, "the label of a sample"):
        content = source.read_bytes()
    with atomic_write(target) as file:
        file.write(content)


def _move(source: Path, target: Path) -> None:
    """Move a file, unless an earlier call has."""
    with system_errors(OutputError, "a writable folder", "mend it, and apply again"):
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
        elif not target.exists():
            raise OutputError(f"{source} is gone", "the file of a sample", "restore it")


def _write_journal(folder: Path, done: int, stages: _Stages) -> None:
    with atomic_write(folder / JOURNAL, "w") as file:
        json.dump({"done": done, **asdict(stages)}, file)


def _read_journal(path: Path) -> tuple[int, _Stages]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        done = int(document.pop("done"))
        stages = _Stages(**document)
        for files in (stages.keep, stages.label, stages.move_out, stages.move_in):
            for source, target in files:
                if not isinstance(source, str) or not isinstance(target, str):
                    raise ValueError("a name is no text")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as reason:
        came = f"{path} is damaged ({reason})"
        raise DataError(came, "what an interrupted review left", "restore it") from reason
    return done, stages


class _Plan:
    """Where every attempt goes, and how to get there."""

    def __init__(self, root: Path, object: str, defect: str, lines: Sequence[ManifestLine]) -> None:
        self.stages = _Stages()
        self._root, self._names = root, (object, defect)
        self._folder = extras_folder(root, object, defect)
        self._decisions = read_decisions(self._folder)
        self._taken: set[str] = set()
        for line in lines:
            stays = standing_line(line, self._decisions.get(line.key)).accepted
            if line.accepted and stays:
                self._taken.add(line.file)
        self._indices = {line.index for line in lines}
        self._counts = {"accepted": 0, "rejected": 0, "labels": 0}

    @property
    def counts(self) -> Applied:
        """Of the lines placed so far."""
        return Applied(**self._counts)

    def place(self, line: ManifestLine) -> ManifestLine:
        """The line as it will stand; its changes join the stages."""
        for name in line.files:
            file_inside(self._root, name)
        if not is_complete(self._root, line):
            log.warning("%s: files are missing, it is left as it is", line.file)
            return line
        decision = self._decisions.get(line.key)
        stands = standing_line(line, decision)
        stands = self._label(line, stands, decision is not None and decision.mended)
        is_moved = stands.accepted != line.accepted
        if stands.accepted and (is_moved or stands.label != line.label):
            self._check_label(line, stands)
        if is_moved:
            self._counts["accepted" if stands.accepted else "rejected"] += 1
            return self._moved(line, stands)
        return replace(stands, label=line.label)

    def _label(self, line: ManifestLine, stands: ManifestLine, mended: bool) -> ManifestLine:
        """Plan which label lies in the label's place; ``stands.label`` is its source."""
        before = (line.review or {}).get("mended_sha256")
        painted = self._beside(painted_file(*line.key))
        if not mended:
            if before is not None:
                self._counts["labels"] += 1
                self.stages.label.append((painted, line.label))
            return stands
        source = self._beside(mended_file(*line.key))
        digest = file_digest(self._root / source, DataError, "the mended label")
        if digest != before:
            self._counts["labels"] += 1
            if before is None:
                self.stages.keep.append((line.label, painted))
            self.stages.label.append((source, line.label))
        return replace(stands, review={**(stands.review or {}), "mended_sha256": digest})

    def _check_label(self, line: ManifestLine, stands: ManifestLine) -> None:
        label = read_picture(file_inside(self._root, stands.label))
        if not (label > 127).any():
            came = f"sample {line.index}, attempt {line.attempt} was accepted without a label"
            raise DataError(came, "a label", "draw it with the brush, or reject the sample")

    def _moved(self, line: ManifestLine, stands: ManifestLine) -> ManifestLine:
        """Plan the moves of an attempt's files; the line with their new places."""
        if stands.accepted:
            ending = Path(line.file).suffix
            files = accepted_files(*self._names, self._number(line.key, ending), ending)
            self._taken.add(files.file)
            moves = self.stages.move_in
        else:
            files = rejected_files(*self._names, *line.key, Path(line.file).suffix)
            moves = self.stages.move_out
        moves += [
            (line.file, files.file),
            (line.label, files.label),
            (line.requested, files.requested),
        ]
        heatmap = None
        if line.heatmap is not None:
            heatmap = files.heatmap
            moves.append((line.heatmap, heatmap))
        return replace(
            stands,
            file=files.file,
            label=files.label,
            requested=files.requested,
            heatmap=heatmap,
        )

    def _number(self, key: Key, ending: str) -> int:
        """The sample's index, or, where another attempt at the sample has it, the highest free
        number: anomalib pairs pictures and labels by the order of their names."""
        index, _ = key
        if not self._is_taken(index, ending):
            return index
        number = MAX_INDEX
        while number in self._indices or self._is_taken(number, ending):
            number -= 1
        return number

    def _is_taken(self, number: int, ending: str) -> bool:
        return accepted_files(*self._names, number, ending).file in self._taken

    def _beside(self, name: str) -> str:
        return (self._folder / name).relative_to(self._root).as_posix()
