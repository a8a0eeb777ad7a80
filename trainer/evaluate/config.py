"""The settings of ``bgdefect evaluate``: one file (JSON) or options, and their limits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from bgdefect_core.errors import SettingError, check_range

from ..bases.devices import pick_device
from .plan.generators import GeneratorSpec as GeneratorSpec
from .plan.generators import check_name
from .plan.generators import read_generator as read_generator

Part = Literal["realism", "masks", "detection", "patchcore", "reverse_distillation", "landscape"]
Arm = Literal[
    "real",
    "real+classical",
    "real+cutpaste",
    "real+perlin",
    "real+ours requested",
    "real+ours refined",
    "real+classical+ours refined",
    "ours only",
    "ceiling",
]
PARTS: tuple[Part, ...] = get_args(Part)
ARMS: tuple[Arm, ...] = get_args(Arm)
NO_DATA = Path("no-data-set-was-given")
WANTED = "wanted: "
"""In a recipe's base, before what the recipe is about: it does not run on another one unasked."""
RECIPES = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure whether generated defects are realistic, whether their masks fit, and whether a
    detector gets better.

    --config FILE takes settings from a JSON file, --recipe NAME from a shipped one (deeppcb,
    magnetic_tile, both also with -shots and -defaults, mvtec_ad, mvtec_loco); options beside it
    win.
    """

    data: Path
    """Data set of real pictures: MVTec AD or LOCO layout (one object or several), or a csv."""
    output: Path = Path("runs/evaluate")
    """Where results and everything that led to them go. The same command goes on where it was
    stopped."""
    parts: tuple[Part, ...] = PARTS
    """What to measure, together or alone."""
    classes: tuple[str, ...] = ()
    """Defect classes as OBJECT/DEFECT. Default: all of the data set."""
    objects: tuple[str, ...] = ()
    """Objects that must be there; refused before any work where one is missing. Default: no such
    check."""
    folds: tuple[int, ...] = (0, 1)
    """Halves to train on: 0, 1, or both."""
    shots: tuple[int, ...] = (5,)
    """Numbers of real defects that are known; 0: all of the training side."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the detectors; three or more for an interval worth the name."""
    detectors_by: Literal["class", "object"] = "class"
    """One detector for each class, tested on its defects; or one for each object, trained and
    tested on all of its classes together, as the paper's Tables 1 and 3 have it."""
    arms: tuple[Arm, ...] = ARMS
    """What the detectors are trained on."""
    candidate: tuple[str, ...] = ()
    """Other generators' data sets as NAME=FOLDER, in any layout that the trainer reads: they stand
    in the same tables. FOLDER may hold fold0 and fold1, one data set a fold. A picture of the test
    or validation side in it is refused."""
    generators: tuple[str, ...] = ("ours",)
    """Ways to generate, the first of which is the one of the detection arms. NAME, or
    NAME:key=value,key=value with the keys loss, train_steps, lr, mask_weight, train_zoom,
    train_resolution, flips, quarter_turns (training); background, guidance, steps, solver, start,
    signal, threshold, attention_words, peak, detail, stitch, feather, retries and the limits of
    quality such as min_strength (generation). guidance=1/2/3: of the first attempt at a sample, the
    second, the third. start=noise: whole squares from pure noise, for realism alone."""
    arm_generators: tuple[str, ...] = ()
    """Names of generators after the first that get a detection arm each: "real+NAME refined"."""
    samples: int = 100
    """Generated samples a class, fold, number of shots and generator."""
    base: str | None = None
    """Base model of our generators; default: the embedded one."""
    train_steps: int = 500
    """Training iterations of a class."""
    train_precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the U-Net in training and generation; fp16 needs a GPU."""
    batch: int = 8
    """Samples a call of the U-Net in generation."""
    resolution: int = 256
    """Side in pixels to which the detector's pictures are brought."""
    crop: int = 128
    """Side of the crops that the detector trains on; it is tested on whole pictures."""
    width: int = 16
    """Base width of the detector; 64: the field's."""
    epochs: int = 6
    """Epochs of the detector; 200: the field's."""
    draws: int = 320
    """Crops an epoch; 500: the field's."""
    detector_batch: int = 8
    """Crops a step."""
    detector_lr: float = 1e-3
    """Learning rate of Adam; 1e-4: the field's, for 200 epochs. It falls by 0.2 at 80 % and at 90
    %."""
    synthetic_share: float = 0.5
    """Share of synthetic ones among the defect draws of the arms that have both."""
    validation: int = 10
    """Real defects of the training side that choose the checkpoint (at most a fifth of it, at least
    one)."""
    validation_good: int = 20
    """Good pictures that choose it with them."""
    good: int = 0
    """Good pictures of the training side that are used at most; 0: all."""
    test_good: int = 100
    """Good pictures of the test side that are used at most; 0: all."""
    mask_levels: int = 10
    """Noise levels at which attention is recorded on real pictures."""
    patchcore_share: float = 0.1
    """Share of the patches that PatchCore keeps."""
    reverse_epochs: int = 200
    """Epochs of reverse distillation, where its weights are found; 200: the field's."""
    landscape_points: int = 11
    """Points a side of the loss landscape."""
    landscape_crops: int = 32
    """Crops of the test side that it is measured on, in batches of 8."""
    seed: int = 0
    """Everything else random follows from it: which shots, the generators, subsets."""
    features: Literal["efficientnet-lite0"] = "efficientnet-lite0"
    """The network of the feature statistics. FID, KID and LPIPS are added where their own weights
    are found."""
    splits: Path | None = None
    """Folder of split files of an earlier run, used instead of new ones."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to run; auto: the best that there is."""
    dry_run: bool = False
    """Check every path, print the estimate, write nothing."""

    def check(self) -> None:
        """Raise SettingError where a value is out of its range or unknown."""
        if self.data == NO_DATA:
            raise SettingError(
                "no data set is given", "--data FOLDER", "recipes do not know where yours lies"
            )
        if self.base and self.base.startswith(WANTED):
            raise SettingError(
                "no base is given",
                f"--base with {self.base.removeprefix(WANTED)}",
                "the recipe is about that one",
            )
        limits: dict[str, tuple[float, float]] = {
            "samples": (2, 100_000),
            "train_steps": (1, 1_000_000),
            "batch": (1, 1024),
            "resolution": (32, 4096),
            "crop": (32, 4096),
            "width": (2, 512),
            "epochs": (1, 10_000),
            "draws": (1, 1_000_000),
            "detector_batch": (2, 1024),
            "detector_lr": (1e-8, 1.0),
            "synthetic_share": (0, 1),
            "validation": (1, 10_000),
            "validation_good": (1, 10_000),
            "good": (0, 1_000_000),
            "test_good": (0, 1_000_000),
            "mask_levels": (1, 999),
            "patchcore_share": (0.001, 1),
            "reverse_epochs": (1, 10_000),
            "landscape_points": (3, 101),
            "landscape_crops": (8, 10_000),
            "seed": (0, 2**31),
        }
        for name, (low, high) in limits.items():
            check_range(name, getattr(self, name), low, high)
        _check_each("detectors_by", [self.detectors_by], ("class", "object"))
        for name, known in (("parts", PARTS), ("arms", ARMS), ("folds", (0, 1))):
            _check_each(name, getattr(self, name), known)
        if self.crop > self.resolution:
            raise SettingError(
                f"crop is {self.crop} at a resolution of {self.resolution}",
                "a crop no larger",
                "lower it",
            )
        for name in ("resolution", "crop"):
            if getattr(self, name) % 32:
                raise SettingError(
                    f"{name} is {getattr(self, name)}",
                    "a multiple of 32",
                    "the networks halve it up to five times",
                )
        for name in ("shots", "seeds"):
            for value in getattr(self, name):
                check_range(name, value, 0, 2**31)
            if not getattr(self, name):
                raise SettingError(
                    f"no {name} are given", "at least one", "see bgdefect evaluate --help"
                )
        if "real" not in self.arms and "detection" in self.parts:
            raise SettingError(
                "the arm 'real' is left out", "it: every other arm is compared with it", "add it"
            )
        self._check_names()
        self._check_starts()
        pick_device(self.device, self.train_precision)

    def _check_starts(self) -> None:
        """Refuse detectors on samples that start from noise: squares of other scales than the
        pictures of the test."""
        specs = self.generator_specs
        first = specs[:1] if any("ours" in arm for arm in self.arms) else ()
        named = [spec for spec in specs if spec.name in self.arm_generators]
        wrong = [spec.name for spec in (*first, *named) if spec.from_noise]
        if wrong and {"detection", "landscape"} & set(self.parts):
            came = f"detectors are to be trained on the generator {wrong[0]!r}, which starts from noise"
            raise SettingError(
                came,
                "a generator that paints into good pictures",
                "name another one first, or leave the detectors out",
            )

    def _check_names(self) -> None:
        """Generators, candidates and the arms that are made of them: each name once."""
        generators = [spec.name for spec in self.generator_specs]
        _check_each("arm_generators", self.arm_generators, generators[1:], least=0)
        candidates = list(self.candidate_folders)
        arms = [refined_arm(name) for name in self.arm_generators] + [
            f"real+{name}" for name in candidates
        ]
        names = [*generators, *candidates, *arms, *ARMS]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SettingError(
                f"the name {twice[0]!r} is given twice",
                "a name a generator or candidate",
                "rename one",
            )

    @property
    def generator_specs(self) -> tuple[GeneratorSpec, ...]:
        """The generators, read."""
        if not self.generators:
            raise SettingError(
                "no generators are given", "at least one", "leave the option out for ours"
            )
        return tuple(read_generator(text) for text in self.generators)

    @property
    def candidate_folders(self) -> dict[str, Path]:
        """Name -> folder of the other generators."""
        found: dict[str, Path] = {}
        for text in self.candidate:
            name, equals, folder = text.partition("=")
            if not (name and equals and folder) or name in found:
                raise SettingError(
                    f"the candidate {text!r}",
                    "NAME=FOLDER, a name once",
                    "name the generator and its data set",
                )
            check_name("candidate", name)
            found[name] = Path(folder)
        return found

    def record(self) -> dict[str, Any]:
        """All that decides the results, as JSON; it can be given back as a config file."""
        settings = json.loads(json.dumps(asdict(self), default=str))
        return {
            name: value for name, value in settings.items() if name not in ("output", "dry_run")
        }


