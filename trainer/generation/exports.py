"""The accepted samples in the formats of other tools, beside the data set.

    ROOT/exports/OBJECT/DEFECT/FORMAT     as ``bgdefect data convert`` writes it
    ROOT/exports/OBJECT/DEFECT/exports.json   which samples each of them holds

A run that was extended gets further folders (FORMAT-2): nothing is overwritten.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.files import atomic_write
from bgdefect_core.records.dataset_place import EXPORTS
from bgdefect_core.records.run_record import file_digest

from ..data.formats import LabelledFile, write_formats
from ..data.gathering import divided, gather_generated

log = logging.getLogger(__name__)

_RECORD = "exports.json"
_OWN = "mvtec"
"""The format of the data set itself."""


def export_accepted(
    root: Path, object: str, defect: str, formats: Sequence[str], val_share: float, seed: int
) -> list[Path]:
    """Write the accepted samples and their good pictures in some formats.

    Args:
        root: of the data set. val_share: share of each class on the val side. seed: of the sides.

    Returns:
        The folders, of earlier exports of the same samples too.

    Raises:
        OutputError: a folder cannot be written. DataError: a record of exports that is none.
    """
    wanted = [name for name in dict.fromkeys(formats) if name != _OWN]
    if not wanted:
        return []
    place = root / EXPORTS / object / defect
    files = divided(gather_generated(root, object, defect), val_share, seed)
    digest = _digest(files)
    record = _read(place / _RECORD)
    folders: list[Path] = []
    for name in wanted:
        folder = _folder_of(place, name, record, digest)
        if not folder.exists():
            write_formats(files, [(name, folder)])
            record[folder.name] = digest
            with atomic_write(place / _RECORD, "w") as file:
                json.dump(record, file, indent=1)
        folders.append(folder)
    for folder in folders:
        log.info("%d pictures: %s", len(files), folder)
    return folders


def _folder_of(place: Path, name: str, record: dict[str, str], digest: str) -> Path:
    """The first of the folders FORMAT, FORMAT-2, ... that holds these samples or is not there."""
    folder = place / name
    number = 1
    while folder.exists() and record.get(folder.name) != digest:
        number += 1
        folder = place / f"{name}-{number}"
    return folder


def _digest(files: Sequence[LabelledFile]) -> str:
    """Of what is exported: names, sides, labels and how samples were made."""
    entries: list[object] = []
    for labelled in files:
        provenance = dict(labelled.provenance)
        labels: list[str] = []
        for example in labelled.examples:
            for mask in example.masks:
                labels.append(file_digest(mask, DataError, "a label"))
        entries.append((labelled.name, labelled.side, labelled.group, provenance, labels))
    text = json.dumps(entries, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in record.items()}
    except (OSError, ValueError, AttributeError, RecursionError) as reason:
        came = f"{path} is no record of exports ({reason!r})"
        raise DataError(came, "the record that this command wrote", "move it away") from reason
