"""The plan of a campaign: which classes of which data, with which settings. A TOML file.

    output = "campaign"
    base = "/models/stable-diffusion-v1-5"     # default: the embedded base

    [data]
    source = "/data/mvtec"                     # any layout
    objects = "all"                            # or a list
    defects = "all"

    [train]                                    # options of bgdefect train
    steps = 500

    [generate]                                 # options of bgdefect generate
    count = 500

    [evaluate]                                 # options of bgdefect evaluate; without it, none
    shots = [5]

    [[class]]                                  # other settings for one class
    object = "screw"
    defect = "scratch_neck"
    train = { steps = 800 }

Paths are relative to the file's folder. ``{object}`` and ``{defect}`` in the paths of
``[generate]`` are replaced by the names.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import SettingError
from bgdefect_core.method.schedule import PredictionType

from ..bases.families import BASE_HELP
from ..data.layouts import AS_FOUND, ReadingSettings, data_help
from .typed import with_values

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["ALL", "DataSettings", "Override", "Plan", "RunSettings", "absolute_place", "read_plan"]

ALL = "all"
_EXPECTED = "the plan of a campaign in TOML"


@dataclass(frozen=True)
class DataSettings:
    """The table ``[data]``."""

    source: Annotated[Path, Doc(data_help("Data set"))] = Path()
    objects: Annotated[
        tuple[str, ...], Doc('Objects: a list, or "all", which is the default.')
    ] = ()
    defects: Annotated[
        tuple[str, ...],
        Doc('Defects of these objects: a list, or "all", which is the default.'),
    ] = ()
    reading: ReadingSettings = AS_FOUND


@dataclass(frozen=True)
class RunSettings:
    """What stands above the tables."""

    output: Annotated[
        Path, Doc("Folder for weights, data sets, page and record. The same plan resumes there.")
    ] = Path("campaign")
    base: Annotated[str | None, Doc(BASE_HELP)] = None
    prediction: Annotated[
        PredictionType | None, Doc("What the base predicts, where its files do not say so.")
    ] = None
    threads: Annotated[
        int,
        Range(1, 1024),
        Doc(
            "Threads of a task on a CPU. It changes the last digits of the results, so that it "
            "belongs to the campaign, and is never taken from the machine."
        ),
    ] = 1
    tries: Annotated[
        int,
        Range(1, 100),
        Doc("Tries at a task before its class is reported as failed and the others go on."),
    ] = 3
    task_minutes: Annotated[
        float,
        Range(0, 100_000),
        Doc("A worker that has not finished a task after so many minutes is stopped; 0: never."),
    ] = 0.0
    paint: Annotated[
        bool, Doc("Learn and paint the classes; false: they are only evaluated, by [evaluate].")
    ] = True
    gpus: Annotated[
        float | None,
        Range(0, 64),
        Doc(
            "GPUs of a task; 0.25: four tasks share one. Default: one where the cluster has some, "
            "a quarter for the embedded base."
        ),
    ] = None
    gpus_per_class: Annotated[
        int,
        Range(1, 64),
        Doc(
            "GPUs on which one class is learned, each with a batch; without GPUs as many "
            "processes. It changes what is learned, as a larger batch does."
        ),
    ] = 1
    memory: Annotated[
        float,
        Range(0, 10_000),
        Doc("GB of memory that a task needs; 0: not asked for. Ray places tasks by it."),
    ] = 0.0

    write_from_workers: Annotated[
        str | None,
        Doc(
            "Folder that all machines see, or a path that fsspec knows (s3://bucket/set): workers "
            "write the data set there, and manifests are merged at the end. Default: the head "
            "writes it in the output."
        ),
    ] = None


@dataclass(frozen=True)
class Override:
    """Other settings for one class: a table ``[[class]]``."""

    object: str
    defect: str
    train: Mapping[str, Any] = field(default_factory=dict)
    generate: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A campaign. The tables of settings are read for each class, so that a mistake in one stops
    no other."""

    run: RunSettings
    data: DataSettings
    train: Mapping[str, Any] = field(default_factory=dict)
    generate: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    evaluate: Mapping[str, Any] | None = None
    """None: nothing is evaluated."""

    def check(self) -> None:
        """Raise SettingError where a value is out of its range, or no data set is named."""
        check_settings(self.run)
        check_settings(self.data)
        self.data.reading.check()
        if not self.run.paint and self.evaluate is None:
            came = "paint is false, and there is nothing to evaluate"
            raise SettingError(came, "a table [evaluate]", "add it, or leave paint out")
        if self.data.source == Path():
            came = "the plan names no data set"
            raise SettingError(came, "[data] with source", "name it, or give --data")


