"""Do detectors get better? One unit for each class (or object), fold, number of real defects, arm
and seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from bgdefect_core.files import atomic_write
from bgdefect_core.pictures.files import Picture, write_picture
from bgdefect_core.pictures.overlay import GREEN, outlined, warmed

from ...bases.devices import pick_device
from ..config import EvaluateConfig, refined_arm
from ..measures.optional import can
from ..plan.plan import Cell
from ..rows import CEILING, REAL, Measurement, Row, place
from ..samples.ours import MethodSamples
from ..samples.sample_set import SampleSet
from ..samples.synthetic import Pair
from ..store import Store
from .arms import ArmData, cut_paste_maker, perlin_maker, sample_pairs
from .fit import FitSettings, draw_batch, fit, score_detector
from .landscape import landscape, top_eigenvalue
from .metrics import METRICS, detection_metrics, highest
from .network import SegmentationNet, make_net
from .patchcore import patchcore
from .pictures import FoldPictures, load_pairs
from .reverse_distillation import NAME as REVERSE_DISTILLATION
from .reverse_distillation import reverse_distillation

PATCHCORE = "patchcore (efficientnet-lite0)"
_ALL_KNOWN = {"k": 0}
LANDSCAPE_BATCH = 8
LANDSCAPE_ARMS = {"real", "real+ours refined"}
_MAPPED = {*LANDSCAPE_ARMS, CEILING}
_SHOWN, _GAP = 4, 4


@dataclass(frozen=True)
class ArmPlan:
    """An arm of one cell: how to come by its data, and all that decides them."""

    name: str
    data: Callable[[], ArmData]
    settings: dict[str, Any]


def arm_plans(
    config: EvaluateConfig,
    cell: Cell,
    pictures: FoldPictures,
    made: Sequence[MethodSamples],
    others: Sequence[SampleSet],
) -> list[ArmPlan]:
    """The arms of one cell, in the order of the settings, then one for each of ``arm_generators``,
    two for each candidate.

    Args:
        made: our samples by the generators that made any; those of the settings' first make the
            arms that name ours. An arm without samples is left out.
    """
    good, side, k = (
        pictures.good,
        config.detector.resolution,
        {"k": cell.k, "shots_seed": config.seed},
    )
    real: list[Pair] = load_pairs(cell.shots, side)
    plans: list[ArmPlan] = []
    first = [
        one
        for one in made
        if one.samples.name == config.sampling.methods[0].name and one.samples.samples
    ]
    for arm in config.arms.arms:
        if arm == CEILING:
            plans.append(
                ArmPlan(
                    arm, lambda: ArmData(good, load_pairs(cell.data.fold.pool, side)), _ALL_KNOWN
                )
            )
        elif "ours" in arm:
            masks = "requested" if "requested" in arm else "refined"
            known = [] if arm == "ours only" else real
            augment = "classical" in arm
            plans += [
                _generated_plan(arm, one, masks, good, known, side, k, augment) for one in first
            ]
        else:
            makers = {"real+cutpaste": cut_paste_maker, "real+perlin": perlin_maker}
            data = ArmData(good, real, maker=makers.get(arm), augment=arm == "real+classical")
            plans.append(ArmPlan(arm, partial(_same, data), k))
    for one in made:
        if one.samples.name in config.arms.arm_generators and one.samples.samples:
            plans.append(
                _generated_plan(refined_arm(one.samples.name), one, "refined", good, real, side, k)
            )
    for other in others:
        pairs = sample_pairs(other, side, "refined")
        theirs = k | {"candidate": other.digest}
        plans.append(
            ArmPlan(f"real+{other.name}", partial(_same, ArmData(good, real, pairs)), theirs)
        )
        plans.append(
            ArmPlan(f"{other.name} only", partial(_same, ArmData(good, [], pairs)), theirs)
        )
    return plans


def join_plans(whole: FoldPictures, plans: Sequence[Sequence[ArmPlan]]) -> list[ArmPlan]:
    """The arms of all classes of an object together; an arm that lacks samples of some classes has
    those of the others.

    Args:
        plans: of each class.
    """
    arms: dict[str, list[ArmPlan]] = {}
    for plan in (plan for own in plans for plan in own):
        arms.setdefault(plan.name, []).append(plan)
    joined = []
    for name, own in arms.items():
        same = all(plan.settings == own[0].settings for plan in own)
        settings = own[0].settings if same else {"classes": [plan.settings for plan in own]}
        joined.append(ArmPlan(name, partial(_joined_data, whole, own), settings))
    return joined


def _joined_data(whole: FoldPictures, plans: Sequence[ArmPlan]) -> ArmData:
    parts = [plan.data() for plan in plans]
    real = [pair for part in parts for pair in part.real]
    synthetic = [pair for part in parts for pair in part.synthetic]
    return replace(parts[0], good=whole.good, real=real, synthetic=synthetic)


def _generated_plan(
    arm: str,
    made: MethodSamples,
    masks: str,
    good: Sequence[Picture],
    real: Sequence[Pair],
    side: int,
    known: dict[str, Any],
    augment: bool = False,
) -> ArmPlan:
    """An arm of one generator's samples; ``masks``: "requested" or "refined"."""
    data = ArmData(good, real, sample_pairs(made.samples, side, masks), augment=augment)
    return ArmPlan(arm, partial(_same, data), known | {"generator": made.key, "masks": masks})


