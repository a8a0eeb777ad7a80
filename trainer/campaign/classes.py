"""The classes of a plan, each with its settings, its files by content, and its mistakes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bgdefect_core.declarations import options_of, replace_options
from bgdefect_core.errors import BGDefectError, SettingError
from bgdefect_core.pictures.listing import comparable

from ..data.examples import Example
from ..data.layouts import ReadingSettings, all_good_examples, find_examples, layout_of
from ..generation.config import GenerateConfig
from ..training.config import TrainConfig
from .blobs import Tree, tree_of
from .plan import PATHS, Override, Plan
from .typed import GENERATION, TRAINING, with_values

__all__ = ["ClassFiles", "ClassPlan", "classes_of"]

_READING = tuple(option.name for option in options_of(ReadingSettings))
_TRAIN_SET = ("data", "output", "object", "defect", "base", "prediction", "split_file", "device")
_TRAIN_REFUSED = {*_TRAIN_SET, *_READING, "sample_every", "tensorboard", "masks_from"}
_GENERATE_SET = ("weights", "output", "object", "defect", "base", "mask_split", "device")
_GENERATE_REFUSED = {*_GENERATE_SET, *_READING, "dry_run", "replace_rejected"}
_TEXTS = {".csv", ".json", ".txt", ".yaml", ".yml", ".xml"}
"""Files of a data set beside its pictures."""


@dataclass
class ClassPlan:
    """One class of a campaign."""

    object: str
    defect: str
    train: TrainConfig = TRAINING
    """With data set, names, base and output."""
    generate: GenerateConfig = GENERATION
    problems: list[str] = field(default_factory=list)
    """What has to be mended before it can be learned."""

    @property
    def name(self) -> str:
        """As a person reads it."""
        return f"{self.object} / {self.defect}"


def classes_of(plan: Plan) -> list[ClassPlan]:
    """The classes that the plan means, in the order of the data set. Names are read, no picture.

    Raises:
        DataError: the data set cannot be read at all.
    """
    data = plan.data
    layout = layout_of(data.source, data.reading)
    known: dict[str, list[str]] = {}
    every: set[str] = set()
    for name, defects in layout.classes(data.source).items():
        known[name] = sorted(defects)
        every.update(defects)
    classes: list[ClassPlan] = []
    missing: list[ClassPlan] = []
    for object in _chosen(data.objects, known, "object", missing):
        for defect in known.get(object, []):
            if not data.defects or _is_among(defect, data.defects):
                classes.append(ClassPlan(object, defect))
    _chosen(data.defects, every, "defect", missing)
    overrides: dict[tuple[str, str], Override] = {}
    names_of_classes = {(item.object, item.defect) for item in classes}
    for override in plan.overrides:
        names = (override.object, override.defect)
        if names in names_of_classes:
            overrides[names] = override
        else:
            came = f"the plan has settings for {override.object} / {override.defect}"
            item = ClassPlan(*names, problems=[f"{came}, which is none of its classes"])
            missing.append(item)
    for item in classes:
        try:
            _settle(plan, item, overrides.get((item.object, item.defect)))
        except BGDefectError as error:
            item.problems.append(str(error))
    return [*classes, *missing]


def _chosen(
    wanted: Iterable[str], known: Iterable[str], kind: str, missing: list[ClassPlan]
) -> list[str]:
    """The known names that are wanted, all where none is named; unknown ones become classes that
    are nothing but a problem."""
    names, chosen = list(known), list(wanted)
    for name in chosen:
        if not _is_among(name, names):
            reason = f"the data set has no {kind} {name!r}; it has {', '.join(sorted(names))}"
            parts = (name, "") if kind == "object" else ("", name)
            missing.append(ClassPlan(*parts, problems=[reason]))
    return [name for name in names if not chosen or _is_among(name, chosen)]


def _is_among(name: str, names: Iterable[str]) -> bool:
    return comparable(name) in map(comparable, names)


def _settle(plan: Plan, item: ClassPlan, override: Override | None) -> None:
    """Read the settings of a class.

    Raises:
        SettingError: an unknown option, or a value that cannot be.
    """
    train = with_values("[train]", TRAINING, plan.train, _TRAIN_REFUSED)
    generate = with_values("[generate]", GENERATION, plan.generate, _GENERATE_REFUSED)
    if override is not None:
        where = f"[[class]] {item.name}"
        train = with_values(f"{where}, train", train, override.train, _TRAIN_REFUSED)
        generate = with_values(f"{where}, generate", generate, override.generate, _GENERATE_REFUSED)
    weights = plan.run.output / "weights" / f"{item.object}-{item.defect}.safetensors"
    item.train = _training_of(plan, item, train, weights)
    item.train.check()
    item.generate = _generation_of(plan, item, generate, weights)
    item.generate.check()


def _training_of(plan: Plan, item: ClassPlan, train: TrainConfig, weights: Path) -> TrainConfig:
    """The settings of a class's training, with what the plan says of all classes."""
    return replace(
        train,
        data=plan.data.source,
        output=weights,
        object=item.object,
        defect=item.defect,
        base=plan.run.base,
        prediction=plan.run.prediction,
        reading=plan.data.reading,
    )


