"""A painted shard that its worker writes to a store: files first, then the shard's part of the
manifest, by which it counts.

    URL/extras/OBJECT/DEFECT/parts/00003-00000.jsonl    lines of shard 3, with no attempt before

The files are those of ``bgdefect generate``, and the same wherever and how often it is tried.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from bgdefect_core.pictures.writing import ImageFormat
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.manifest import ManifestLine
from bgdefect_core.records.sample import Sample

from .data_store import DataStore
from .shards import PackedChunk
from .tasks import Parts

__all__ = ["DataSetPlace", "ShardWriter"]


@dataclass(frozen=True)
class DataSetPlace:
    """The data set of one class in a store."""

    url: str
    object: str
    defect: str

    @property
    def store(self) -> DataStore:
        """The store."""
        return DataStore(self.url)

    @property
    def extras(self) -> str:
        """Folder of the manifest, relative to the data set."""
        return extras_folder(Path(), self.object, self.defect).as_posix()

    @property
    def good_files(self) -> list[str]:
        """The copies of good pictures that the store holds, relative to the data set."""
        return self.store.names(f"{self.object}/train/good")

    @property
    def parts(self) -> str:
        """Folder of the parts of the manifest."""
        return f"{self.extras}/parts"


class ShardWriter:
    """Takes the samples of a shard and uploads them together.

    Args:
        order: of the painting. chunk: what is painted. good: the good pictures' tree.
        scratch: a folder of this task; it is emptied. image_format: of the samples.
    """

    def __init__(
        self,
        order: Mapping[str, Any],
        chunk: PackedChunk,
        good: Path,
        scratch: Path,
        image_format: ImageFormat,
    ) -> None:
        target = order["data_set"]
        self._place = DataSetPlace(target["url"], target["object"], target["defect"])
        self._part = f"{self._place.parts}/{target['part']}.jsonl"
        self._sources: dict[Path, Path] = {}
        """Good picture as the head knows it -> as this worker has it."""
        for pair in chunk.pairs:
            self._sources[pair.source] = good / pair.picture
        shutil.rmtree(scratch, ignore_errors=True)
        self._root = scratch
        self._lines: list[ManifestLine] = []
        self._writer = DatasetWriter(
            scratch,
            self._place.object,
            self._place.defect,
            target["settings"],
            made_with=target["made_with"],
            white=target["white"],
            image_format=image_format,
        )

    def add(self, sample: Sample) -> None:
        """Write one attempt on this machine."""
        source = sample.facts.source
        here = replace(sample.facts, source=self._sources[source])
        line = self._writer.add(replace(sample, facts=here))
        self._lines.append(replace(line, source=str(source)))

    def upload(self) -> Parts:
        """Copy everything to the store.

        Returns:
            ``lines``: the part of the manifest.

        Raises:
            OutputError: the store cannot be written to.
        """
        self._writer.close()
        store = self._place.store
        goods = (self._root / self._place.object / "train" / "good").glob("*.*")
        there = {PurePosixPath(name).stem for name in self._place.good_files}
        names: list[str] = []
        for path in sorted(goods):
            if path.stem not in there:  # of this class, or of one in another format
                names.append(path.relative_to(self._root).as_posix())
        for line in self._lines:
            names += line.files
        for name in names:
            store.write(name, (self._root / name).read_bytes())
        text = "".join(f"{line.to_json()}\n" for line in self._lines).encode()
        store.write(self._part, text)
        shutil.rmtree(self._root, ignore_errors=True)
        return {"lines": text}
