"""Settings of the samples: which methods generate them, how many, on which base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from bgdefect_core.declarations import Doc, NotEmpty, Range
from bgdefect_core.errors import SettingError

from ...bases.precision import Precision
from .methods import GENERATION_KEYS, TRAINING_KEYS, Method, check_name, read_method


@dataclass(frozen=True)
class SampleSettings:
    """Where generated defects come from."""

    candidate: Annotated[
        tuple[str, ...],
        Doc(
            "Data sets of other methods as NAME=FOLDER, in any layout that the trainer reads: they "
            "appear in the same tables. FOLDER may hold fold0 and fold1, one data set per fold. A "
            "data set that holds a picture of the test or validation side is refused."
        ),
    ] = ()
    generators: Annotated[
        tuple[str, ...],
        NotEmpty(),
        Doc(
            "Methods of generation; the first is the recommended one, others are found by the arms "
            "that name them. NAME, or "
            "NAME:key=value,key=value. guidance=1/2/3: of the first attempt at a sample, the "
            "second, the third. start=real,start_level=0.3/0.7: from real defects, at 0/0 their "
            "pastes alone. whole_square=true: squares from pure noise, for realism alone. "
            f"Keys of training: {', '.join(TRAINING_KEYS)}. "
            f"Keys of generation: {', '.join(GENERATION_KEYS)}."
        ),
    ] = (
        "ours",
        "from noise:start=noise",
        "mixed:start=mixed",
        "paste:start=real,start_level=0/0",
    )
    samples: Annotated[
        int,
        Range(2, 100_000),
        Doc("Generated samples for each class, fold, number of shots and method."),
    ] = 100
    base: Annotated[
        str | None, Doc("Base model of the generation methods. Default: the embedded one.")
    ] = None
    train_steps: Annotated[int, Range(1, 1_000_000), Doc("Training iterations of a class.")] = 500
    train_precision: Annotated[
        Precision,
        Doc(
            "Arithmetic of the U-Net in training and generation; fp16 needs a GPU. auto: bf16 "
            "where the device computes in it and the base was measured, else fp32."
        ),
    ] = "auto"
    batch: Annotated[int, Range(1, 1024), Doc("Samples per U-Net call in generation.")] = 8

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods of generation, parsed."""
        return tuple(read_method(text) for text in self.generators)

    @property
    def candidate_folders(self) -> dict[str, Path]:
        """Name -> folder of each candidate.

        Raises:
            SettingError: a text that is not NAME=FOLDER, or a name that is used twice.
        """
        folders: dict[str, Path] = {}
        for text in self.candidate:
            name, equals, folder = text.partition("=")
            if not (name and equals and folder) or name in folders:
                raise SettingError(
                    f"the candidate {text!r}",
                    "NAME=FOLDER, each name once",
                    "name the method and its data set",
                )
            check_name("candidate", name)
            folders[name] = Path(folder)
        return folders
