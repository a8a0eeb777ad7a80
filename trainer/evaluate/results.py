"""The results so far, and the files that hold them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from io import StringIO
from pathlib import Path
from typing import Any

from bgdefect_core.files import atomic_write

from .report.summary import SummaryRow, summarise
from .rows import Row, Skip
from .store import plain_json


@dataclass
class Results:
    """Everything that was measured so far."""

    skips: list[Skip]
    """What was not measured."""
    rows: list[Row] = field(default_factory=list)
    landscapes: dict[str, list[list[float]]] = field(default_factory=dict)
    """``CELL: ARM`` -> loss surface."""
    sample_lines: list[dict[str, Any]] = field(default_factory=list)
    """Figures of each sample."""
    strips: dict[str, bytes] = field(default_factory=dict)
    """Title -> PNG of generated samples."""
    maps: dict[str, Path] = field(default_factory=dict)
    """Title -> file of a detector's maps."""

    def write(self, folder: Path, record: Mapping[str, Any], base: str) -> None:
        """Write ``results.json``, ``results.csv``, ``summary.csv`` and ``samples.csv``. Times stand
        in the units alone: they never repeat.

        Args:
            record: the evaluation's settings. base: name of the base model.

        Raises:
            OutputError: the folder cannot be written to.
        """
        rows, summary = _as_dicts(self.rows), _as_dicts(summarise(self.rows))
        document = {
            "config": record,
            "base": base,
            "skipped": _as_dicts(self.skips),
            "rows": rows,
            "summary": summary,
            "landscapes": self.landscapes,
        }
        with atomic_write(folder / "results.json", "w") as file:
            json.dump(plain_json(document), file, indent=1, allow_nan=False)
            file.write("\n")
        _write_csv(folder / "results.csv", _columns(Row), rows)
        _write_csv(folder / "summary.csv", _columns(SummaryRow), summary)
        if self.sample_lines:
            columns: dict[str, None] = {}
            for line in self.sample_lines:
                columns |= dict.fromkeys(line)
            _write_csv(folder / "samples.csv", columns, self.sample_lines)


def _as_dicts(lines: Iterable[Row | SummaryRow | Skip]) -> list[dict[str, Any]]:
    return [asdict(line) for line in lines]


def _columns(row_type: type[Row] | type[SummaryRow]) -> list[str]:
    return [field.name for field in fields(row_type)]


def _write_csv(path: Path, columns: Iterable[str], lines: Sequence[dict[str, Any]]) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    with atomic_write(path, "w") as file:
        file.write(text.getvalue())
