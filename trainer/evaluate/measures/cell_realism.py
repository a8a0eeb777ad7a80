"""Realism of one cell: each figure a row, each step in the store; also figures of each sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from bgdefect_core.copies import BETWEEN_SEEDS, FROM_EXEMPLAR, mean_diversity
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.reading import read_of_folder

from ...data.examples import Example, load_example
from ..plan.plan import Cell
from ..rows import Measurement, Row
from ..samples.cell_samples import CellSamples
from ..samples.generation import MethodSamples
from ..samples.sample_set import GeneratedSample, SampleSet
from ..store import Store
from .features import DEFECT_RESOLUTION, views
from .fidelity import fidelity, seam_of
from .optional import can, inception_distances, lpips_metrics, off_mask_lpips
from .realism import ANCHORS, VIEWS, ViewFeatures, noise_samples, realism, view_features

Figures = dict[str, float | None]
Pictures = tuple[list[Pixels], list[Mask]]
"""Pictures and their masks."""


@dataclass(frozen=True)
class RealismMeasure:
    """Feature distances, diversity and fidelity of the samples of any cell."""

    store: Store
    features: str
    """Name of the network of the feature statistics."""
    samples: int
    """Number of samples of the anchor of noise."""
    seed: int
    device: torch.device

    def rows(self, cell: Cell, samples: CellSamples) -> list[Row]:
        """Feature distances and diversity of every method, of the candidates and of the two
        anchors, against the held-out real defects."""
        comparison = _Comparison(cell, self.seed, self.device)
        subjects: list[_Subject] = []
        for method in samples.methods:
            measure = partial(self._method_figures, comparison, method)
            subjects.append(_Subject(method.samples.name, {"generator": method.key}, measure))
        for candidate in samples.candidates:
            measure = partial(comparison.of_samples, candidate)
            subjects.append(_Subject(candidate.name, {"candidate": candidate.digest}, measure))
        real, noise = ANCHORS
        of_noise = partial(comparison.of_noise, self.samples)
        subjects.append(_Subject(real, {"anchor": real}, comparison.of_real_defects))
        subjects.append(_Subject(noise, {"anchor": noise, "samples": self.samples}, of_noise))
        rows: list[Row] = []
        for subject in subjects:
            rows += self._subject_rows(cell, subject)
        return rows

    def _subject_rows(self, cell: Cell, subject: _Subject) -> list[Row]:
        """The figures of one subject; measured where the store does not have them."""
        known: dict[str, Any] = {
            "split": cell.data.digest,
            "k": cell.k,
            "draw": cell.draw,
            "seed": self.seed,
            "features": self.features,
        }
        networks = list(filter(can, ("FID", "IC-LPIPS")))
        if networks:  # their weights may arrive between two runs
            known["networks"] = networks
        name = f"{cell.name}-{subject.name}"
        figures = self.store.get("realism", name, known | subject.settings, subject.measure)
        n = int(figures.pop("n"))
        reference = f"{len(cell.data.fold.test)} held-out real defects"
        measurement = Measurement("realism", cell, subject.name, n, reference, self.seed)
        return [measurement.row(metric, value) for metric, value in figures.items()]

    def _method_figures(self, comparison: _Comparison, method: MethodSamples) -> Figures:
        """Feature distances, diversity, variety and fidelity of a method."""
        figures = comparison.of_samples(method.samples, comparable_views(method))
        figures |= variety(method.samples)
        return figures | self._fidelity_figures(comparison.cell, method)

    def _fidelity_figures(self, cell: Cell, method: MethodSamples) -> Figures:
        """Off-mask fidelity over all samples, recomputed from the files; empty where no good
        picture is known."""
        width = method.settings.get("feather")
        psnrs: list[float] = []
        changes: list[float] = []
        unstitched: list[float] = []
        for sample in method.samples.samples:
            if sample.quality:
                unstitched.append(sample.quality["latent_background_psnr"])
            figures = fidelity(sample, method.resolution, method.zoom, width)
            if figures is not None:
                psnrs.append(figures[0])
                changes.append(figures[1])
        if not psnrs:
            return {}
        result: Figures = {}
        perceived = self._lpips_outside(cell, method)
        if perceived:
            result["off-mask LPIPS (alex), mean"] = float(np.mean(perceived))
        result["off-mask PSNR, mean (dB)"] = float(np.mean(psnrs))
        result["off-mask PSNR, worst (dB)"] = float(np.min(psnrs))
        result["off-mask largest change (of 255)"] = float(np.max(changes))
        result["off-mask PSNR before stitching, median (dB)"] = float(np.median(unstitched))
        return result

    def _lpips_outside(self, cell: Cell, method: MethodSamples) -> list[float]:
        """Off-mask LPIPS of every sample, in their order; empty where its weights are not on this
        machine, or no good picture was painted into."""
        if method.from_noise or not method.samples.samples or not can("IC-LPIPS"):
            return []

        def measure() -> dict[str, list[float]]:
            pairs = []
            for sample in method.samples.samples:
                if sample.source is not None:
                    pairs.append((sample.source, sample.picture, sample.requested))
            return {"values": off_mask_lpips(pairs, self.device)}

        settings = {"split": cell.data.digest, "k": cell.k, "generator": method.key}
        name = f"{cell.name}-{method.samples.name}"
        return list(self.store.get("off-mask-lpips", name, settings, measure)["values"])

    def sample_lines(
        self, cell: Cell, method: MethodSamples, perceived: bool
    ) -> list[dict[str, Any]]:
        """One line for each sample, for ``samples.csv``.

        Args:
            perceived: also with the off-mask LPIPS, where that can be measured.
        """
        distances = self._lpips_outside(cell, method) if perceived else []
        width = method.settings.get("feather")
        lines = []
        for number, sample in enumerate(method.samples.samples):
            line: dict[str, Any] = {
                "object": cell.data.object,
                "defect": cell.data.defect,
                "fold": cell.data.number,
                "k": cell.k,
                "draw": cell.draw,
                "generator": method.samples.name,
                "file": sample.file,
                "seed": "" if sample.seed is None else sample.seed,
            }
            psnr, largest = fidelity(sample, method.resolution, method.zoom, width) or ("", "")
            line |= {"off_mask_psnr": psnr, "off_mask_max": largest}
            if distances:
                line["off_mask_lpips"] = distances[number]
            line["seam_share"] = ""
            if sample.source is not None:
                seam = seam_of(sample, method.resolution, method.zoom, width)
                line["seam_share"] = float(seam.mean())
            lines.append(line | dict(sample.quality))
        return lines


@dataclass(frozen=True)
class _Subject:
    """What is compared with the held-out real defects: samples, or an anchor."""

    name: str
    settings: dict[str, Any]
    """What decides its pictures, as JSON."""
    measure: Callable[[], Figures]


@dataclass(frozen=True)
class _Comparison:
    """The real defects of a cell that samples are compared with."""

    cell: Cell
    seed: int
    device: torch.device

    @cached_property
    def test_pictures(self) -> Pictures:
        """Held-out real defects."""
        return _load(self.cell.data.fold.test)

    @cached_property
    def shot_pictures(self) -> Pictures:
        """The known real defects."""
        return _load(self.cell.shots)

    @cached_property
    def reference(self) -> ViewFeatures:
        """Features of the held-out real defects."""
        return view_features(*self.test_pictures)

    @cached_property
    def shots(self) -> ViewFeatures:
        """Features of the known real defects."""
        return view_features(*self.shot_pictures)

    def of_samples(self, samples: SampleSet, compared: Sequence[str] = VIEWS) -> Figures:
        """The figures of a method or a candidate.

        Args:
            compared: views that show as much of a part as those of real defects do.
        """
        count = len(samples.samples)
        shares = _shares(samples)
        if count < 2:  # what was rejected is a result, too
            return shares | {"n": count}
        features = view_features(samples.pictures, samples.labels)
        figures = realism(features, self.reference, self.shots, self.seed, compared)
        figures |= shares
        if "whole" in compared:
            figures |= self._optional(samples.pictures, samples.labels)
        return figures | {"n": count}

    def of_real_defects(self) -> Figures:
        """The figures of the anchor of all real defects of the training side."""
        return self.of_pictures(*_load(self.cell.data.fold.pool))

    def of_noise(self, count: int) -> Figures:
        """The figures of the anchor of noise in good pictures, ``count`` of them."""
        _, masks = self.shot_pictures
        examples = self.cell.data.fold.good_train[:count]
        good = [read_of_folder(example.image) for example in examples]
        noise = noise_samples(good, masks, count, self.seed)
        return self.of_pictures(noise.pictures, noise.labels)

    def of_pictures(self, pictures: Sequence[Pixels], masks: Sequence[Mask]) -> Figures:
        """The figures of the pictures of an anchor."""
        figures = realism(view_features(pictures, masks), self.reference, self.shots, self.seed)
        return figures | self._optional(pictures, masks) | {"n": len(pictures)}

    def _optional(self, pictures: Sequence[Pixels], masks: Sequence[Mask]) -> Figures:
        """FID, KID and IC-LPIPS where their weights are on this machine."""
        figures: Figures = {}
        if can("FID"):
            real = views(*self.test_pictures, "whole")
            whole = views(pictures, masks, "whole")
            figures |= inception_distances(real, whole, self.seed, self.device)
        if can("IC-LPIPS"):
            figures |= lpips_metrics(pictures, masks, *self.shot_pictures, self.device)
        return figures


def variety(samples: SampleSet) -> Figures:
    """In-mask difference between samples of one mask, where masks were painted twice, and the
    distance to the real defects that samples started from (``bgdefect_core.copies``)."""
    figures: Figures = {}
    groups: dict[int, list[GeneratedSample]] = {}
    differences: list[float] = []
    for sample in samples.samples:
        if sample.pair is not None:
            groups.setdefault(sample.pair, []).append(sample)
        if "exemplar_difference" in sample.quality:
            differences.append(sample.quality["exemplar_difference"])
    painted: list[tuple[list[Pixels], Mask]] = []
    for members in groups.values():
        painted.append(([member.picture for member in members], members[0].requested))
    between = mean_diversity(painted)
    if between is not None:
        figures[BETWEEN_SEEDS] = between
    if differences:
        figures[f"{FROM_EXEMPLAR}, median"] = float(np.median(differences))
        figures[f"{FROM_EXEMPLAR}, least"] = float(np.min(differences))
    return figures


def _load(examples: Sequence[Example]) -> Pictures:
    """Pictures and masks as they are on the disk."""
    pictures: list[Pixels] = []
    masks: list[Mask] = []
    for example in examples:
        picture, mask = load_example(example)
        pictures.append(picture)
        masks.append(mask)
    return pictures, masks


def _shares(samples: SampleSet) -> Figures:
    """Shares of the attempts; empty for a candidate, and from noise, where nothing is judged."""
    if not samples.settings or not samples.firsts:
        return {}
    return {
        "share of first attempts that show the defect": samples.shown / max(samples.firsts, 1),
        "share of attempts accepted": len(samples.samples) / max(samples.attempts, 1),
    }


def comparable_views(method: MethodSamples) -> tuple[str, ...]:
    """Views in which the samples of a method show as much of a part as real pictures do.

    Samples from noise are squares. Where the zoom is "whole" such a square is the picture. Else it
    shows the surroundings of the defect, where the network's side is large enough for those of the
    "defect" view, and never the whole picture.
    """
    if not method.from_noise or method.zoom == "whole":
        return ("defect", "whole")
    return ("defect",) if method.resolution >= DEFECT_RESOLUTION else ()
