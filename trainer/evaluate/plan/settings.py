"""Settings of the plan: which classes, which folds, how many shots, and the sizes of the sides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from bgdefect_core.declarations import Doc, NotEmpty, Range

from ...data.layouts import AS_FOUND, ReadingSettings, data_help

_ANY_NUMBER = Range(0, 1_000_000)
_LEAST_ONE = Range(1, 10_000)


@dataclass(frozen=True)
class PlanSettings:
    """What an evaluation consists of."""

    data: Annotated[
        Path,
        Doc(data_help("Data set of real pictures")),
    ]
    reading: Annotated[ReadingSettings, tyro.conf.arg(name="")] = AS_FOUND
    classes: Annotated[
        tuple[str, ...],
        Doc("Defect classes as OBJECT/DEFECT. Default: all classes of the data set."),
    ] = ()
    objects: Annotated[
        tuple[str, ...],
        Doc(
            "Objects that the data set must hold; an absent one is refused before any work. "
            "Default: no such check."
        ),
    ] = ()
    folds: Annotated[
        tuple[int, ...],
        Range(0, 1),
        NotEmpty(),
        Doc("Halves to train on: 0, 1, or both. A data set with sides of its own has one fold."),
    ] = (0, 1)
    shots: Annotated[
        tuple[int, ...],
        Range(0, 2**31),
        NotEmpty(),
        Doc("Numbers of known real defects; 0: all of the training side."),
    ] = (5,)
    shot_draws: Annotated[
        int,
        Range(1, 1000),
        Doc(
            "Different random choices of the known real defects, for each fold and number of them: "
            "which ones are known changes the figures most. Each is a class training and a set of "
            "detectors of its own."
        ),
    ] = 4
    detectors_by: Annotated[
        Literal["class", "object"],
        Doc(
            "One detector for each class, tested on the defects of that class; or one for each "
            "object, trained and tested on all of its classes together, as in the paper's "
            "Tables 1 and 3."
        ),
    ] = "class"
    validation: Annotated[
        int,
        _LEAST_ONE,
        Doc(
            "Real defects of the training side that are kept out of everything but the loss that "
            "a class training reports (at most a fifth of that side, at least one). Nothing is "
            "chosen by them."
        ),
    ] = 10
    validation_good: Annotated[
        int, _LEAST_ONE, Doc("Good pictures that are kept out with them.")
    ] = 20
    good: Annotated[
        int, _ANY_NUMBER, Doc("Maximum number of good pictures of the training side; 0: all.")
    ] = 0
    test_good: Annotated[
        int, _ANY_NUMBER, Doc("Maximum number of good pictures of the test side; 0: all.")
    ] = 100
    splits: Annotated[
        Path | None, Doc("Folder of split files of an earlier run, used instead of new splits.")
    ] = None
