"""A batch of samples that the gate judges: what of it a turn may train on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.listing import comparable, mask_key, picture_key
from bgdefect_core.records.dataset_place import extras_folder

from ...data.examples import Example
from ..detectors.pictures import Pair, squared
from ..samples.sample_set import GeneratedSample, SampleSet, read_generated
from .turns import KnownSide, Turn, mask_keys


@dataclass(frozen=True)
class AcceptedBatch:
    """The accepted samples of a data set of ours."""

    root: Path
    samples: SampleSet
    side: int
    """Side in pixels of the detector's pictures."""

    def without(self, turn: Turn) -> list[Pair]:
        """The samples for which nothing was used that a turn holds out: neither the real defect
        whose mask they vary, nor the good picture."""
        defects = set(mask_keys(turn.known))
        goods = {picture_key(example.image) for example in turn.good}
        pairs: list[Pair] = []
        for sample in self.samples.samples:
            leaks = picture_key(Path(sample.good)) in goods
            if sample.real_mask:
                leaks |= mask_key(Path(sample.real_mask)) in defects
            if not leaks:
                pairs.append(squared(sample.picture, sample.label, self.side))
        return pairs


def read_batch(root: Path, side: KnownSide, pixels: int) -> AcceptedBatch:
    """The batch in a data set.

    Args:
        root: of the data set. side: what is known of the class. pixels: side of the detector's
            pictures.

    Raises:
        DataError: no run of this class; no accepted sample; a sample made from a real defect that
            is held out or not known at all. The message names it.
    """
    name, defect = side.known[0].object, side.known[0].defect
    if not (extras_folder(root, name, defect) / "manifest.jsonl").is_file():
        came = f"{root} holds no samples of {name} / {defect}"
        raise DataError(came, "a data set that bgdefect generate wrote", "check the path")
    samples = read_generated("samples", root, name, defect)
    if not samples.samples:
        raise DataError(f"{root} holds no accepted sample", "at least one", "generate more")
    _check_origins(root, samples.samples, side)
    return AcceptedBatch(root, samples, pixels)


def _check_origins(root: Path, samples: Sequence[GeneratedSample], side: KnownSide) -> None:
    """Refuse samples of real defects that are not known."""
    known = mask_keys(side.known)
    held_out = _keys(side.held_out)
    for sample in samples:
        mask = Path(sample.real_mask)
        if not sample.real_mask or _is_of(mask, known, side.known[0].defect):
            continue
        state = "the split holds out" if mask_key(mask) in held_out else "is not known"
        came = f"{root}: {sample.file} was made from {mask.name}, which {state}"
        expected = "samples of known defects alone"
        raise DataError(came, expected, "generate them with --mask-split")


def _is_of(mask: Path, known: Iterable[str], defect: str) -> bool:
    """Whether a real mask is a known one; a folder of masks in MVTec's layout names its class."""
    folder = mask.parent
    other_class = comparable(folder.parent.name) == "ground_truth" and comparable(
        folder.name
    ) != comparable(defect)
    return mask_key(mask) in known and not other_class


def _keys(examples: Iterable[Example]) -> set[str]:
    """Keys of the masks, which may share names on the held-out side."""
    keys: set[str] = set()
    for example in examples:
        keys |= set(mask_keys([example]))
    return keys