def _same(data: ArmData) -> ArmData:
    return data


def fit_settings(config: EvaluateConfig) -> FitSettings:
    """The detector's settings."""
    return FitSettings(
        config.detector.crop,
        config.detector.width,
        config.detector.epochs,
        config.detector.draws,
        config.detector.detector_batch,
        config.detector.detector_lr,
        config.detector.synthetic_share,
    )


def detector_rows(
    config: EvaluateConfig,
    store: Store,
    cell: Cell,
    pictures: FoldPictures,
    plans: Sequence[ArmPlan],
) -> list[Row]:
    """Train and test every arm with every seed, the seeds inside so that a stopped run compares
    whole arms."""
    rows: list[Row] = []
    for plan in plans:
        own = _own_cell(cell, plan)
        for seed in config.arms.seeds:
            name, settings = _key(config, own, plan, seed)
            value = store.get(
                "detector", name, settings, partial(_unit, config, store, own, pictures, plan, seed)
            )
            rows += _metric_rows(cell, plan.name, value, seed)
    return rows


def map_strips(
    config: EvaluateConfig, store: Store, cell: Cell, plans: Sequence[ArmPlan]
) -> dict[str, Path]:
    """Titles and pictures of the first seed's maps, of the arms that matter most."""
    found = {}
    for plan in plans:
        if plan.name in _MAPPED:
            own = _own_cell(cell, plan)
            where = f"{place(own.data.object, own.data.defect, own.k)}, fold {own.data.number}, {plan.name}, seed {config.arms.seeds[0]}"
            found[
                f"{where}: held-out defects with their human masks, each beside the detector's map"
            ] = store.root / "pictures" / f"{_kept(config, store, own, plan)}.png"
    return {title: path for title, path in found.items() if path.is_file()}


def _own_cell(cell: Cell, plan: ArmPlan) -> Cell:
    """The ceiling knows all real defects, whatever the cell's number."""
    return Cell(cell.data, 0, cell.data.fold.pool) if plan.name == CEILING else cell


def _kept(config: EvaluateConfig, store: Store, cell: Cell, plan: ArmPlan) -> str:
    """What the files of the first seed's detector are called: its weights and a few of its maps."""
    return store.path("detector", *_key(config, cell, plan, config.arms.seeds[0])).stem