def _generation_of(
    plan: Plan, item: ClassPlan, generate: GenerateConfig, weights: Path
) -> GenerateConfig:
    """The settings of a class's generation, with what the plan says of all classes.

    Raises:
        SettingError: a path of them does not exist.
    """
    data, reading = plan.data, plan.data.reading
    ready = generate.masks is not None
    settled = replace_options(
        generate,
        **_named_paths(generate, item),
        weights=weights,
        output=plan.run.output / "data",
        object=item.object,
        base=plan.run.base,
        layout=reading.layout,
        mask_values=reading.mask_values,
        mask_classes=reading.mask_classes,
        outside_files=reading.outside_files,
        sides=reading.sides,
        mask_split=None if ready else weights.with_suffix(".run") / "split.json",
    )
    if generate.good == GENERATION.good:
        return replace(settled, good=data.source)
    return settled


def _named_paths(generate: GenerateConfig, item: ClassPlan) -> dict[str, Path]:
    """The paths of the settings with the names of the class in them.

    Raises:
        SettingError: there is none at such a place.
    """
    paths: dict[str, Path] = {}
    for name in PATHS:
        path = getattr(generate, name)
        if path is None or path == GENERATION.good:
            continue
        text = str(path).replace("{object}", item.object).replace("{defect}", item.defect)
        paths[name] = Path(text)
        if not paths[name].exists():
            raise SettingError(f"[generate] {name}: {text} does not exist", "a file or folder")
    return paths


@dataclass
class ClassFiles:
    """The files of a campaign's classes by content; each is read once."""

    plan: Plan
    _texts: list[Path] | None = None
    _objects: dict[str, tuple[Tree, str]] = field(default_factory=dict)
    _folders: dict[Path, tuple[Tree, str]] = field(default_factory=dict)

    def group_file(self) -> dict[str, tuple[Tree, str]]:
        """The table of groups as a place of an order, where there is one."""
        path = self.plan.data.reading.group_file
        return {} if path is None else {"group_file": self.path_tree(path)}

    @property
    def layout(self) -> str:
        """Name of the data set's layout."""
        return layout_of(self.plan.data.source, self.plan.data.reading).name

    def object_tree(self, object: str) -> tuple[Tree, str]:
        """The data set as far as an object needs it: its pictures and masks, and all lists; and
        the path of the data set in it."""
        if object not in self._objects:
            data = self.plan.data
            files = [*self._lists(), *self._pictures(object)]
            self._objects[object] = tree_of(data.source, files)
        return self._objects[object]

    def path_tree(self, path: Path) -> tuple[Tree, str]:
        """A file, or a folder with all that is in it, and its path in the tree."""
        if path not in self._folders:
            files = [path] if path.is_file() else [*_files_below(path)]
            self._folders[path] = tree_of(path, files)
        return self._folders[path]

    def _pictures(self, object: str) -> list[Path]:
        source, reading = self.plan.data.source, self.plan.data.reading
        examples: list[Example] = []
        for defect in layout_of(source, reading).classes(source).get(object, ()):
            try:
                examples += find_examples(source, object, defect, reading)
            except BGDefectError:  # the mistake of another class; its own task says it
                continue
        examples += all_good_examples(source, object, reading)
        files: list[Path] = []
        for example in examples:
            files += [example.image, *example.label_files]
        return files

    def _lists(self) -> list[Path]:
        if self._texts is None:
            source = self.plan.data.source
            files = [source] if source.is_file() else [*_files_below(source)]
            self._texts = [path for path in files if path.suffix.lower() in _TEXTS]
        return self._texts


def _files_below(folder: Path) -> Iterable[Path]:
    """All files of a folder that are not hidden."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(place) / name
