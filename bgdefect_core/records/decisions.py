"""What a person decided on the samples of a run: ``review.csv`` beside the manifest.

One row a decision, appended and waited for; the last row of an attempt counts, so that the file is
its own history. A last row that a kill left torn is passed over. Labels that a person mended lie
beside it, in ``mended/``; the label that was painted stays where it is.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, get_args

from ..errors import DataError, SettingError
from ..files import AppendedFile, unwritable
from ..paths import without_surrogates
from ..pictures.masks import Mask
from ..pictures.writing import write_mask
from .run_record import locked

__all__ = [
    "REVIEW",
    "REVIEW_LOCK",
    "Decision",
    "DecisionLog",
    "Key",
    "Word",
    "mended_file",
    "read_decisions",
]

REVIEW = "review.csv"
_REMEDY = "make room"
Word = Literal["accept", "reject", "undecided"]
Key = tuple[int, int]
"""Index of a sample and number of an attempt at it."""

_COLUMNS = ("index", "attempt", "file", "decision", "reason", "mended", "date")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_REASON = 500
REVIEW_LOCK = ".review.lock"


@dataclass(frozen=True)
class Decision:
    """One row.

    Raises:
        SettingError: an unknown word, or a reason of more than 500 characters.
    """

    index: int
    """Number of the sample."""
    attempt: int
    file: str
    """The sample's picture when it was decided, relative to the data set; for the reader."""
    decision: Word
    reason: str = ""
    """One line of text."""
    mended: bool = False
    """Whether the label in ``mended/`` stands in place of the painted one."""
    date: str = ""
    """UTC, as 2026-11-29T09:17:34Z. Empty: now."""

    def __post_init__(self) -> None:
        if self.decision not in get_args(Word):
            expected = f"one of {', '.join(get_args(Word))}"
            raise SettingError(f"a decision is {self.decision!r}", expected)
        reason = " ".join(_CONTROL.sub(" ", without_surrogates(self.reason)).split())
        if len(reason) > _LONGEST_REASON:
            came = f"a reason has {len(reason)} characters"
            raise SettingError(came, f"at most {_LONGEST_REASON}", "shorten it")
        object.__setattr__(self, "reason", reason)
        if not self.date:
            present = datetime.now(timezone.utc)
            object.__setattr__(self, "date", present.strftime("%Y-%m-%dT%H:%M:%SZ"))

    @property
    def key(self) -> Key:
        """Which attempt was decided."""
        return self.index, self.attempt

    def to_row(self) -> str:
        """The row, with its line end."""
        mended = "yes" if self.mended else "no"
        numbers = (str(self.index), str(self.attempt))
        return _row(*numbers, self.file, self.decision, self.reason, mended, self.date)


def read_decisions(folder: Path) -> dict[Key, Decision]:
    """The last decision on each attempt; none where there is no ``review.csv``.

    Args:
        folder: of the manifest.

    Raises:
        DataError: the file cannot be read, is none of ours, or is damaged before its last row.
    """
    path = folder / REVIEW
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as reason:
        came = f"{path} cannot be read ({reason.strerror or reason})"
        raise DataError(came, "the decisions of a review") from reason
    decisions, _ = _parse(data, path)
    return {decision.key: decision for decision in decisions}


def mended_file(index: int, attempt: int) -> str:
    """Where a person's label of an attempt lies, relative to the manifest's folder."""
    return f"mended/{index:05d}_{attempt}_mask.png"


class DecisionLog:
    """Takes decisions and mended labels; a context manager. No other process may write meanwhile.

    Args:
        folder: of the manifest.

    Attributes:
        decisions: the last one on each attempt.

    Raises:
        OutputError: the folder cannot be written to, or another review is open. DataError: see
            :func:`read_decisions`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / REVIEW
        with ExitStack() as stack:
            stack.enter_context(locked(folder, REVIEW_LOCK))
            self.decisions: Mapping[Key, Decision] = self._open()
            self._lock = stack.pop_all()

    def _open(self) -> dict[Key, Decision]:
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
        except OSError as reason:
            raise unwritable(self.path, reason, _REMEDY) from reason
        rows, end = _parse(data, self.path)
        self._file = AppendedFile(self.path, end, _REMEDY)
        if not end:
            self._file.append(_row(*_COLUMNS).encode())
        elif data[end - 1 : end] != b"\n":
            self._file.append(b"\n")
        return {decision.key: decision for decision in rows}

    def add(self, decision: Decision) -> None:
        """Add a row and wait until it is on the disk. A full disk leaves the file as it was.

        Raises:
            OutputError: the disk is full, or the file has become unwritable.
        """
        self._file.append(decision.to_row().encode())
        self.decisions = {**self.decisions, decision.key: decision}

    def mend(self, decision: Decision, mask: Mask) -> None:
        """Write a person's label of an attempt, then the decision that names it.

        Args:
            decision: with ``mended`` set. mask: bool ``[H, W]``.

        Raises:
            OutputError: see :meth:`add`.
        """
        write_mask(self.folder / mended_file(*decision.key), mask)
        self.add(decision)

    def close(self) -> None:
        """Release the file; closing twice is harmless."""
        self._file.close()
        self._lock.close()

    def __enter__(self) -> DecisionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _row(*cells: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _parse(data: bytes, path: Path) -> tuple[list[Decision], int]:
    """The rows, and how many bytes the complete ones take. A last row without line end counts
    where nothing of it is missing: its date is whole."""
    expected = f"a {REVIEW} that bgdefect review wrote"
    lines = data.splitlines(keepends=True)
    if not lines:
        return [], 0
    header = lines[0]
    if tuple(_cells(header) or ()) != _COLUMNS:
        if header == data and _row(*_COLUMNS).encode().startswith(header):  # torn
            return [], 0
        came = f"{path} does not begin with {','.join(_COLUMNS)}"
        raise DataError(came, expected, "move it away")
    decisions: list[Decision] = []
    end = len(header)
    for number, line in enumerate(lines[1:], start=2):
        decision = _decision(_cells(line))
        if decision is None:
            if number == len(lines) and not line.endswith(b"\n"):  # torn
                break
            came = f"{path}, line {number} is damaged"
            raise DataError(came, expected, "remove this line, or move the file away")
        decisions.append(decision)
        end += len(line)
    return decisions, end


def _cells(line: bytes) -> list[str] | None:
    """The cells of one row; None where it is no text."""
    try:
        text = line.decode("utf-8-sig")
        (cells,) = csv.reader([text.rstrip("\r\n")], strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError):
        return None
    return cells


def _decision(cells: list[str] | None) -> Decision | None:
    """None where a cell is missing, unknown or cut short."""
    if cells is None or len(cells) != len(_COLUMNS):
        return None
    index, attempt, file, word, reason, mended, date = cells
    is_ours = index.isascii() and index.isdigit() and attempt.isascii() and attempt.isdigit()
    is_ours = is_ours and mended in ("yes", "no") and bool(_DATE.fullmatch(date))
    if not is_ours or len(index) > 9 or len(attempt) > 9:
        return None
    for known in get_args(Word):
        if word == known and len(reason) <= _LONGEST_REASON:
            return Decision(int(index), int(attempt), file, known, reason, mended == "yes", date)
    return None
