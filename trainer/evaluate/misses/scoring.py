"""Detectors of the turns: one unit of the store for each turn and seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import floor
from statistics import fmean
from typing import Any

import torch

from bgdefect_core.errors import DataError
from bgdefect_core.records.run_record import file_digest

from ...data.examples import Example
from ..detectors.fit import fit
from ..detectors.metrics import counted_pixels, curve_metrics, image_score, score_inside
from ..detectors.networks.network import probability_maps
from ..detectors.pictures import Pair, load_pairs
from ..detectors.settings import DetectorSettings
from ..detectors.training_data import ArmData
from ..detectors.truth import defect_of, seen
from ..store import Store
from .batch import AcceptedBatch
from .turns import KnownSide, Turn


@dataclass(frozen=True)
class TurnScores:
    """What one detector says of the pictures that it never saw."""

    defects: tuple[float, ...]
    """Highest score inside each held-out defect's mask, 0..1."""
    good: tuple[float, ...]
    """Highest score of each held-out good picture, 0..1."""
    pixel_ap: float
    """Of all held-out pictures together, 0..1."""


@dataclass(frozen=True)
class Scores:
    """The cross-validated figures of a class: ``runs[s][t]`` is seed s, turn t."""

    runs: tuple[tuple[TurnScores, ...], ...]
    false_alarms: float

    @property
    def pixel_ap(self) -> float:
        """Mean over turns and seeds, 0..1."""
        return fmean(self.each)

    @property
    def each(self) -> list[float]:
        """Pixel AP of each turn and seed."""
        each: list[float] = []
        for turns in self.runs:
            each += [turn.pixel_ap for turn in turns]
        return each

    @property
    def of_defects(self) -> list[list[float]]:
        """For each seed, turn after turn: the score of each held-out defect."""
        runs: list[list[float]] = []
        for turns in self.runs:
            scores: list[float] = []
            for turn in turns:
                scores += turn.defects
            runs.append(scores)
        return runs

    @property
    def thresholds(self) -> list[float]:
        """Of each seed."""
        limits: list[float] = []
        for turns in self.runs:
            good: list[float] = []
            for turn in turns:
                good += turn.good
            limits.append(threshold(good, self.false_alarms))
        return limits

    @property
    def misses(self) -> list[list[bool]]:
        """For each seed, turn after turn: whether each held-out defect is missed."""
        missed: list[list[bool]] = []
        for scores, limit in zip(self.of_defects, self.thresholds, strict=True):
            missed.append([score <= limit for score in scores])
        return missed

    @property
    def found(self) -> float:
        """Share of the known defects that are found, mean over seeds, 0..1."""
        return 1 - fmean(fmean(defects) for defects in self.misses)


def threshold(good: Sequence[float], false_alarms: float) -> float:
    """The lowest score of a good picture above which at most this share of all lies.

    Args:
        good: scores of good pictures that the detector never saw. false_alarms: below 1.
    """
    allowed = floor(false_alarms * len(good) + 1e-9)
    return sorted(good, reverse=True)[allowed]


@dataclass(frozen=True)
class CrossValidation:
    """Trains and tests the detectors of all turns, each once."""

    settings: DetectorSettings
    seeds: tuple[int, ...]
    false_alarms: float
    store: Store
    device: torch.device

    def record(self, with_samples: bool) -> dict[str, Any]:
        """The detector's settings as plain JSON; without samples those that concern them are left
        out."""
        values = asdict(self.settings)
        if not with_samples:
            del values["schedule"], values["synthetic_share"]
        return values

    def scores(self, side: KnownSide, batch: AcceptedBatch | None = None) -> Scores:
        """The figures of all turns; finished ones are read.

        Args:
            side: known defects and good pictures. batch: samples that are added to the training.
        """
        runs: list[tuple[TurnScores, ...]] = []
        for seed in self.seeds:
            turns: list[TurnScores] = []
            for turn in side.turns:
                turns.append(self._turn(side, turn, batch, seed))
            runs.append(tuple(turns))
        return Scores(tuple(runs), self.false_alarms)

    def _turn(
        self, side: KnownSide, turn: Turn, batch: AcceptedBatch | None, seed: int
    ) -> TurnScores:
        number = side.turns.index(turn)
        others = side.others(turn)
        settings = {
            "train": data_digest((*others.known, *others.good)),
            "test": data_digest((*turn.known, *turn.good)),
            "seed": seed,
            "samples": None if batch is None else batch.samples.digest,
            "detector": self.record(batch is not None),
        }
        kind = "misses" if batch is None else "gate"
        measure = partial(self._measure, others, turn, batch, seed)
        figures = self.store.get(kind, f"turn{number}-s{seed}", settings, measure)
        defects, good = tuple(figures["defects"]), tuple(figures["good"])
        return TurnScores(defects, good, figures["pixel_ap"])

    def _measure(
        self, others: Turn, turn: Turn, batch: AcceptedBatch | None, seed: int
    ) -> dict[str, Any]:
        side = self.settings.resolution
        synthetic = [] if batch is None else batch.without(turn)
        good = [picture for picture, _ in load_pairs(others.good, side)]
        real = load_pairs(others.known, side)
        data = ArmData(good, real, synthetic, augment=True)
        net = fit(data, self.settings, seed, self.device)
        return turn_figures(net, load_pairs(turn.known, side), load_pairs(turn.good, side))


def turn_figures(
    net: torch.nn.Module, defects: Sequence[Pair], good: Sequence[Pair]
) -> dict[str, Any]:
    """The fields of :class:`TurnScores` by a trained detector.

    Args:
        defects: held-out pictures with their masks. good: held-out good pictures.
    """
    pictures, truths = zip(*defects, *good, strict=True)
    maps = probability_maps(net, pictures)
    inside: list[float] = []
    for (_, truth), probability in zip(defects, maps, strict=False):
        inside.append(score_inside(seen(truth, probability), defect_of(truth)))
    pixel_ap = curve_metrics(*counted_pixels(truths, maps)).ap
    highest = list(map(image_score, maps[len(defects) :]))
    return {"defects": inside, "good": highest, "pixel_ap": pixel_ap}


def data_digest(examples: Iterable[Example]) -> str:
    """SHA-256 of the content of pictures and masks, in their order, whatever they are called."""
    digest = hashlib.sha256()
    for example in examples:
        for file in (example.image, *example.masks):
            digest.update(file_digest(file, DataError, "a picture or a mask").encode())
        digest.update(repr((example.values, example.regions_digest)).encode())
        if example.others_digest is not None:
            digest.update(f"neither {example.others_digest}".encode())
    return digest.hexdigest()
