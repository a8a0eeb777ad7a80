"""The settings of ``bgdefect review``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bgdefect_core.declarations import Doc, Range


@dataclass(frozen=True)
class ReviewConfig:
    """Look through a generated data set on a local page: accept, reject, mend labels. Decisions go
    to review.csv beside the manifest at once; --apply moves the files."""

    folder: Annotated[
        Path,
        tyro.conf.Positional,
        Doc("Data set that ``bgdefect generate`` or Save Defect Data Set wrote."),
    ]
    apply: Annotated[
        bool,
        Doc(
            "Apply the decisions instead of showing the page: samples that were rejected move from "
            "test/ and ground_truth/ to extras/OBJECT/DEFECT/rejected, accepted ones move in, "
            "mended labels take effect. Nothing is deleted; other decisions, applied again, take "
            "it back."
        ),
    ] = False
    open: Annotated[bool, Doc("Open the page in the browser.")] = False
    port: Annotated[
        int, Range(0, 65535), Doc("Port of the page on 127.0.0.1; 0: any that is free.")
    ] = 0