def _key(
    config: EvaluateConfig, cell: Cell, plan: ArmPlan, seed: int
) -> tuple[str, dict[str, Any]]:
    """Name and settings of a unit. Where all real defects are known, real only is the ceiling and
    shares its unit."""
    same = plan.name == REAL and cell.k == 0
    arm, own = (CEILING, _ALL_KNOWN) if same else (plan.name, plan.settings)
    settings = asdict(fit_settings(config)) | {
        "resolution": config.detector.resolution,
        "split": cell.data.digest,
        "arm": arm,
    }
    return f"{cell.name}-{arm}-s{seed}", settings | own | {"seed": seed}


def _metric_rows(cell: Cell, subject: str, value: dict[str, Any], seed: int | None) -> list[Row]:
    fold = cell.data.fold
    reference = f"{len(fold.test)} held-out defects, {len(fold.good_test)} good pictures"
    n = len(fold.test) + len(fold.good_test)
    measurement = Measurement("detection", cell, subject, n, reference, seed)
    return [measurement.row(metric, value[metric]) for metric in METRICS]


def _unit(
    config: EvaluateConfig,
    store: Store,
    cell: Cell,
    pictures: FoldPictures,
    plan: ArmPlan,
    seed: int,
) -> dict[str, Any]:
    """One detector; the first seed's weights and a few maps are kept for the landscape and the
    report."""
    device = pick_device(config.device)
    fitted = fit(plan.data(), pictures.validation, fit_settings(config), seed, device)
    figures, maps = score_detector(fitted.net, pictures.test)
    if seed == config.arms.seeds[0]:
        stem = _kept(config, store, cell, plan)
        with atomic_write(store.root / "detectors" / f"{stem}.safetensors") as file:
            file.write(
                save(
                    {name: one.contiguous() for name, one in fitted.net.cpu().state_dict().items()}
                )
            )
        write_picture(store.root / "pictures" / f"{stem}.png", strip(pictures.test, maps))
    return figures | {"epoch": fitted.epoch, "validation_pixel_ap": list(fitted.validation)}


def strip(pairs: Sequence[Pair], maps: Sequence[Any]) -> Picture:
    """The first test defects, each with its truth (green line) beside the detector's map, on one
    scale for all."""
    squares = []
    low, high = (float(edge([edge(found) for found in maps[:_SHOWN]])) for edge in (np.min, np.max))
    for (picture, mask), found in list(zip(pairs, maps, strict=True))[:_SHOWN]:
        heat = np.round((found - low) / max(high - low, 1e-6) * 255).astype(np.uint8)
        squares += [outlined(picture, mask, GREEN), warmed(picture, heat)]
    framed = [
        np.pad(square, ((0, 0), (0, _GAP), (0, 0)), constant_values=255) for square in squares
    ]
    return np.concatenate(framed, axis=1)


def kept_detector(
    config: EvaluateConfig, store: Store, cell: Cell, pictures: FoldPictures, plan: ArmPlan
) -> SegmentationNet:
    """The first seed's trained detector of an arm; trained again where its file is gone."""
    seed = config.arms.seeds[0]
    path: Path = store.root / "detectors" / f"{_kept(config, store, cell, plan)}.safetensors"
    if not path.is_file():
        _unit(config, store, cell, pictures, plan, seed)
    net = make_net(config.detector.width, seed)
    net.load_state_dict(load_file(path))
    return net.to(pick_device(config.device)).eval()


def patchcore_rows(
    config: EvaluateConfig, store: Store, cell: Cell, pictures: FoldPictures
) -> list[Row]:
    """The unsupervised baseline: it sees good pictures only, and so is the same for every number of
    shots."""
    settings = {
        "split": cell.data.digest,
        "share": config.patchcore.patchcore_share,
        "resolution": config.detector.resolution,
        "seed": config.seed,
    }

    def maps(good: Sequence[Picture], test: Sequence[Picture]) -> Sequence[Any]:
        return patchcore(good, test, config.patchcore.patchcore_share, config.seed)

    return _metric_rows(
        cell,
        PATCHCORE,
        store.get("patchcore", cell.data.name, settings, _unsupervised(pictures, maps)),
        config.seed,
    )


