"""What is at which address of the review's server. Pictures are named by sample and kind: no
address holds a path."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

from bgdefect_core.errors import BGDefectError, DataError
from bgdefect_core.pictures.decoding import is_plain_png
from bgdefect_core.pictures.mask_reading import read_label
from bgdefect_core.records.decisions import Word

from .crops import detail, png_of, thumbnail
from .document import SCRIPTS, STYLE, WEB, live_document
from .session import Session
from .shown import good_file, picture_of

_NEVER = "no-store"
_KEPT = "private, max-age=86400"
"""For pictures: the token in their address is another one in each session, and the page numbers the
labels that were mended."""


@dataclass(frozen=True)
class Answer:
    """What the server sends."""

    status: int
    kind: str
    """Content type."""
    body: bytes
    cache: str = _NEVER


def refused(status: int, text: str) -> Answer:
    """An answer that says why there is no other."""
    return Answer(status, "text/plain; charset=utf-8", text.encode(errors="replace"))


class Site:
    """Answers what comes after the token."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._thumbnail = lru_cache(maxsize=4096)(self._make_thumbnail)

    def get(self, place: str) -> Answer:
        """Answer a GET request.

        Args:
            place: the address after the token, without its query.
        """
        parts = unquote(place).split("/")
        try:
            if place == "":
                return Answer(200, "text/html; charset=utf-8", self._document().encode())
            if place in SCRIPTS:
                return Answer(200, "text/javascript; charset=utf-8", (WEB / place).read_bytes())
            if place == STYLE:
                return Answer(200, "text/css; charset=utf-8", (WEB / place).read_bytes())
            if place == "data.json":
                return _json(self._data())
            if len(parts) == 3:
                return self._of_sample(*parts)
        except (BGDefectError, OSError) as error:
            return refused(404, str(error))
        return refused(404, "there is nothing at this address")

    def post(self, place: str, body: bytes) -> Answer:
        """Answer a POST request: ``decide/RUN/NAME`` with JSON, or ``mend/RUN/NAME`` with a PNG."""
        parts = unquote(place).split("/")
        if len(parts) != 3 or not parts[1].isascii() or not parts[1].isdigit():
            return refused(404, "there is nothing at this address")
        what, run, name = parts[0], int(parts[1][:6]), parts[2]
        try:
            if what == "decide":
                return _json(self._session.decide(run, name, *_decision_in(body)))
            if what == "mend":
                return _json(self._session.mend(run, name, body))
        except BGDefectError as error:
            return refused(409, str(error))
        return refused(404, "there is nothing at this address")

    def _document(self) -> str:
        names = {f"{run.object} / {run.defect}" for run in self._session.runs}
        title = names.pop() if len(names) == 1 else self._session.root.resolve().name
        return live_document(title)

    def _data(self) -> dict[str, Any]:
        runs = [f"{run.object} / {run.defect}" for run in self._session.runs]
        return {"runs": runs, "rows": self._session.rows(), "readOnly": False}

    def _of_sample(self, kind: str, run: str, name: str) -> Answer:
        if not run.isascii() or not run.isdigit():
            raise DataError(f"there is no run {run!r}")
        line = self._session.line(int(run[:6]), name)
        if kind == "detail":
            return _json(detail(read_label(self._session.file(line.requested))))
        if kind == "thumbnail":
            label = self._session.file(line.label)
            return Answer(200, "image/png", self._thumbnail(int(run), name, _state(label)), _KEPT)
        files = {
            "result": line.file,
            "normal": good_file(self._session.root, line),
            "label": line.label,
            "requested": line.requested,
            "heat": line.heatmap,
        }
        file = files.get(kind)
        if file is None:
            raise DataError(f"this sample has no {kind}")
        path = self._session.file(file)
        if not is_plain_png(path):
            pixels = picture_of(self._session.root, line, file)
            return Answer(200, "image/png", png_of(pixels), _KEPT)
        return Answer(200, "image/png", path.read_bytes(), _KEPT)

    def _make_thumbnail(self, run: int, name: str, state: tuple[int, int]) -> bytes:
        line = self._session.line(run, name)
        self._session.file(line.file)  # refuses what leads out of the folder
        picture = picture_of(self._session.root, line, line.file)
        masks = (read_label(self._session.file(file)) for file in (line.requested, line.label))
        return thumbnail(picture, *masks)


def _state(path: Path) -> tuple[int, int]:
    """Another value where a file has changed."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _json(value: Any) -> Answer:
    return Answer(200, "application/json", json.dumps(value, allow_nan=False).encode())


def _decision_in(body: bytes) -> tuple[Word, str, bool]:
    """Decision, reason, and whether the mended label counts.

    Raises:
        DataError: something else.
    """
    try:
        document = json.loads(body)
        word, reason, mended = document["decision"], document["reason"], document["mended"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"the request is no decision ({error})") from error
    if word not in get_args(Word) or not isinstance(reason, str) or not isinstance(mended, bool):
        raise DataError("the request is no decision")
    return word, reason, mended
