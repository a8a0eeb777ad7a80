"""The task that ends a class whose samples workers have written to a store: its manifest of all
parts, its page, and its samples in other formats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from bgdefect_core.files import write_file
from bgdefect_core.records.manifest import read_manifest

from ..generation.generate import conclude
from ..generation.summary import Summary, summarise
from .shard_writing import DataSetPlace
from .tasks import Parts
from .typed import GENERATION, with_values
from .worker import Worker

__all__ = ["assemble", "merged_lines", "summary_figures"]


def assemble(worker: Worker, order: Mapping[str, Any]) -> Parts:
    """Merge the parts of the manifest, and write what ``bgdefect generate`` writes at its end.

    Returns:
        ``figures``: counts and the page, as JSON.

    Raises:
        OutputError: the store, or the disk for a copy of the class, cannot be used.
    """
    place = DataSetPlace(**order["data_set"])
    store, config = place.store, with_values("the order", GENERATION, order["generate"])
    root = worker.scratch(order["scratch"])
    shutil.rmtree(root, ignore_errors=True)
    manifest = f"{place.extras}/manifest.jsonl"
    texts = merged_lines(place)
    write_file(root / manifest, "".join(f"{text}\n" for text in texts.values()).encode())
    lines = read_manifest(root / manifest)
    names: dict[str, None] = {}
    for line in lines:
        names.update(dict.fromkeys(line.files))
    stems = {line.good_stem for line in lines}
    for name in place.good_files:
        if PurePosixPath(name).stem in stems:
            names[name] = None
    store.copy_to(root, names)
    summary = summarise(
        root, order["wanted"], lines, order["without_mask"], tuple(order["left_out"])
    )
    summary = conclude(config, place.object, place.defect, summary)
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and name not in names:
            store.write(name, path.read_bytes())
    store.remove(store.names(place.parts))
    figures = summary_figures(summary)
    if summary.page is not None:
        figures["page"] = f"{place.url}/{place.extras}/{summary.page.name}"
    shutil.rmtree(root, ignore_errors=True)
    return {"figures": json.dumps(figures).encode()}


def merged_lines(place: DataSetPlace) -> dict[tuple[int, int], str]:
    """Index and attempt -> line, in the order in which the head would have written them: of the
    manifest that is there, then of the parts."""
    store = place.store
    names = [name for name in store.names(place.extras) if name.endswith("/manifest.jsonl")]
    texts: dict[tuple[int, int], str] = {}
    for name in [*names, *store.names(place.parts)]:
        for text in store.read(name).decode().splitlines():
            entry = json.loads(text)
            texts.setdefault((entry["index"], entry["attempt"]), text)
    return texts


def summary_figures(summary: Summary) -> dict[str, Any]:
    """What is told of a finished class: how many samples, and its page."""
    page = "" if summary.page is None else str(summary.page)
    return {
        "accepted": summary.accepted,
        "rejected": len(summary.rejected),
        "unmade": summary.unmade,
        "page": page,
    }
