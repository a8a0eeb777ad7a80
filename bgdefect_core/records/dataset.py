"""The generated data set on disk: MVTec AD's layout, and a record of every attempt.

    ROOT/OBJECT/train/good/*.png                    good pictures that were painted into, once each,
                                                    whatever format a later run writes
    ROOT/OBJECT/test/DEFECT/00000.png               accepted samples (with tiff: 00000.tif, and so
                                                    all good pictures and rejected samples)
    ROOT/OBJECT/ground_truth/DEFECT/00000_mask.png  their labels: the refined masks
    ROOT/extras/OBJECT/DEFECT/run.json              the run's settings and inputs
    ROOT/extras/OBJECT/DEFECT/manifest.jsonl        one line for each attempt
    ROOT/extras/OBJECT/DEFECT/{requested,heatmap}/00000.png
    ROOT/extras/OBJECT/DEFECT/rejected/00000_0.png  attempt 0 of sample 0, with
                                                    00000_0_{mask,requested,heatmap}.png
    ROOT/extras/OBJECT/DEFECT/review.csv            what a person decided (``decisions.py``), with
                                                    {mended,painted}/00000_0_mask.png

The extras stand outside OBJECT because anomalib takes every PNG below that folder for a sample or a
mask, and pairs the two lists by order. Several defects of one object may share a ROOT, each with
its own run.

An attempt counts once its manifest line is written, after its files. A run that was killed at any
moment therefore continues where the manifest ends: files without a line are removed, lines without
files are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import PictureError, SettingError
from ..files import write_file
from ..paths import system_errors
from ..pictures.decoding import is_plain_png
from ..pictures.reading import load_picture
from ..pictures.writing import ENDINGS, ImageFormat, write_picture
from .apply_decisions import finish_apply
from .dataset_place import (
    MAX_INDEX,
    accepted_files,
    check_place,
    extras_folder,
    is_complete,
    rejected_files,
    run_record,
)
from .decisions import read_decisions
from .manifest import WHITE, Manifest, ManifestLine, good_copy, standing_line
from .run_record import Inputs, file_digest, locked
from .sample import EncodedSample, Sample, SampleFacts, encode_sample

_OUR_FILE = re.compile(r"\.?\d{5}(_\d+)?((_mask|_requested|_heatmap)?\.png|\.tif)(\.tmp)?")


class DatasetWriter:
    """Writes the samples of one run; a context manager.

    Args:
        root: the data set's folder; made where it is missing.
        object, defect: folder names.
        settings: everything that decides what the samples look like, as plain JSON. Stored in every
            manifest line.
        inputs: what the run is made from. Changed inputs are refused.
        made_with: what else a repetition needs (paths, versions). Stored in every manifest line.
        white: white level of the good pictures (``reading.white_level``). Stored in every manifest
            line.
        image_format: of samples and good pictures.

    Raises:
        SettingError: a name that cannot be a folder, or settings that are not plain JSON.
        OtherRunError: root holds a run with other settings or inputs.
        OutputError: root is a file, cannot be written to, holds other pictures, or is in use.
    """

    def __init__(
        self,
        root: str | Path,
        object: str,
        defect: str,
        settings: Mapping[str, Any],
        inputs: Inputs | None = None,
        made_with: Mapping[str, Any] | None = None,
        white: int | None = None,
        image_format: ImageFormat = "png",
    ) -> None:
        self.root, self.object, self.defect = Path(root), object, defect
        self.extras = extras_folder(root, object, defect)
        self._white = white
        self._image_format: ImageFormat = image_format
        self._test = self.root / object / "test" / defect
        self._labels = self.root / object / "ground_truth" / defect
        self._made_with = None if made_with is None else dict(made_with)
        if white is not None:
            self._made_with = {**(made_with or {}), WHITE: white}
        run = run_record(root, object, defect, settings, inputs)
        self._settings = dict(run.settings)
        check_place(self.root, object, defect, run)  # before the lock, which writes a file
        with ExitStack() as stack:
            stack.enter_context(locked(self.extras))
            check_place(self.root, object, defect, run)
            run.write(object=object, defect=defect)
            finish_apply(self.root, self.extras)
            decisions = read_decisions(self.extras)
            path = self.extras / "manifest.jsonl"
            self._manifest, lines = Manifest.open(path, lambda line: is_complete(self.root, line))
            self._lock = stack.pop_all()
        self._decisions = decisions
        self._attempts: dict[int, list[int]] = {}
        self._accepted: set[int] = set()
        for line in lines:
            self._count(line)
        self._sweep(lines)

    @property
    def records(self) -> list[ManifestLine]:
        """The manifest's lines, oldest first, read from its file."""
        return self._manifest.read()

    @property
    def standing(self) -> list[ManifestLine]:
        """The lines after the decisions of a review, as :func:`.manifest.read_manifest`
        reads them."""
        lines: list[ManifestLine] = []
        for line in self.records:
            lines.append(standing_line(line, self._decisions.get(line.key)))
        return lines

    @property
    def next_index(self) -> int:
        """The number after the highest of a sample."""
        return max(self._attempts, default=-1) + 1

    def attempts(self, index: int) -> list[int]:
        """The numbers of the attempts at one sample in the order of writing."""
        return list(self._attempts.get(index, ()))

    def add(self, sample: Sample) -> ManifestLine:
        """Write one attempt: its files first, then its manifest line.

        Returns:
            The line, as it stands in the manifest.

        Raises:
            MaskError, PictureError: sizes that differ, or an accepted sample without label. And as
            :meth:`add_encoded`.
        """
        self._check(sample.facts)
        return self._write(encode_sample(sample, self._image_format))

    def add_encoded(self, sample: EncodedSample) -> ManifestLine:
        """Write one attempt whose pictures are encoded already, as :meth:`add` does.

        Raises:
            SettingError: an index out of range, or an attempt that is already written.
            PictureError: the good picture cannot be read. OutputError: the disk is full, or root
            has become unwritable.
        """
        self._check(sample.facts)
        return self._write(sample)

    def _write(self, sample: EncodedSample) -> ManifestLine:
        facts, names = sample.facts, (self.object, self.defect)
        ending = ENDINGS[self._image_format]
        if facts.accepted:
            files = accepted_files(*names, facts.index, ending)
        else:
            files = rejected_files(*names, facts.index, facts.attempt, ending)
        if facts.source_is_good:
            digest = self._add_source(facts.source)
        else:
            digest = file_digest(facts.source, PictureError, "the picture")
        write_file(self.root / files.file, sample.picture)
        write_file(self.root / files.label, sample.mask)
        write_file(self.root / files.requested, sample.requested)
        if sample.heatmap is not None:
            write_file(self.root / files.heatmap, sample.heatmap)
        line = ManifestLine(
            index=facts.index,
            attempt=facts.attempt,
            accepted=facts.accepted,
            verdict=facts.verdict,
            file=files.file,
            label=files.label,
            requested=files.requested,
            heatmap=None if sample.heatmap is None else files.heatmap,
            source=str(facts.source),
            source_sha256=digest,
            mask_origin=facts.mask_origin,
            seed=facts.seed,
            quality=facts.quality,
            settings=self._settings,
            guidance=facts.guidance,
            feather=facts.feather,
            start=facts.start,
            made_with=self._made_with,
        )
        line = self._manifest.append(line)
        self._count(line)
        return line

    def _count(self, line: ManifestLine) -> None:
        self._attempts.setdefault(line.index, []).append(line.attempt)
        if line.accepted:
            self._accepted.add(line.index)

    def close(self) -> None:
        """Release the folder; another process may continue the run."""
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

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _sweep(self, lines: Iterable[ManifestLine]) -> None:
        """Remove what a killed run left: files with names of ours that no line lists."""
        listed: set[str] = set()
        for line in lines:
            listed.update(line.files)
        extras = [self.extras / kind for kind in ("requested", "heatmap", "rejected")]
        for folder in (self._test, self._labels, *extras):
            for path in folder.glob("*.*"):
                if _OUR_FILE.fullmatch(path.name) and self._relative(path) not in listed:
                    path.unlink(missing_ok=True)

    def _check(self, facts: SampleFacts) -> None:
        name = f"sample {facts.index}"
        if not 0 <= facts.index <= MAX_INDEX:
            came = f"a sample has the index {facts.index}"
            raise SettingError(came, f"0 to {MAX_INDEX}", "write a second data set")
        if facts.attempt in self.attempts(facts.index):
            came = f"{name}, attempt {facts.attempt} is written already"
            raise SettingError(came, "", "skip it")
        if facts.accepted and facts.index in self._accepted:
            raise SettingError(f"{name} is accepted already", "", "skip it")

    def _add_source(self, source: Path) -> str:
        """Copy a good picture into train/good once, named by its content; returns the file's
        SHA-256."""
        digest = file_digest(source, PictureError, "the good picture")
        ending = ENDINGS[self._image_format]
        target = self.root / good_copy(self.root, self.object, digest[:16], ending)
        if target.exists():
            return digest
        if self._image_format == "png" and is_plain_png(source):
            with system_errors(PictureError, "the good picture"):
                content = source.read_bytes()
            write_file(target, content)
        else:
            write_picture(target, load_picture(source, self._white), self._image_format)
        return digest
