"""Training and generation of one cell by the trainer itself, both resumable.

Only the known defects train the class, only their masks are varied, and only good pictures of the
training side are painted into.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import SettingError
from bgdefect_core.method.signals import SIGNALS

from ...bases.load import MINI, load_base
from ...data.layouts import AS_FOUND, ReadingSettings
from ...data.splits import Split, write_split
from ...generation.config import GenerateConfig
from ...generation.generate import generate
from ...generation.sources import ExampleSources
from ...training.config import TrainConfig
from ...training.run_folder import RunFolder
from ...training.train import train
from ..plan.plan import Cell
from .methods import Method
from .sample_set import SampleSet, read_generated
from .settings import SampleSettings

log = logging.getLogger(__name__)

_UNSET = Path()
"""Stands where each class has its own file or folder."""
_WEIGHTS = "class.safetensors"


@dataclass(frozen=True)
class MethodSamples:
    """The samples of one method in one cell, and what made them."""

    method: Method
    samples: SampleSet
    weights: Path
    settings: dict[str, Any]
    """All that decided the samples, as JSON."""
    resolution: int
    zoom: str

    @property
    def from_noise(self) -> bool:
        """Squares from pure noise: no good picture, no refined mask, no verdict."""
        return self.method.from_noise

    @property
    def key(self) -> dict[str, Any]:
        """What measurements of the samples depend on: the settings, and the samples themselves,
        which may have been made anew."""
        return self.settings | {"digest": self.samples.digest}


@dataclass(frozen=True)
class Generation:
    """How the samples of any cell are trained for and generated."""

    settings: SampleSettings
    data: Path
    """The data set of real pictures."""
    output: Path
    """Folder of all weights and samples."""
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]
    needed: bool = True
    """Whether samples of our own methods are asked for at all."""
    reading: ReadingSettings = AS_FOUND
    """How the data set is read."""

    @property
    def base_name(self) -> str:
        """Name of the base in tables."""
        return Path(self.settings.base).name if self.settings.base else MINI

    def check(self) -> None:
        """Refuse at once what a training or a generation would refuse when its turn comes.

        Raises:
            SettingError: a value out of its range, or two that exclude each other; the method is
                named.
        """
        if not self.needed:
            return
        base = load_base(self.settings.base)
        for method in self.settings.methods:
            try:
                training, generation = self._training(method), self._generation(method)
                training.check()
                generation.check()
                resolution = base.working_resolution(training.resolution)
                generation.paint.sampling.levels(base.schedule)
                signal = SIGNALS[generation.paint.label.signal]
                signal.check_resolution(resolution, base.factor)
            except SettingError as reason:
                came = f"the generation method {method.name!r}: {reason.came}"
                raise SettingError(came, reason.expected, reason.do) from reason

    def only(self, names: Collection[str]) -> Generation:
        """The same with the methods of these names alone, and without candidates."""
        methods: list[str] = []
        for text, method in zip(self.settings.generators, self.settings.methods, strict=True):
            if method.name in names:
                methods.append(text)
        settings = replace(self.settings, generators=tuple(methods), candidate=())
        return replace(self, settings=settings, needed=self.needed and bool(methods))

    def is_trained(self, cell: Cell, method: Method) -> bool:
        """Whether the class weights of this method are finished."""
        return RunFolder(self._weights(cell, method).absolute()).finished

    def train(self, cell: Cell, method: Method) -> GenerateConfig:
        """Train the class, or resume it; the shots train, the fold's validation part is held out.

        Methods that differ only in generation share their weights.

        Returns:
            How the samples of the class are to be generated, from :meth:`sources`.

        Raises:
            BGDefectError: whatever the trainer refuses.
        """
        weights = self._weights(cell, method)
        split = weights.with_name("shots.json")
        write_split(split, Split(cell.shots, cell.data.fold.validation), self.data)
        names = {"object": cell.data.object, "defect": cell.data.defect}
        training = replace_options(
            self._training(method), output=weights, split_file=split, **names
        )
        return replace_options(
            self._generation(method),
            weights=train(training),
            output=self.output / cell.name / "samples" / method.name,
            **names,
        )

    def sources(self, cell: Cell) -> ExampleSources:
        """What the samples of a cell are made from: good pictures of the training side, and the
        masks of the known defects."""
        return ExampleSources(good=cell.data.fold.good_train, defects=cell.shots)

    def _weights(self, cell: Cell, method: Method) -> Path:
        return self.output / cell.name / method.training_name / _WEIGHTS

    def _training(self, method: Method) -> TrainConfig:
        """The training of a method, whatever the class."""
        config = TrainConfig(
            data=self.data,
            reading=self.reading,
            output=_UNSET,
            base=self.settings.base,
            steps=self.settings.train_steps,
            precision=self.settings.train_precision,
            seed=self.seed,
            device=self.device,
        )
        return replace_options(config, **method.train)

    def _generation(self, method: Method) -> GenerateConfig:
        """The generation of a method, whatever the class."""
        config = GenerateConfig(
            weights=_UNSET,
            good=_UNSET,
            output=_UNSET,
            count=self.settings.samples,
            batch=self.settings.batch,
            seed=self.seed,
            base=self.settings.base,
            precision=self.settings.train_precision,
            device=self.device,
        )
        return replace_options(config, **method.generate_settings)


def paint_samples(generation: Generation, cell: Cell, method: Method) -> MethodSamples:
    """Train the class and paint its samples into good pictures, or resume both.

    Raises:
        BGDefectError: whatever the trainer refuses. NoSamples: no mask could be placed.
    """
    config = generation.train(cell, method)
    generate(config, generation.sources(cell))
    samples = read_generated(method.name, config.output, cell.data.object, cell.data.defect)
    count = len(samples.samples)
    if count < 2:
        log.warning("%s, method %s: %d samples were accepted", cell.name, method.name, count)
    settings = samples.settings | {"samples": count}
    return MethodSamples(
        method=method,
        samples=samples,
        weights=config.weights,
        settings=settings,
        resolution=int(settings["resolution"]),
        zoom=str(settings["zoom"]),
    )
