"""The settings of ``bgdefect misses``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from bgdefect_core.declarations import Doc, NotEmpty, Range, check_settings

from ...bases.devices import pick_device
from ...data.layouts import AS_FOUND, ReadingSettings, data_help
from ..detectors.settings import DetectorSettings

_FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class MissesConfig:
    """Hold each known defect of a class out in turn, train detectors on the others, and list which
    ones they miss: for bgdefect generate --more-like.

    With --samples, the same is done with a batch of samples added to the training, and the verdict
    says whether to keep it. Exit code 1: drop it. Nothing is deleted.
    """

    data: Annotated[Path, Doc(data_help("Data set of real pictures"))]
    split_file: Annotated[
        Path,
        Doc(
            "split.json of the class training (NAME.run/split.json beside its weights). Its "
            "training side is what is known; pictures that it holds out are not read."
        ),
    ]
    output: Annotated[
        Path,
        Doc(
            "Folder for misses.json and all intermediate files. The same command resumes a "
            "stopped run."
        ),
    ] = Path("runs/misses")
    samples: Annotated[
        Path | None,
        Doc(
            "Data set that bgdefect generate wrote for this class. Its score stands beside the one "
            "without it in gate-DIGEST.json. In each turn, samples made from a held-out defect, or "
            "painted into a held-out good picture, are left out."
        ),
    ] = None
    object: Annotated[str | None, Doc("Object; required where the data set holds several.")] = None
    defect: Annotated[str | None, Doc("Defect; required where the object has several.")] = None
    reading: Annotated[ReadingSettings, _FLAT] = AS_FOUND
    turns: Annotated[
        int,
        Range(2, 1000),
        Doc(
            "Most turns. Where there are fewer known parts, each is held out by itself, else in as "
            "many groups of nearly equal size."
        ),
    ] = 10
    good: Annotated[
        int,
        Range(0, 1_000_000),
        Doc("Maximum number of good pictures; each is held out in one turn. 0: all."),
    ] = 200
    false_alarms: Annotated[
        float,
        Range(0, 0.5),
        Doc(
            "Share of the held-out good pictures that may score above the threshold; a known "
            "defect that does not is missed."
        ),
    ] = 0.05
    seeds: Annotated[
        tuple[int, ...], Range(0, 2**31), NotEmpty(), Doc("Seeds of the detectors of each turn.")
    ] = (0, 1)
    detector: Annotated[DetectorSettings, _FLAT] = field(default_factory=DetectorSettings)
    seed: Annotated[
        int, Range(0, 2**31), Doc("Seed of the turns and of the choice of good pictures.")
    ] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Doc("Where to run; auto: the best device that there is."),
    ] = "auto"

    def check(self) -> None:
        """Raise SettingError where a value is out of its range."""
        check_settings(self)
        self.reading.check()
        self.detector.check()
        pick_device(self.device)
