"""The choices of a run beside its manifest: a resumed run need not look for them again.

    ROOT/extras/OBJECT/DEFECT/pairs.jsonl    first a line for the run, then one for each pair

Losing the file costs time only: choices follow from the seed and the inputs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bgdefect_core.errors import OutputError
from bgdefect_core.files import atomic_write
from bgdefect_core.paths import system_errors
from bgdefect_core.placement.choice import PairChoice
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.run_record import settings_digest


class ChoiceFile:
    """The choices of one run.

    Args:
        root: of the data set. object, defect: names in it. settings: of the run.
    """

    def __init__(self, root: Path, object: str, defect: str, settings: Mapping[str, Any]) -> None:
        self.path = extras_folder(root, object, defect) / "pairs.jsonl"
        self._run = settings_digest(settings)

    def read(self) -> list[PairChoice]:
        """The choices from pair 0 on, up to the first damaged line; none of another run."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        choices: list[PairChoice] = []
        for number, line in enumerate(lines):
            try:
                entry = json.loads(line)
                if number == 0:
                    if entry["run"] != self._run:
                        return []
                    continue
                choice = PairChoice.from_json(entry)
            except (ValueError, KeyError, TypeError, AttributeError):
                break
            if choice.pair != len(choices):
                break
            choices.append(choice)
        return choices

    def write(self, choices: list[PairChoice]) -> None:
        """Begin the file anew.

        Raises:
            OutputError: it cannot be written.
        """
        entries: list[dict[str, Any]] = [{"run": self._run}]
        entries += [choice.as_json() for choice in choices]
        with atomic_write(self.path, "w") as file:
            for entry in entries:
                file.write(json.dumps(entry) + "\n")

    @system_errors(OutputError, "a writable folder", "choose another output folder")
    def add(self, choices: list[PairChoice]) -> None:
        """Add choices at the end.

        Raises:
            OutputError: the file cannot be written to.
        """
        with open(self.path, "a", encoding="utf-8", newline="\n") as file:
            for choice in choices:
                file.write(json.dumps(choice.as_json()) + "\n")
