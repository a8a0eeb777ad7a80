"""An open review: the runs of a data set, and the decisions on them."""

from __future__ import annotations

import io
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import TracebackType

import numpy as np
from PIL import Image

from bgdefect_core.errors import BGDefectError, DataError, MaskError
from bgdefect_core.paths import file_inside
from bgdefect_core.pictures.mask_reading import read_label
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.records.decisions import Decision, DecisionLog, Word
from bgdefect_core.records.manifest import (
    JOURNAL,
    ManifestLine,
    recorded_lines,
    standing_line,
)

from .rows import Row, attempt_name, row_of


@dataclass(frozen=True)
class RunPlace:
    """A run of a data set, by its folder names."""

    object: str
    defect: str
    folder: Path
    """Of its manifest."""


def find_runs(root: Path) -> list[RunPlace]:
    """The runs of a data set.

    Raises:
        DataError: there is none.
    """
    runs: list[RunPlace] = []
    for manifest in sorted(root.glob("extras/*/*/manifest.jsonl")):
        folder = manifest.parent
        runs.append(RunPlace(folder.parent.name, folder.name, folder))
    if not runs:
        came = f"{root} holds no extras/OBJECT/DEFECT/manifest.jsonl"
        raise DataError(came, "a data set that bgdefect generate wrote", "check the path")
    return runs


class Session:
    """The attempts of all runs, each with its last decision; a context manager. Its methods may be
    called from several threads.

    Raises:
        DataError: no run, a damaged file, or an interrupted --apply. OutputError: another review
            is open, or the folder cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = find_runs(root)
        self._lock = Lock()
        self._lines: list[dict[str, ManifestLine]] = []
        self._logs: list[DecisionLog] = []
        self.decided = 0
        with ExitStack() as stack:
            for run in self.runs:
                if (run.folder / JOURNAL).exists():
                    came = f"the decisions in {run.folder} were being applied when it was stopped"
                    raise DataError(came, "", "run the same command with --apply first")
                self._logs.append(stack.enter_context(DecisionLog(run.folder)))
                lines: dict[str, ManifestLine] = {}
                for line in recorded_lines(run.folder / "manifest.jsonl"):
                    lines[attempt_name(line)] = line
                self._lines.append(lines)
            self._open = stack.pop_all()

    def rows(self) -> list[Row]:
        """All attempts, as the page shows them."""
        rows: list[Row] = []
        for run, lines in enumerate(self._lines):
            for line in sorted(lines.values(), key=lambda line: line.key):
                rows.append(row_of(self._standing(run, line), run))
        return rows

    def line(self, run: int, name: str) -> ManifestLine:
        """An attempt as it stands.

        Raises:
            DataError: there is none of this name.
        """
        if not 0 <= run < len(self._lines) or name not in self._lines[run]:
            raise DataError(f"there is no sample {name!r}", "a sample of this data set", "reload")
        return self._standing(run, self._lines[run][name])

    def file(self, name: str) -> Path:
        """A file that the manifest names.

        Raises:
            DataError: outside of the data set.
        """
        return file_inside(self.root, name)

    def decide(self, run: int, name: str, word: Word, reason: str, mended: bool) -> Row:
        """Write a decision; it is on the disk when this returns the row.

        Args:
            mended: whether the person's label counts.

        Raises:
            BGDefectError: an unknown word, a sample without a label that is accepted, a full disk.
        """
        with self._lock:
            decision = self._decision(run, name, word, reason, mended)
            line = standing_line(self._lines[run][name], decision)
            if decision.mended and not self.file(line.label).is_file():
                raise DataError("no label was drawn for this sample", "", "draw it first")
            if word == "accept" and not read_label(self.file(line.label)).any():
                raise MaskError(
                    "this sample has no label", "a label to accept", "draw it with the brush first"
                )
            self._logs[run].add(decision)
            self.decided += 1
            return row_of(self._standing(run, self._lines[run][name]), run)

    def mend(self, run: int, name: str, png: bytes) -> Row:
        """Write a person's label beside the painted one; the decision stays as it was.

        Args:
            png: of the picture's size; what is white is defect.

        Raises:
            BGDefectError: no such picture, another size, an empty label, a full disk.
        """
        before = self.line(run, name)
        mask = _mask_of(png, read_label(self.file(before.requested)).shape)
        with self._lock:
            review = self.line(run, name).review or {}
            word: Word = review.get("decision", "undecided")
            decision = self._decision(run, name, word, str(review.get("reason", "")), True)
            self._logs[run].mend(decision, mask)
            self.decided += 1
            return row_of(self._standing(run, self._lines[run][name]), run)

    def _decision(self, run: int, name: str, word: Word, reason: str, mended: bool) -> Decision:
        line = self.line(run, name)
        return Decision(*line.key, line.file, word, reason, mended)

    def _standing(self, run: int, line: ManifestLine) -> ManifestLine:
        decision = self._logs[run].decisions.get(line.key)
        return replace(standing_line(line, decision))

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()


def _mask_of(png: bytes, size: tuple[int, ...]) -> Mask:
    """The label in a PNG; its size is compared before it is decoded.

    Raises:
        MaskError: no PNG, another size, or nothing drawn.
    """
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if (image.height, image.width) != size:
                came = f"the label has {image.width} x {image.height} pixels"
                raise MaskError(came, f"{size[1]} x {size[0]}, as its picture")
            mask: Mask = np.asarray(image.convert("L")) > 127
    except BGDefectError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as reason:
        raise MaskError(f"the label cannot be read ({reason})", "a PNG") from reason
    if not mask.any():
        raise MaskError("the label is empty", "a defect", "draw it, or reject the sample")
    return mask
