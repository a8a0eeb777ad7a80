"""The manifest of a data set: one JSON line for each attempt, in a file that survives a kill at any
byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..errors import DataError, SettingError
from ..files import AppendedFile, unwritable, write_file
from ..pictures.writing import ENDINGS
from .decisions import Decision, Key, mended_file, read_decisions

__all__ = [
    "JOURNAL",
    "WHITE",
    "Manifest",
    "ManifestLine",
    "Reviewed",
    "good_copy",
    "painted_file",
    "read_manifest",
    "recorded_lines",
    "standing_line",
]

JOURNAL = "apply.json"
"""What an interrupted ``bgdefect review --apply`` left, beside the manifest."""


Reviewed = dict[str, Any]
"""What an applied review says of an attempt: "decision", "reason", "date"; "accepted", what the
verdict had said; "mended_sha256", the file of a person's label, where there is one."""

WHITE = "white"
"""Entry of ``made_with``: white level of 16-bit pictures."""


@dataclass(frozen=True)
class ManifestLine:
    """The record of one attempt at one sample. Entries that are None are left out of the file."""

    index: int
    """Number of the sample."""
    attempt: int
    """0 upwards."""
    accepted: bool
    verdict: str
    file: str
    """The sample's picture, relative to the data set; so are the following files."""
    label: str
    """The refined mask."""
    requested: str
    """The requested mask."""
    source: str
    """Absolute path of the good picture."""
    source_sha256: str
    mask_origin: dict[str, Any]
    """Where the requested mask came from."""
    seed: int
    quality: dict[str, float]
    settings: dict[str, Any]
    """Of the run: everything that decides what its samples look like."""
    heatmap: str | None = None
    guidance: float | None = None
    feather: float | None = None
    """Width of the seam in pixels."""
    start: dict[str, Any] | None = None
    """Where the sample started: "kind" (noise, real, paste), and for the latter two "level", and
    "exemplar" and "file", the name of the real defect's mask and its file."""
    made_with: dict[str, Any] | None = None
    """What else a repetition needs: paths and versions, and ``WHITE``."""
    review: Reviewed | None = None
    """A person's decision: in the file once it is applied, in what stands at once."""

    @property
    def key(self) -> Key:
        """Index and attempt."""
        return self.index, self.attempt

    @property
    def accepted_by_verdict(self) -> bool:
        """What was said of it before a person looked."""
        return self.accepted if self.review is None else bool(self.review["accepted"])

    @property
    def files(self) -> list[str]:
        """The attempt's files, relative to the data set."""
        paths = [self.file, self.label, self.requested]
        return paths if self.heatmap is None else [*paths, self.heatmap]

    @property
    def white(self) -> int | None:
        """White level of the run's pictures; None: it is not known, or they have 8 bits."""
        white = (self.made_with or {}).get(WHITE)
        return white if isinstance(white, int) and not isinstance(white, bool) else None

    @property
    def good_stem(self) -> str:
        """Name of the good picture's copy in the data set's ``train/good``, without ending."""
        return self.source_sha256[:16]

    def good_file(self, root: Path) -> str:
        """The good picture's copy, relative to the data set. It stands there once: where runs write
        different formats, in that of the first.

        Args:
            root: of the data set.
        """
        object = Path(self.requested).parts[1]
        return good_copy(root, object, self.good_stem, Path(self.file).suffix)

    def to_json(self) -> str:
        """The line.

        Raises:
            SettingError: an entry is not plain JSON.
        """
        entries = {name: value for name, value in asdict(self).items() if value is not None}
        try:
            return json.dumps(entries, allow_nan=False)
        except (TypeError, ValueError) as reason:
            came = f"a record cannot be written ({reason})"
            raise SettingError(came, "plain JSON values") from reason


_TYPES: dict[str, Any] = {
    "index": int,
    "attempt": int,
    "accepted": bool,
    "mask_origin": dict,
    "seed": int,
    "quality": dict,
    "settings": dict,
    "heatmap": (str, type(None)),
    "guidance": (int, float, type(None)),
    "feather": (int, float, type(None)),
    "start": (dict, type(None)),
    "made_with": (dict, type(None)),
    "review": (dict, type(None)),
}
"""Types of the entries that are not text."""


def good_copy(root: Path, object: str, stem: str, ending: str) -> str:
    """Where the copy of a good picture lies, relative to the data set, or is to be written.

    Args:
        root: of the data set. stem: of its name. ending: of the files that the run writes.
    """
    folder = f"{object}/train/good"
    for other in ENDINGS.values():
        if (root / folder / f"{stem}{other}").is_file():
            return f"{folder}/{stem}{other}"
    return f"{folder}/{stem}{ending}"


def read_manifest(path: str | Path) -> list[ManifestLine]:
    """What stands of a run: the lines of ``manifest.jsonl``, oldest attempt first, after the
    decisions of the review beside it, applied or not. A sample that a person rejected is not
    accepted here. A torn last line, left by a killed run, is passed over.

    Raises:
        DataError: missing, or damaged elsewhere than in its last line; decisions that cannot be
            read, or that are being applied.
    """
    path = Path(path)
    lines = recorded_lines(path)
    if (path.parent / JOURNAL).exists():
        came = f"the decisions in {path.parent} were being applied when that was stopped"
        raise DataError(came, "", "run bgdefect review FOLDER --apply, which finishes it")
    decisions = read_decisions(path.parent)
    return [standing_line(line, decisions.get(line.key)) for line in lines]


