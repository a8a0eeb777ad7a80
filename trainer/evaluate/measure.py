"""Realism and masks of one cell: each figure a row, each step kept in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.pictures.files import Picture, read_picture
from bgdefect_core.pictures.masks import Mask

from ..bases.devices import pick_device
from ..data.examples import Example, load_example
from .config import EvaluateConfig
from .measures.agreement import AgreementSettings, Refining, generated_agreement, real_agreement
from .measures.features import views
from .measures.optional import can, inception_distances, lpips_metrics, off_mask_lpips
from .measures.realism import ANCHORS, VIEWS, noise_samples, realism, see
from .plan.plan import Cell
from .rows import Measurement, Row
from .samples.ours import MethodSamples
from .samples.random_start import comparable_views
from .samples.sample_set import SampleSet, fidelity, seam_of
from .store import Store


def row(
    part: str,
    cell: Cell,
    subject: str,
    metric: str,
    value: Any,
    n: int,
    reference: str,
    seed: int | None = None,
) -> Row:
    return Measurement(part, cell, subject, n, reference, seed).row(metric, value)


def at_full_size(examples: Sequence[Example]) -> tuple[list[Picture], list[Mask]]:
    """Pictures and masks as they are on the disk."""
    pairs = [load_example(example) for example in examples]
    return [picture for picture, _ in pairs], [mask for _, mask in pairs]


def realism_rows(
    config: EvaluateConfig,
    store: Store,
    cell: Cell,
    made: Sequence[MethodSamples],
    others: Sequence[SampleSet],
) -> list[Row]:
    """Feature distances and diversity of every generator and of the two anchors, against the
    held-out real defects."""
    shots = see(*at_full_size(cell.shots))
    fold, name = cell.data.fold, cell.name
    reference_features = see(*at_full_size(fold.test))
    reference = f"{len(fold.test)} held-out real defects"
    known: dict[str, Any] = {
        "split": cell.data.digest,
        "k": cell.k,
        "seed": config.seed,
        "features": config.measures.features,
    }
    networks = [name for name in ("FID", "IC-LPIPS") if can(name)]
    if networks:  # their weights may arrive between two runs
        known["networks"] = networks
    rows: list[Row] = []

    def add(subject: str, settings: dict[str, Any], make: Any) -> None:
        value = store.get("realism", f"{name}-{subject}", known | settings, make)
        n = int(value.pop("n"))
        rows.extend(
            row("realism", cell, subject, metric, figure, n, reference, config.seed)
            for metric, figure in value.items()
        )

    def figures(samples: SampleSet, compared: Sequence[str] = VIEWS) -> dict[str, float | None]:
        if len(samples.samples) < 2:  # what was rejected is a result, too
            return {**_shares(samples), "n": len(samples.samples)}
        seen = see(samples.pictures, samples.labels)
        found = realism(seen, reference_features, shots, config.seed, compared)
        own = (
            _with_own_networks(config, cell, samples.pictures, samples.labels)
            if "whole" in compared
            else {}
        )  # of whole pictures
        return {**found, **_shares(samples), **own, "n": len(samples.samples)}

    for one in made:
        compared = comparable_views(one)
        make = partial(
            lambda one, compared: (
                figures(one.samples, compared) | fidelity_figures(config, store, cell, one)
            ),
            one,
            compared,
        )
        add(one.samples.name, {"generator": one.key}, make)
    for other in others:
        add(other.name, {"candidate": other.digest}, lambda other=other: figures(other))

    def anchor(pictures: Sequence[Picture], masks: Sequence[Mask]) -> dict[str, float | None]:
        found = realism(see(pictures, masks), reference_features, shots, config.seed)
        return {**found, **_with_own_networks(config, cell, pictures, masks), "n": len(pictures)}

    def real_anchor() -> dict[str, float | None]:
        return anchor(*at_full_size(fold.pool))

    def noise_anchor() -> dict[str, float | None]:
        _, masks = at_full_size(cell.shots)
        good = [
            read_picture(example.image) for example in fold.good_train[: config.sampling.samples]
        ]
        noise = noise_samples(good, masks, config.sampling.samples, config.seed)
        return anchor(noise.pictures, noise.labels)

    add(ANCHORS[0], {"anchor": ANCHORS[0]}, real_anchor)
    add(ANCHORS[1], {"anchor": ANCHORS[1], "samples": config.sampling.samples}, noise_anchor)
    return rows


def _shares(samples: SampleSet) -> dict[str, float]:
    if (
        not samples.settings or not samples.firsts
    ):  # a candidate's; from noise, where nothing is judged
        return {}
    return {
        "share of first attempts that show the defect": samples.shown / max(samples.firsts, 1),
        "share of attempts accepted": len(samples.samples) / max(samples.attempts, 1),
    }


def _with_own_networks(
    config: EvaluateConfig, cell: Cell, pictures: Sequence[Picture], masks: Sequence[Mask]
) -> dict[str, float]:
    """FID, KID and IC-LPIPS where their weights are here."""
    found: dict[str, float] = {}
    device = pick_device(config.device)
    if can("FID"):
        real, truths = at_full_size(cell.data.fold.test)
        found |= inception_distances(
            views(real, truths, "whole"), views(pictures, masks, "whole"), config.seed, device
        )
    if can("IC-LPIPS"):
        found |= lpips_metrics(pictures, masks, *at_full_size(cell.shots), device)
    return found


def lpips_outside(
    config: EvaluateConfig, store: Store, cell: Cell, made: MethodSamples
) -> list[float]:
    """Off-mask LPIPS of every sample, in their order; empty where its weights are not here, or
    nothing good was painted into."""
    if made.from_noise or not made.samples.samples or not can("IC-LPIPS"):
        return []
    pairs = [
        (one.source, one.picture, one.requested)
        for one in made.samples.samples
        if one.source is not None
    ]
    measure = partial(off_mask_lpips, pairs, pick_device(config.device))
    settings = {"split": cell.data.digest, "k": cell.k, "generator": made.key}
    found = store.get(
        "off-mask-lpips",
        f"{cell.name}-{made.samples.name}",
        settings,
        lambda: {"values": measure()},
    )
    return list(found["values"])


def fidelity_figures(
    config: EvaluateConfig, store: Store, cell: Cell, made: MethodSamples
) -> dict[str, float]:
    """Off-mask fidelity over all samples, recomputed from the files."""
    width = made.settings.get("feather")
    per_sample = [
        one
        for one in (
            fidelity(sample, made.resolution, made.zoom, width) for sample in made.samples.samples
        )
        if one
    ]
    if not per_sample:
        return {}
    psnr, largest = (np.array(values) for values in zip(*per_sample, strict=True))
    kept = [
        one.record["quality"]["latent_background_psnr"]
        for one in made.samples.samples
        if one.record
    ]
    perceived = lpips_outside(config, store, cell, made)
    return ({"off-mask LPIPS (alex), mean": float(np.mean(perceived))} if perceived else {}) | {
        "off-mask PSNR, mean (dB)": float(psnr.mean()),
        "off-mask PSNR, worst (dB)": float(psnr.min()),
        "off-mask largest change (of 255)": float(largest.max()),
        "off-mask PSNR before stitching, median (dB)": float(np.median(kept)),
    }


def sample_rows(
    config: EvaluateConfig, store: Store, cell: Cell, made: MethodSamples
) -> list[dict[str, Any]]:
    """One line a sample, for ``samples.csv``."""
    lines = []
    perceived = lpips_outside(config, store, cell, made) if "realism" in config.parts else []
    for number, sample in enumerate(made.samples.samples):
        record = sample.record or {}
        width = made.settings.get("feather")
        figures = fidelity(sample, made.resolution, made.zoom, width)
        seam = (
            seam_of(sample, made.resolution, made.zoom, width)
            if sample.source is not None
            else None
        )
        lines.append(
            {
                "object": cell.data.object,
                "defect": cell.data.defect,
                "fold": cell.data.number,
                "k": cell.k,
                "generator": made.samples.name,
                "file": record.get("file", ""),
                "seed": record.get("seed", ""),
                "off_mask_psnr": figures[0] if figures else "",
                "off_mask_max": figures[1] if figures else "",
                **({"off_mask_lpips": perceived[number]} if perceived else {}),
                "seam_share": float(seam.mean()) if seam is not None else "",
                **record.get("quality", {}),
            }
        )
    return lines


def mask_rows(
    config: EvaluateConfig, store: Store, cell: Cell, made: Sequence[MethodSamples]
) -> list[Row]:
    """Agreement with the human mask on held-out real defects, for each trained generator; and with
    the change on samples."""
    rows: list[Row] = []
    test = cell.data.fold.test
    thresholds = {name: signal.threshold for name, signal in SIGNALS.items()}
    signals = {"signals": thresholds}  # a new signal or threshold is measured anew
    seen: set[Path] = set()
    for one in made:
        if one.from_noise:  # its weights are those of a generator that paints into pictures; its labels are the requested masks
            continue
        known = {"split": cell.data.digest, "k": cell.k, "generator": one.key}
        settings = AgreementSettings(
            config.measures.mask_levels, one.settings["threshold"], config.seed
        )
        if one.weights not in seen:
            seen.add(one.weights)
            refining = Refining(one.settings["peak"], one.settings.get("attention_words"))
            measure = partial(
                real_agreement,
                one.weights,
                config.sampling.base,
                test,
                settings,
                config.device,
                refining,
            )
            real = store.get(
                "masks",
                f"{cell.name}-{one.samples.name}",
                known | signals | {"agreement": asdict(settings)},
                measure,
            )
            rows += _agreement_rows(
                "masks on real defects",
                cell,
                one,
                real,
                "the human masks of held-out real defects",
                config.seed,
            )
        if not one.samples.samples:
            continue
        made_masks = store.get(
            "masks-made",
            f"{cell.name}-{one.samples.name}",
            known,
            partial(generated_agreement, one.samples),
        )
        rows += _agreement_rows(
            "masks on generated samples",
            cell,
            one,
            made_masks,
            "pixels changed by over 16 of 255",
            None,
        )
    return rows


def _agreement_rows(
    part: str,
    cell: Cell,
    made: MethodSamples,
    found: dict[str, Any],
    reference: str,
    seed: int | None,
) -> list[Row]:
    rows = []
    for signal, pictures in found.items():
        for metric in ("iou", "precision", "recall"):
            mean = float(np.mean([one[metric] for one in pictures]))
            rows.append(
                row(
                    part,
                    cell,
                    f"{made.samples.name}: {signal}",
                    metric,
                    mean,
                    len(pictures),
                    reference,
                    seed,
                )
            )
        if signal != "requested":
            differences = [
                one["iou"] - asked["iou"]
                for one, asked in zip(pictures, found["requested"], strict=True)
            ]
            gain = float(np.mean(differences))
            rows.append(
                row(
                    part,
                    cell,
                    f"{made.samples.name}: {signal}",
                    "iou minus requested",
                    gain,
                    len(differences),
                    reference,
                    seed,
                )
            )
    return rows
