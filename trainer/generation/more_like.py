"""``bgdefect generate --more-like``: masks of known defects that detectors missed are drawn more
often."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable, mask_key, shown_names
from bgdefect_core.pictures.mask_files import held_out_masks
from bgdefect_core.placement.library import MaskLibrary
from bgdefect_core.records.misses import MissReport, mask_digest, read_misses
from bgdefect_core.records.run_record import file_digest
from bgdefect_core.weights.info import ClassWeightsInfo

log = logging.getLogger(__name__)

_AGAIN = "run bgdefect misses with the split of these weights"


@dataclass(frozen=True)
class MoreLike:
    """How often each mask of a library is drawn."""

    sha256: str
    """Of the file of missed defects."""
    factor: float
    names: tuple[str, ...]
    """Of the library's masks."""
    frequencies: tuple[float, ...]
    """Of each: 1 + factor x miss rate of its defect; 1 where the file does not name it."""

    @property
    def record(self) -> dict[str, Any]:
        """What belongs to the identity of a run, as plain JSON."""
        return {
            "sha256": self.sha256,
            "factor": self.factor,
            "frequencies": dict(zip(self.names, self.frequencies, strict=True)),
        }


def read_more_like(
    path: Path,
    factor: float,
    info: ClassWeightsInfo,
    library: MaskLibrary,
    folder: Path,
    split: Path | None,
) -> MoreLike:
    """The frequencies that follow from a file of missed defects.

    Args:
        path: of the file. factor: of the miss rate. info: of the class weights.
        library: the masks that are drawn. folder: where they lie. split: of the training, if known.

    Raises:
        DataError: no such file; another class; a defect that the training held out, whose mask is
            not in the library, or is another one there. The message names it.
    """
    report = read_misses(path)
    if comparable(report.defect) != comparable(info.defect):
        came = (
            f"{path} is about {report.object} / {report.defect}, the weights about "
            f"{info.object} / {info.defect}"
        )
        raise DataError(came, "missed defects of the same class", _AGAIN)
    if split is not None:
        held_out = held_out_masks(folder, [known.mask for known in report.known], split)
        if held_out:
            came = f"{path} names defects that the training held out: {shown_names(held_out)}"
            raise DataError(came, f"known defects alone, as {split} lists them", _AGAIN)
    rates = _miss_rates(path, report, library, folder)
    frequencies: list[float] = []
    for mask in library.masks:
        rate = 0.0 if mask.origin is None else rates.get(mask_key(mask.origin), 0.0)
        frequencies.append(1 + factor * rate)
    log.info("%s", _sentence(dict(zip(library.names, frequencies, strict=True))))
    digest = file_digest(path, DataError, "missed defects")
    return MoreLike(digest, factor, tuple(library.names), tuple(frequencies))


def _miss_rates(
    path: Path, report: MissReport, library: MaskLibrary, folder: Path
) -> dict[str, float]:
    """Key of a mask -> miss rate of its defect.

    Raises:
        DataError: a defect whose mask is not in the library, or is another one there.
    """
    origins: dict[str, Path] = {}
    for mask in library.masks:
        if mask.origin is not None:
            origins[mask_key(mask.origin)] = mask.origin
    rates: dict[str, float] = {}
    for known in report.known:
        key = mask_key(known.mask)
        if key not in origins:
            came = f"{path} names {known.mask}, of which there is no mask to draw in {folder}"
            raise DataError(came, "known defects of this class and split", _AGAIN)
        if mask_digest(origins[key]) != known.sha256:
            came = f"{path} was made with another mask {known.mask} than {origins[key]}"
            raise DataError(came, "the masks that the detectors were tested on", _AGAIN)
        rates[key] = known.miss_rate
    return rates


def more_like_line(settings: Mapping[str, Any]) -> str:
    """What the page says of it; "" where all masks are drawn equally often.

    Args:
        settings: of a run, as its manifest holds them.
    """
    record = settings.get("more_like")
    return "" if record is None else _sentence(record["frequencies"])


def _sentence(frequencies: Mapping[str, float]) -> str:
    total = sum(frequencies.values())
    drawn: list[str] = []
    for name, frequency in frequencies.items():
        if frequency > 1:
            drawn.append(f"{name} {100 * frequency / total:.0f} %")
    if not drawn:
        return "Drawn towards missed defects: none was missed, so that all masks come equally often"
    if len(drawn) < len(frequencies):
        drawn.append(f"each other one {100 / total:.0f} %")
    return f"Drawn towards missed defects, shares of the masks: {', '.join(drawn)}"