def reverse_distillation_rows(
    config: EvaluateConfig, store: Store, cell: Cell, pictures: FoldPictures
) -> list[Row]:
    """The other unsupervised baseline; no rows where ``optional.skips`` names what it lacks."""
    if not can("reverse distillation"):
        return []
    settings = {
        "split": cell.data.digest,
        "epochs": config.reverse_distillation.reverse_epochs,
        "resolution": config.detector.resolution,
        "seed": config.seed,
    }

    def maps(good: Sequence[Picture], test: Sequence[Picture]) -> Sequence[Any]:
        return reverse_distillation(
            good,
            test,
            config.reverse_distillation.reverse_epochs,
            config.seed,
            pick_device(config.device),
        )

    value = store.get(
        "reverse-distillation", cell.data.name, settings, _unsupervised(pictures, maps)
    )
    return _metric_rows(cell, REVERSE_DISTILLATION, value, config.seed)


def _unsupervised(
    pictures: FoldPictures, maps: Callable[[Sequence[Picture], Sequence[Picture]], Sequence[Any]]
) -> Callable[[], dict[str, Any]]:
    """All metrics of a method that learns from good pictures: ``maps(good, test)`` are its anomaly
    maps."""

    def measured() -> dict[str, Any]:
        test = pictures.test
        found = maps(pictures.good, [picture for picture, _ in test])
        return dict(detection_metrics([mask for _, mask in test], found, highest))

    return measured


def landscape_rows(
    config: EvaluateConfig,
    store: Store,
    cell: Cell,
    pictures: FoldPictures,
    plans: Sequence[ArmPlan],
) -> tuple[list[Row], dict[str, Any]]:
    """Loss surfaces (name -> grid) and top eigenvalues of the detectors with and without ours, on
    crops of the test side."""
    rows, grids = [], {}
    for plan in plans:
        if plan.name not in LANDSCAPE_ARMS:
            continue
        name, settings = _key(config, cell, plan, config.arms.seeds[0])
        settings |= {
            "points": config.landscape.landscape_points,
            "crops": config.landscape.landscape_crops,
            "eigenvalue": "lanczos",
        }

        def measured(plan: ArmPlan = plan) -> dict[str, Any]:
            net = kept_detector(config, store, cell, pictures, plan)
            batches = _test_batches(config, pictures)
            grid = landscape(net, batches, config.landscape.landscape_points, config.seed)
            return {"grid": grid.tolist(), "eigenvalue": top_eigenvalue(net, batches, config.seed)}

        value = store.get("landscape", name, settings, measured)
        grids[f"{cell.name}: {plan.name}"] = value["grid"]
        reference = f"focal loss on {config.landscape.landscape_crops} crops of the test side"
        middle = value["grid"][config.landscape.landscape_points // 2][
            config.landscape.landscape_points // 2
        ]
        measurement = Measurement(
            "landscape",
            cell,
            plan.name,
            config.landscape.landscape_crops,
            reference,
            config.arms.seeds[0],
        )
        rows.append(measurement.row("top Hessian eigenvalue", value["eigenvalue"]))
        rows.append(measurement.row("loss at the minimum", middle))
    return rows, grids


def _test_batches(
    config: EvaluateConfig, pictures: FoldPictures
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Fixed crops of the test side, half of them with defects."""
    defects = [pair for pair in pictures.test if pair[1].any()]
    good = [picture for picture, mask in pictures.test if not mask.any()]
    settings = FitSettings(
        config.detector.crop, config.detector.width, 1, 1, LANDSCAPE_BATCH, 1.0, 0.0
    )
    device = pick_device(config.device)
    drawn = [
        draw_batch(ArmData(good, defects), settings, config.seed, step)
        for step in range(config.landscape.landscape_crops // LANDSCAPE_BATCH)
    ]
    return [(pictures.to(device), truth.to(device)) for pictures, truth in drawn]