def recorded_lines(path: Path) -> list[ManifestLine]:
    """The lines as they stand in the file: where the files lie, whatever was decided since.

    Raises:
        DataError: missing, or damaged elsewhere than in its last line.
    """
    try:
        return _parse(path.read_bytes(), path)[0]
    except OSError as reason:
        came = f"{path} cannot be read ({reason.strerror or reason})"
        raise DataError(came, "a manifest.jsonl") from reason


def standing_line(line: ManifestLine, decision: Decision | None) -> ManifestLine:
    """The line as a person decided: accepted or not, with the label that counts. Files are named
    where they lie at present.

    Args:
        decision: the last one on this attempt; None: as the verdict says.
    """
    by_verdict = line.accepted_by_verdict
    label = line.label
    if line.review is not None and "mended_sha256" in line.review:
        label = (_folder(line) / painted_file(*line.key)).as_posix()
    if decision is None or (decision.decision == "undecided" and not decision.mended):
        return replace(line, accepted=by_verdict, label=label, review=None)
    accepted = by_verdict if decision.decision == "undecided" else decision.decision == "accept"
    if decision.mended:
        label = (_folder(line) / mended_file(*line.key)).as_posix()
    review: Reviewed = {
        "decision": decision.decision,
        "reason": decision.reason,
        "date": decision.date,
        "accepted": by_verdict,
    }
    return replace(line, accepted=accepted, label=label, review=review)


def _folder(line: ManifestLine) -> Path:
    """The manifest's folder, relative to the data set."""
    return Path(line.requested).parent.parent


def painted_file(index: int, attempt: int) -> str:
    """Where the label that was painted lies, relative to the manifest's folder, once a person's
    has taken its place."""
    return f"painted/{index:05d}_{attempt}_mask.png"


class Manifest:
    """The manifest of a run that is being written. Its writer holds the folder's lock. The lines
    stay in the file alone, so that memory does not grow with them.

    Args:
        path: the file; its folder exists. end: bytes that its complete lines take.

    Raises:
        OutputError: cannot be written to.
    """

    def __init__(self, path: Path, end: int) -> None:
        self._path, self._file = path, AppendedFile(path, end)

    @classmethod
    def open(
        cls, path: Path, wanted: Callable[[ManifestLine], bool]
    ) -> tuple[Manifest, list[ManifestLine]]:
        """A manifest, to be gone on with or begun, and the lines that stand in it.

        Args:
            path: the file; its folder exists.
            wanted: which of the old lines to keep; the others are dropped from the file.

        Raises:
            OutputError: cannot be written to. DataError: damaged within.
        """
        try:
            lines, end = _parse(path.read_bytes(), path) if path.exists() else ([], 0)
        except OSError as reason:
            raise unwritable(path, reason) from reason
        wanted_lines = [line for line in lines if wanted(line)]
        if len(wanted_lines) < len(lines):
            data = "".join(f"{line.to_json()}\n" for line in wanted_lines).encode()
            write_file(path, data)
            end = len(data)
        return cls(path, end), wanted_lines

    def append(self, line: ManifestLine) -> ManifestLine:
        """Add one line and wait until it is on the disk. A full disk leaves the file as it was.

        Returns:
            The line as it is read back.

        Raises:
            SettingError: an entry is not plain JSON. OutputError: the disk is full.
        """
        data = f"{line.to_json()}\n".encode()
        self._file.append(data)
        return ManifestLine(**json.loads(data))

    def read(self) -> list[ManifestLine]:
        """All lines, oldest first, from the file.

        Raises:
            DataError: the file has been damaged since.
        """
        return _parse(self._file.read(), self._path)[0]

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()


def _parse(data: bytes, path: Path) -> tuple[list[ManifestLine], int]:
    """The lines, and how many bytes the complete ones take."""
    end = data.rfind(b"\n") + 1
    lines: list[ManifestLine] = []
    for number, text in enumerate(data[:end].splitlines(), start=1):
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as reason:
            came = f"{path}, line {number} is damaged"
            raise DataError(came, "JSON", "choose another output folder") from reason
        line = _line_of(entries)
        if line is None:
            came = f"{path}, line {number} is no sample's record"
            raise DataError(came, "", "choose another output folder")
        lines.append(_sharing(line, lines[-1] if lines else None))
    return lines, end


def _sharing(line: ManifestLine, before: ManifestLine | None) -> ManifestLine:
    """The line with what all lines of a run say held in memory once."""
    if before is None or line.settings != before.settings or line.made_with != before.made_with:
        return line
    return replace(line, settings=before.settings, made_with=before.made_with)


def _line_of(entries: Any) -> ManifestLine | None:
    """None where an entry is missing, unknown or of another type."""
    if not isinstance(entries, dict):
        return None
    try:
        line = ManifestLine(**entries)
    except TypeError:
        return None
    for field in fields(ManifestLine):
        if not isinstance(getattr(line, field.name), _TYPES.get(field.name, str)):
            return None
    if line.review is not None and not isinstance(line.review.get("accepted"), bool):
        return None
    return line
