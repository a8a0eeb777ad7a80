"""The settings of ``bgdefect campaign``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bgdefect_core.declarations import Doc, Range


@dataclass(frozen=True)
class CampaignConfig:
    """Learn many defect classes and paint each into good pictures, by one plan: in this process, or
    on many machines by Ray, with the same bits."""

    plan: Annotated[
        Path,
        tyro.conf.Positional,
        Doc("Plan of the campaign, a TOML file (docs/campaign.md), or the name of a shipped one."),
    ]
    data: Annotated[Path | None, Doc("Data set, in place of the plan's.")] = None
    output: Annotated[Path | None, Doc("Folder for all results, in place of the plan's.")] = None
    base: Annotated[str | None, Doc("Base, in place of the plan's.")] = None
    workers: Annotated[
        int | None,
        Range(1, 10_000),
        Doc(
            "Workers of a Ray that is started on this machine; with address the most that are "
            "used. Default: no Ray, one process."
        ),
    ] = None
    address: Annotated[
        str | None, Doc('Address of a Ray cluster to join, such as 10.0.0.1:6379, or "auto".')
    ] = None
    write_from_workers: Annotated[
        str | None,
        Doc(
            "Folder that all machines see, or a path that fsspec knows, to which workers write the "
            "data set, in place of the plan's."
        ),
    ] = None
    dry_run: Annotated[
        bool,
        Doc("Check every class, print the tasks and what they would cost, and write nothing."),
    ] = False
