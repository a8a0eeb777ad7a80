"""Finished measurements on the disk: a stopped evaluation resumes where it was.

OUTPUT/units/NAME-DIGEST.json holds one measurement with the settings that decided it. Other
settings have another digest: changed ones are measured anew, unchanged ones are read.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdefect_core.files import atomic_write

PROTOCOL = 3
"""Part of every digest; raised where equal settings come to mean another measurement."""


@dataclass(frozen=True)
class Store:
    """The measurements of one output folder."""

    root: Path

    def path(self, kind: str, name: str, settings: Mapping[str, Any]) -> Path:
        """The measurement's file.

        Args:
            settings: all that decides the measurement, as JSON.
        """
        identity = {"protocol": PROTOCOL, "settings": settings}
        text = json.dumps(identity, sort_keys=True, allow_nan=False)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        plain = re.sub(r"[^A-Za-z0-9_+.-]+", "_", f"{kind}-{name}")
        return self.root / "units" / f"{plain}-{digest}.json"

    def get(
        self,
        kind: str,
        name: str,
        settings: Mapping[str, Any],
        measure: Callable[[], Mapping[str, Any]],
    ) -> dict[str, Any]:
        """The measurement: read where it is finished, otherwise made and written.

        Raises:
            OutputError: the file cannot be written.
        """
        path = self.path(kind, name, settings)
        finished = _read(path)
        if finished is not None:
            return finished
        started = time.monotonic()
        value = plain_json(measure())
        document = {
            "kind": kind,
            "name": name,
            "settings": settings,
            "seconds": round(time.monotonic() - started, 1),
            "value": value,
        }
        with atomic_write(path, "w") as file:
            json.dump(document, file, indent=1, allow_nan=False)
        return dict(value)


def _read(path: Path) -> dict[str, Any] | None:
    """A finished measurement; None where there is none, or its file is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))["value"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, dict) else None


def plain_json(value: Any) -> Any:
    """A JSON value in which NaN and infinity are None: JSON has neither."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