def refined_arm(name: str) -> str:
    """The detection arm of a generator after the first."""
    return f"real+{name} refined"


def read_config(path: Path) -> EvaluateConfig:
    """The settings of a JSON file, such as a recipe or an earlier run's ``config.json``; ``about``
    is a note.

    A file without a data set gives ``NO_DATA`` as its data set.

    Raises:
        SettingError: no such file, no JSON, or an unknown or wrongly typed setting.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        given = dict(values)
    except (OSError, ValueError, TypeError) as reason:
        raise SettingError(
            f"{path} cannot be read ({reason})", "a JSON file of settings", "check the path"
        ) from reason
    given = {name: value for name, value in given.items() if name != "about"}
    known = {field.name: field for field in fields(EvaluateConfig)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SettingError(
            f"{path} sets {unknown[0]!r}", f"one of {', '.join(known)}", "correct the name"
        )
    default = EvaluateConfig(NO_DATA)
    for name, value in given.items():
        given[name] = _as_type(path, name, value, getattr(default, name), str(known[name].type))
    return replace(default, **given)


def _as_type(path: Path, name: str, value: Any, like: Any, annotation: str) -> Any:
    if value is None and "None" in annotation:
        return None
    if (isinstance(like, Path) or "Path" in annotation) and isinstance(value, str):
        return Path(value)
    if isinstance(like, tuple) and isinstance(value, list | tuple):
        return tuple(
            _as_type(path, name, item, 0 if "int" in annotation else "", "") for item in value
        )
    wanted = (int, float) if isinstance(like, float) else type(like) if like is not None else str
    if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(like, bool)):
        raise SettingError(
            f"{path}: {name} is {value!r}", f"a value such as {like!r}", "correct it"
        )
    return value


def recipe_path(name: str) -> Path:
    """The config file of a shipped recipe.

    Raises:
        SettingError: there is none of this name; the message lists them.
    """
    found = {path.stem: path for path in sorted(RECIPES.glob("*.json"))}
    if name not in found:
        raise SettingError(
            f"there is no recipe {name!r}",
            f"one of {', '.join(found)}",
            "or give a file with --config",
        )
    return found[name]


def _check_each(name: str, values: Sequence[Any], known: Sequence[Any], least: int = 1) -> None:
    wrong = [value for value in values if value not in known]
    if wrong or len(values) < least:
        came = f"{name} holds {wrong[0]!r}" if wrong else f"no {name} are given"
        raise SettingError(
            came, f"some of {', '.join(str(one) for one in known)}", "correct the list"
        )
