"""The settings of ``bgdefect evaluate``: options of the command line, or a JSON file of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from bgdefect_core.declarations import (
    Doc,
    NotEmpty,
    Range,
    check_settings,
    flat_values,
    options_of,
    replace_options,
    typed_value,
)
from bgdefect_core.errors import SettingError

from ..bases.devices import pick_device
from .advice.settings import AdviceSettings
from .detectors.arms import ARMS
from .detectors.arms.arm import Arm
from .detectors.arms.chosen import chosen_arms, present
from .detectors.arms.real import REAL
from .detectors.settings import (
    AlarmSettings,
    ArmSettings,
    DetectorSettings,
    LandscapeSettings,
    LiteBaselineSettings,
    PatchCoreSettings,
    ReverseDistillationSettings,
)
from .measures.settings import MeasureSettings
from .plan.settings import PlanSettings
from .rows import Skip
from .samples.settings import SampleSettings

Part = Literal[
    "realism",
    "masks",
    "detection",
    "alarms",
    "patchcore",
    "simplenet",
    "reverse_distillation",
    "landscape",
]
PARTS: tuple[Part, ...] = get_args(Part)
USUAL_PARTS: tuple[Part, ...] = tuple(part for part in PARTS if part != "alarms")
TRAINING_PARTS = {"detection", "alarms", "landscape"}
"""Parts that train detectors on the arms."""
NO_DATA = Path("no-data-set-was-given")
WANTED = "wanted: "
"""Prefix of a recipe's base: the rest says which base the recipe is about."""
RECIPES = Path(__file__).parent.parent / "recipes"
_FLAT = tyro.conf.arg(name="")
"""Nested options keep their plain names on the command line."""
_NOT_RECORDED = ("output", "dry_run")


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure whether generated defects are realistic, whether their masks fit, and whether a
    detector gets better.

    --config FILE takes settings from a JSON file, --recipe NAME from a shipped one (deeppcb,
    magnetic_tile, both also with -shots and -defaults, mvtec_ad, mvtec_loco); options beside it
    win.
    """

    plan: Annotated[PlanSettings, _FLAT]
    output: Annotated[
        Path,
        Doc(
            "Folder for the results and all intermediate files. The same command resumes a "
            "stopped run."
        ),
    ] = Path("runs/evaluate")
    parts: Annotated[
        tuple[Part, ...],
        NotEmpty(),
        Doc(
            "What to measure, together or alone. alarms, the good pictures called defective at the "
            "threshold that finds 95 % of the known defects, each held out in turn, is measured "
            "only where it is named: it takes further class trainings (alarm_parts)."
        ),
    ] = USUAL_PARTS
    sampling: Annotated[SampleSettings, _FLAT] = field(default_factory=SampleSettings)
    measures: Annotated[MeasureSettings, _FLAT] = field(default_factory=MeasureSettings)
    arms: Annotated[ArmSettings, _FLAT] = field(default_factory=ArmSettings)
    detector: Annotated[DetectorSettings, _FLAT] = field(default_factory=DetectorSettings)
    alarms: Annotated[AlarmSettings, _FLAT] = field(default_factory=AlarmSettings)
    patchcore: Annotated[PatchCoreSettings, _FLAT] = field(default_factory=PatchCoreSettings)
    reverse_distillation: Annotated[ReverseDistillationSettings, _FLAT] = field(
        default_factory=ReverseDistillationSettings
    )
    lite_baselines: Annotated[LiteBaselineSettings, _FLAT] = field(
        default_factory=LiteBaselineSettings
    )
    landscape: Annotated[LandscapeSettings, _FLAT] = field(default_factory=LandscapeSettings)
    advice: Annotated[AdviceSettings, _FLAT] = field(default_factory=AdviceSettings)
    seed: Annotated[
        int,
        Range(0, 2**31),
        Doc("Seed of everything else that is random: the choice of shots, generation, subsets."),
    ] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        Doc("Where to run; auto: the best device that there is."),
    ] = "auto"
    dry_run: Annotated[bool, Doc("Check every path, print the estimate, write nothing.")] = False

    def check(self) -> None:
        """Raise SettingError where a value is out of its range, unknown, or contradicts another."""
        if self.plan.data == NO_DATA:
            raise SettingError(
                "no data set is given", "--data FOLDER", "recipes do not know where yours lies"
            )
        base = self.sampling.base
        if base and base.startswith(WANTED):
            wanted = f"--base with {base.removeprefix(WANTED)}"
            raise SettingError("no base is given", wanted, "the recipe is about that one")
        check_settings(self)
        self.plan.reading.check()
        self.detector.check()
        if REAL.name not in self.arms.arms and {"detection", "alarms"} & set(self.parts):
            expected = "it: every other arm is compared with it"
            raise SettingError(f"the arm {REAL.name!r} is left out", expected, "add it")
        self._check_names()
        self._check_starts()
        pick_device(self.device, self.sampling.train_precision)

    def _check_names(self) -> None:
        """Each method, candidate and arm needs a name of its own."""
        methods = self._method_names
        for name in self.arms.arm_generators:
            if name not in methods[1:]:
                raise SettingError(
                    f"arm_generators holds {name!r}",
                    f"some of {', '.join(methods[1:])}",
                    "correct the list",
                )
        names = [*methods, *self.sampling.candidate_folders, *ARMS]
        for arm in self.all_arms[len(self.arms.arms) :]:
            names.append(arm.name)
        for name in sorted(names):
            if names.count(name) > 1:
                raise SettingError(
                    f"the name {name!r} is given twice",
                    "one name for each method and candidate",
                    "rename one",
                )

    def _check_starts(self) -> None:
        """Refuse detectors on samples that start from noise: they are squares of other scales
        than the pictures of the test."""
        if not TRAINING_PARTS & set(self.parts):
            return
        sources = [arm.source for arm in self.all_arms]
        for method in self.sampling.methods:
            if method.from_noise and method.name in sources:
                raise SettingError(
                    f"detectors are to be trained on the method {method.name!r}, which starts from "
                    "noise",
                    "a method that paints into good pictures",
                    "name another method first, or leave the detectors out",
                )

    @property
    def _method_names(self) -> list[str]:
        return [method.name for method in self.sampling.methods]

    @property
    def all_arms(self) -> list[Arm]:
        """The arms of the detectors, in the order of the tables."""
        methods = self._method_names
        others = sorted(self.arms.arm_generators, key=methods.index)
        candidates = self.sampling.candidate_folders
        return chosen_arms(self.arms.arms, methods[0], others, candidates)

    @property
    def trained_arms(self) -> list[Arm]:
        """The arms whose method is among the settings."""
        return present(self.all_arms, self._method_names)[0]

    @property
    def absent_arms(self) -> list[Skip]:
        """A word on each arm whose method is not."""
        if not {"detection", "alarms"} & set(self.parts):
            return []
        return present(self.all_arms, self._method_names)[1]

    @property
    def needs_samples(self) -> bool:
        """Whether anything asks for samples of the generation methods."""
        if {"realism", "masks"} & set(self.parts):
            return True
        trains = bool(TRAINING_PARTS & set(self.parts))
        return trains and any(arm.samples == "method" for arm in self.trained_arms)

    def record(self) -> dict[str, Any]:
        """All that decides the results, as flat JSON; it can be given back as a config file."""
        settings: dict[str, Any] = json.loads(json.dumps(flat_values(self), default=str))
        for name in _NOT_RECORDED:
            del settings[name]
        return settings


def read_config(path: Path) -> EvaluateConfig:
    """The settings of a JSON file, such as a recipe or an earlier run's ``config.json``.

    The key ``about`` is a comment. A file without a data set gives ``NO_DATA`` as its data set.

    Raises:
        SettingError: no such file, no JSON, or an unknown or wrongly typed setting.
    """
    try:
        values = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as reason:
        raise SettingError(
            f"{path} cannot be read ({reason})", "a JSON file of settings", "check the path"
        ) from reason
    values.pop("about", None)
    options = {option.name: option for option in options_of(EvaluateConfig)}
    unknown = sorted(values.keys() - options.keys())
    if unknown:
        expected = f"one of {', '.join(options)}"
        raise SettingError(f"{path} sets {unknown[0]!r}", expected, "correct the name")
    for name, value in values.items():
        values[name] = typed_value(f"{path}: {name}", options[name].kind, value)
    return replace_options(UNSET, **values)


UNSET = EvaluateConfig(PlanSettings(NO_DATA))
"""All defaults, without a data set."""


def recipe_path(name: str) -> Path:
    """The config file of a shipped recipe.

    Raises:
        SettingError: there is none of this name; the message lists them.
    """
    recipes = {path.stem: path for path in sorted(RECIPES.glob("*.json"))}
    if name not in recipes:
        expected = f"one of {', '.join(recipes)}"
        raise SettingError(f"there is no recipe {name!r}", expected, "or give a file with --config")
    return recipes[name]
