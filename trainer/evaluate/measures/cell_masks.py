"""Agreement of masks in one cell: each figure a row, each step in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bgdefect_core.declarations import options_of
from bgdefect_core.method.refinement import LabelSettings
from bgdefect_core.method.signals import SIGNALS

from ..plan.plan import Cell
from ..rows import Measurement, Row
from ..samples.generation import MethodSamples
from ..store import Store
from .agreement import Agreement, AgreementSettings, generated_agreement, real_agreement
from .effects import REAL, effect_shares

METRICS = ("iou", "precision", "recall")


@dataclass(frozen=True)
class MaskMeasure:
    """Agreement of the masks of any cell, with the human mask on held-out real defects, and with
    the changed pixels on samples."""

    store: Store
    base: str | None
    levels: int
    """Noise levels at which attention is recorded."""
    seed: int
    device: str

    def rows(self, cell: Cell, methods: Sequence[MethodSamples]) -> list[Row]:
        """Agreement on real defects for each trained class, on samples for each method.

        A start from noise is left out: its weights are those of a method that paints into pictures,
        and its labels are the requested masks.
        """
        rows: list[Row] = []
        measured: set[Path] = set()
        for method in methods:
            if method.from_noise:
                continue
            if method.weights not in measured:
                measured.add(method.weights)
                rows += self._on_real_defects(cell, method)
            if method.samples.samples:
                rows += self._on_samples(cell, method)
        return rows

    def _on_real_defects(self, cell: Cell, method: MethodSamples) -> list[Row]:
        settings = AgreementSettings(
            levels=self.levels,
            label=_label_settings(method),
            attention_words=method.settings.get("attention_words"),
            seed=self.seed,
        )
        # A new signal or threshold is measured anew.
        thresholds = {name: signal.threshold for name, signal in SIGNALS.items()}
        known = _known(cell, method) | {"signals": thresholds, "agreement": asdict(settings)}
        examples = cell.data.fold.test
        measure = partial(
            real_agreement, method.weights, self.base, examples, settings, self.device
        )
        agreement = self.store.get("masks", f"{cell.name}-{method.samples.name}", known, measure)
        reference = "the human masks of held-out real defects"
        return _rows("masks on real defects", cell, method, agreement, reference, self.seed)

    def _on_samples(self, cell: Cell, method: MethodSamples) -> list[Row]:
        name = f"{cell.name}-{method.samples.name}"
        measure = partial(generated_agreement, method.samples)
        agreement = self.store.get("masks-made", name, _known(cell, method), measure)
        reference = "pixels changed by over 16 of 255"
        rows = _rows("masks on generated samples", cell, method, agreement, reference, None)
        fold = cell.data.fold
        measure_effects = partial(effect_shares, method.samples, fold.pool, fold.test)
        known = _known(cell, method)
        shares = self.store.get("effects", name, known, measure_effects)
        for subject, share in shares.items():
            on_real = subject == REAL
            count = len(fold.test) if on_real else len(method.samples.samples)
            subject = REAL if on_real else method.samples.name
            reference = "what nearly all real defects of the training side do"
            row = Measurement("effect", cell, subject, count, reference).row
            rows.append(row("share with the real effect", share))
        return rows


def _known(cell: Cell, method: MethodSamples) -> dict[str, Any]:
    return {"split": cell.data.digest, "k": cell.k, "generator": method.key}


def _rows(
    part: str,
    cell: Cell,
    method: MethodSamples,
    agreement: Agreement,
    reference: str,
    seed: int | None,
) -> list[Row]:
    rows = []
    for signal, overlaps in agreement.items():
        subject = f"{method.samples.name}: {signal}"
        row = Measurement(part, cell, subject, len(overlaps), reference, seed).row
        for metric in METRICS:
            values = [overlap[metric] for overlap in overlaps]
            rows.append(row(metric, float(np.mean(values))))
        if signal == "requested":
            continue
        gains = []
        for refined, requested in zip(overlaps, agreement["requested"], strict=True):
            gains.append(refined["iou"] - requested["iou"])
        rows.append(row("iou minus requested", float(np.mean(gains))))
    return rows


def _label_settings(method: MethodSamples) -> LabelSettings:
    """How the method's labels were made; the threshold only where the method sets it, since each
    signal has its own."""
    values = {option.name: method.settings[option.name] for option in options_of(LabelSettings)}
    return LabelSettings(**values | {"threshold": method.method.generate.get("threshold")})
