"""The generated data set on disk: MVTec AD's layout, and a record of every attempt.

    ROOT/OBJECT/train/good/*.png                      the good pictures that defects were painted into, once each
    ROOT/OBJECT/test/DEFECT/00000.png                 the accepted samples
    ROOT/OBJECT/ground_truth/DEFECT/00000_mask.png    their labels: the refined masks
    ROOT/extras/OBJECT/DEFECT/run.json                the run's settings, and its inputs by their content
    ROOT/extras/OBJECT/DEFECT/manifest.jsonl          one line an attempt, accepted or not
    ROOT/extras/OBJECT/DEFECT/{requested,heatmap}/00000.png
    ROOT/extras/OBJECT/DEFECT/rejected/00000_0.png    attempt 0 of sample 0, with 00000_0_{mask,requested,heatmap}.png

The extras stand outside OBJECT because anomalib takes every PNG below that folder for a sample or a
mask, and pairs the two lists by order. Several defects of one object may share a ROOT, each with
its own run.

An attempt is real once its manifest line is: its files are complete before the line is written. A
    run killed at any
moment therefore continues where the manifest ends: files without a line are removed, lines without
    files are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import MaskError, PictureError, SettingError
from ..files import atomic_write
from ..paths import system_errors
from ..pictures.files import Picture, read_picture, write_mask, write_picture
from ..pictures.masks import Mask
from .dataset_place import (
    KINDS,
    MAX_INDEX,
    check_place,
    extras_folder,
    is_complete,
    run_record,
)
from .manifest import Manifest, read_manifest
from .run_record import Inputs, file_digest, locked

__all__ = ["DatasetWriter", "Sample", "read_manifest"]

_OUR_FILE = re.compile(r"\.?\d{5}(_\d+)?(_mask|_requested|_heatmap)?\.png(\.tmp)?")


@dataclass(frozen=True)
class Sample:
    """One attempt at one sample.

    Attributes:
        index: 0 to 99,999; attempt: 0 upwards, the retries of this index.
        picture: uint8 [H, W, 3]. mask: bool [H, W], the refined mask, which is the label.
            requested: bool [H, W].
        heatmap: float [H, W] in 0..1, or None.
        source: the good picture's file. mask_origin: where the requested mask came from (plain
            JSON).
        seed, guidance: of this attempt. feather: width of its seam in pixels.
        quality: figures (plain JSON). verdict: in words. accepted: what it comes to.
    """

    index: int
    attempt: int
    picture: Picture
    mask: Mask
    requested: Mask
    heatmap: NDArray[np.floating[Any]] | None
    source: Path
    mask_origin: Any
    seed: int
    quality: Mapping[str, Any]
    verdict: str
    accepted: bool
    guidance: float | None = None
    feather: float | None = None


class DatasetWriter:
    """Writes the samples of one run; a context manager.

    Args:
        root: the data set's folder; made where it is missing.
        object, defect: folder names.
        settings: everything that decides what the samples look like (plain JSON); goes into every
            manifest line.
        inputs: the files that it is made from; changed ones are refused. Kept in run.json.
        made_with: what else a repetition needs, but no other run makes (paths, versions); goes into
            every line as it is now.

    Attributes:
        records: the manifest's lines, oldest first: index, attempt, accepted, verdict, seed,
            source, source_sha256, guidance and feather (where they are known), mask_origin,
            quality, file (and label, requested, heatmap) relative to root, settings, made_with
            (where it is given).

    Raises:
        SettingError: a name that is no folder name; settings that are not JSON.
        OutputError: root is a file, cannot be written to, holds other pictures or another run, or
            is in use.
    """

    def __init__(
        self,
        root: str | Path,
        object: str,
        defect: str,
        settings: Mapping[str, Any],
        inputs: Inputs | None = None,
        made_with: Mapping[str, Any] | None = None,
    ) -> None:
        self.root, self.object, self.defect = Path(root), object, defect
        self.extras = extras_folder(root, object, defect)
        self._test = self.root / object / "test" / defect
        self._labels = self.root / object / "ground_truth" / defect
        self._made_with = made_with
        self._sources: dict[Path, str] = {}
        run = run_record(root, object, defect, settings, inputs)
        self._settings = run.settings
        check_place(self.root, object, defect, run)  # before the lock, which writes a file
        with ExitStack() as stack:
            stack.enter_context(locked(self.extras))
            check_place(self.root, object, defect, run)
            run.write(object=object, defect=defect)
            self._manifest = Manifest(
                self.extras / "manifest.jsonl", lambda record: is_complete(self.root, record)
            )
            self._lock = stack.pop_all()
        self._by_index: dict[int, list[dict[str, Any]]] = {}
        for record in self.records:
            self._by_index.setdefault(record["index"], []).append(record)
        self._sweep()

    @property
    def records(self) -> list[dict[str, Any]]:
        return self._manifest.records

    def attempts(self, index: int) -> list[dict[str, Any]]:
        """The records of one sample, in the order of writing; empty where it is still to be
        made."""
        return list(self._by_index.get(index, ()))

    def add(self, sample: Sample) -> dict[str, Any]:
        """Write one attempt: its files first, then its manifest line.

        Returns:
            The record, as it stands in the manifest.

        Raises:
            SettingError: an index out of range, or one that is already written. MaskError,
                PictureError: sizes that
            differ, or an accepted sample without label. OutputError: the disk is full, or root has
                become unwritable.
        """
        self._check(sample)
        name = f"{sample.index:05d}"
        if sample.accepted:
            files = {
                "file": self._test / f"{name}.png",
                "label": self._labels / f"{name}_mask.png",
                "requested": self.extras / "requested" / f"{name}.png",
                "heatmap": self.extras / "heatmap" / f"{name}.png",
            }
        else:
            rejected = self.extras / "rejected" / f"{name}_{sample.attempt}"
            files = {"file": rejected.with_name(f"{rejected.name}.png")} | {
                kind: rejected.with_name(f"{rejected.name}_{end}.png")
                for kind, end in (
                    ("label", "mask"),
                    ("requested", "requested"),
                    ("heatmap", "heatmap"),
                )
            }
        digest = self._add_source(sample.source)
        write_picture(files["file"], sample.picture)
        write_mask(files["label"], sample.mask)
        write_mask(files["requested"], sample.requested)
        if sample.heatmap is None:
            del files["heatmap"]
        else:
            write_picture(
                files["heatmap"], np.round(np.clip(sample.heatmap, 0, 1) * 255).astype(np.uint8)
            )
        record = {
            "index": sample.index,
            "attempt": sample.attempt,
            "accepted": sample.accepted,
            "verdict": sample.verdict,
            **{kind: path.relative_to(self.root).as_posix() for kind, path in files.items()},
            "source": str(sample.source),
            "source_sha256": digest,
            "mask_origin": sample.mask_origin,
            "seed": sample.seed,
            "quality": dict(sample.quality),
            "settings": self._settings,
        }
        record |= {
            name: value
            for name, value in (("guidance", sample.guidance), ("feather", sample.feather))
            if value is not None
        }
        if self._made_with is not None:
            record["made_with"] = dict(self._made_with)
        record = self._manifest.append(record)
        self._by_index.setdefault(sample.index, []).append(record)
        return record

    def close(self) -> None:
        """Give the folder back; another process may continue the run."""
        self._manifest.close()
        self._lock.close()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _sweep(self) -> None:
        """Remove what a killed run left: files of our own naming that no line lists."""
        listed = {record[kind] for record in self.records for kind in KINDS if kind in record}
        ours = [self.extras / kind for kind in ("requested", "heatmap", "rejected")]
        for folder in (self._test, self._labels, *ours):
            for path in folder.glob("*.*"):
                if (
                    _OUR_FILE.fullmatch(path.name)
                    and path.relative_to(self.root).as_posix() not in listed
                ):
                    path.unlink(missing_ok=True)

    def _check(self, sample: Sample) -> None:
        if not 0 <= sample.index <= MAX_INDEX:
            raise SettingError(
                f"a sample has the index {sample.index}",
                f"0 to {MAX_INDEX}",
                "write a second data set",
            )
        before = self.attempts(sample.index)
        if any(record["attempt"] == sample.attempt for record in before):
            raise SettingError(
                f"sample {sample.index}, attempt {sample.attempt} is written already", "", "skip it"
            )
        if sample.accepted and any(record["accepted"] for record in before):
            raise SettingError(f"sample {sample.index} is accepted already", "", "skip it")
        size = sample.picture.shape[:2]
        for what, array in (
            ("mask", sample.mask),
            ("requested mask", sample.requested),
            ("heat map", sample.heatmap),
        ):
            if array is not None and array.shape != size:
                raise MaskError(
                    f"sample {sample.index}: {what} of shape {array.shape}",
                    f"{size}, as its picture",
                )
        if sample.accepted and not sample.mask.any():
            raise MaskError(
                f"sample {sample.index} is accepted, but its label is empty", "", "reject it"
            )

    def _add_source(self, source: Path) -> str:
        """Copy a good picture into train/good once, named by its content; returns the file's
        SHA-256."""
        if source not in self._sources:
            digest = file_digest(source, PictureError, "the good picture")
            target = self.root / self.object / "train" / "good" / f"{digest[:16]}.png"
            if not target.exists():
                if _is_plain_png(source):
                    with system_errors(PictureError, "the good picture"):
                        content = source.read_bytes()
                    with atomic_write(target) as file:
                        file.write(content)
                else:
                    write_picture(target, read_picture(source))
            self._sources[source] = digest
        return self._sources[source]


def _is_plain_png(path: Path) -> bool:
    """Whether anomalib would read this very file as our reader does: 8 bits, RGB or gray,
    upright."""
    try:
        with Image.open(path) as image:
            upright = image.getexif().get(0x0112, 1) == 1
            return (
                image.format == "PNG"
                and image.mode in ("RGB", "L")
                and upright
                and "transparency" not in image.info
            )
    except (OSError, SyntaxError, ValueError) as reason:
        raise PictureError(f"{path} cannot be read ({reason})") from reason