PLANS = Path(__file__).parent / "plans"


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Args:
        path: the file, whose paths are relative to its folder; or the name of a shipped plan,
            whose paths are relative to the folder of today.

    Raises:
        SettingError: no such file, no TOML, or an unknown or wrongly typed entry.
    """
    folder = path.absolute().parent
    if not path.exists() and (PLANS / f"{path}.toml").is_file():
        path, folder = PLANS / f"{path}.toml", Path.cwd()
    document = _document(path)
    evaluates = "evaluate" in document
    names = ("data", "train", "generate", "evaluate")
    tables = {name: _table(path, document, name) for name in names}
    tables["evaluate"].pop("about", None)  # a comment of the recipes of bgdefect evaluate
    for name in ("objects", "defects"):
        if tables["data"].get(name) == ALL:
            del tables["data"][name]
    overrides = _overrides(path, folder, document.pop("class", []))
    run = with_values(str(path), RunSettings(), document)
    data = with_values(f"{path}: [data]", DataSettings(), tables["data"])
    return Plan(
        _absolute_run(folder, run),
        _absolute_data(folder, data),
        tables["train"],
        _absolute(folder, tables["generate"]),
        tuple(overrides),
        tables["evaluate"] if evaluates else None,
    )


def _document(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        SettingError: no such file, or no TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError) as reason:
        came = f"{path} cannot be read ({reason})"
        raise SettingError(came, _EXPECTED, "check the path") from reason


def _absolute_run(folder: Path, run: RunSettings) -> RunSettings:
    """The settings with paths relative to the plan's folder; a base that is none there keeps its
    name."""
    base, place = run.base, run.write_from_workers
    if base is not None and (folder / base).exists():
        base = str(folder / base)
    if place is not None:
        place = absolute_place(folder, place)
    return replace(run, output=folder / run.output, base=base, write_from_workers=place)


def _absolute_data(folder: Path, data: DataSettings) -> DataSettings:
    """The settings with paths relative to the plan's folder."""
    groups = data.reading.group_file
    if groups is not None:
        data = replace(data, reading=replace(data.reading, group_file=folder / groups))
    return data if data.source == Path() else replace(data, source=folder / data.source)


def _table(path: Path, document: dict[str, Any], name: str) -> dict[str, Any]:
    table = document.pop(name, {})
    if not isinstance(table, dict):
        raise SettingError(f"{path}: {name} is {table!r}", f"a table [{name}]", "correct it")
    return table


def _overrides(path: Path, folder: Path, tables: object) -> list[Override]:
    if not isinstance(tables, list):
        raise SettingError(f"{path}: class is {tables!r}", "tables [[class]]", "correct it")
    overrides: list[Override] = []
    for table in tables:
        entries = dict(table) if isinstance(table, dict) else {}
        names = (entries.pop("object", None), entries.pop("defect", None))
        train, generate = entries.pop("train", {}), entries.pop("generate", {})
        right = isinstance(names[0], str) and isinstance(names[1], str) and not entries
        if not right or not isinstance(train, dict) or not isinstance(generate, dict):
            came = f"{path}: a table [[class]] holds {table!r}"
            expected = "object and defect, and tables train and generate"
            raise SettingError(came, expected, "correct it")
        generate = _absolute(folder, generate)
        overrides.append(Override(str(names[0]), str(names[1]), train, generate))
    return overrides


def absolute_place(folder: Path, place: str) -> str:
    """An fsspec path, where one without a protocol is relative to a folder."""
    return place if "://" in place or "::" in place else str(folder / place)


PATHS = ("good", "masks", "mask_library", "allowed", "forbidden", "more_like")
"""Options of ``[generate]`` that are files or folders."""


def _absolute(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with paths relative to the plan's folder."""
    resolved = dict(values)
    for name in PATHS:
        if isinstance(resolved.get(name), str):
            resolved[name] = str(folder / resolved[name])
    return resolved
