"""Train and generate, end to end through the command, on the other layouts and bases; what
generation refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.records.manifest import ManifestLine, read_manifest
from trainer.data.annotations.outlines import outlines_of

from .conftest import Run, save_tiny_base

EASY = [
    "--min-strength",
    0,
    "--min-contrast",
    0,
    "--min-real-share",
    0,
    "--min-fill",
    0,
    "--min-latent-background-psnr",
    0,
    "--class-share",
    0,
    "--no-shared",
]
SHORT = ["--steps", 1, "--views", 1, "--batch", 1, "--device", "cpu"]
FEW = ["--count", 1, "--batch", 1, "--retries", 0, "--steps", 2, "--device", "cpu"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def loco(plates: Path, root: Path) -> Path:
    """The spots in MVTec LOCO's layout: a folder of masks a picture, in which every value but 0
    counts."""
    for good in sorted((plates / "train/good").iterdir()):
        write_picture(root / "train/good" / good.name, read_picture(good))
    for number in range(3):
        write_picture(
            root / f"test/logical/00{number}.png",
            read_picture(plates / f"test/spot/00{number}.png"),
        )
        mask = read_mask(plates / f"ground_truth/spot/00{number}_mask.png")
        parts = mask.copy(), mask.copy()
        middle = int(np.flatnonzero(mask.any(axis=0)).mean())
        parts[0][:, middle:], parts[1][:, :middle] = False, False
        for part, value in enumerate((150, 3)):
            write_picture(
                root / f"ground_truth/logical/00{number}/00{part}.png",
                np.where(parts[part], value, 0).astype(np.uint8),
            )
    return root


def table(plates: Path, root: Path) -> Path:
    """The spots as a folder with a manifest.csv, parts in groups."""
    root.mkdir()
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(("image", "mask", "class", "defect", "group"))
        for number in range(3):
            writer.writerow((plates / f"train/good/00{number}.png", "", "disc", "good", ""))
        for number in range(4):
            mask = plates / f"ground_truth/spot/00{number}_mask.png"
            writer.writerow(
                (plates / f"test/spot/00{number}.png", mask, "disc", "dot", f"part {number // 2}")
            )
    return root


def made(run: Run, out: Path, object: str, defect: str, *options: object) -> ManifestLine:
    code, shown, error = run("generate", *options, "--output", out, *FEW, *EASY)
    assert code == 0 and "1 of 1 samples are good" in shown, error
    (record,) = read_manifest(out / "extras" / object / defect / "manifest.jsonl")
    normal, result = read_picture(Path(record.source)), read_picture(out / record.file)
    requested = read_mask(out / record.requested)
    assert (result != normal).any() and (result == normal).all(axis=2)[~requested].mean() > 0.5
    return record


def test_the_whole_way_on_locos_layout(
    plates: Path, tiny_base: Path, tmp_path: Path, run: Run
) -> None:
    root, weights = loco(plates, tmp_path / "box"), tmp_path / "w.safetensors"
    code, _, error = run(
        "train", "--data", root, "--output", weights, "--base", tiny_base, "--shots", 2, *SHORT
    )
    assert code == 0, error
    split = weights.with_suffix(".run") / "split.json"
    record = made(
        run,
        tmp_path / "out",
        "box",
        "logical",
        "--weights",
        weights,
        "--good",
        root,
        "--base",
        tiny_base,
        "--mask-split",
        split,
    )
    assert record.mask_origin["made_from"] in ("000", "001")
    assert record.mask_origin["file"] == str(
        root / "ground_truth/logical" / record.mask_origin["made_from"]
    )


def test_the_whole_way_on_a_csv(plates: Path, tiny_base: Path, tmp_path: Path, run: Run) -> None:
    root, weights = table(plates, tmp_path / "list"), tmp_path / "w.safetensors"
    train = ["train", "--data", root, "--output", weights, "--base", tiny_base, *SHORT]
    code, _, error = run(*train)
    assert code == 2 and "leads out of" in error  # its pictures lie elsewhere
    code, _, error = run(*train, "--outside-files")
    assert code == 0, error
    split = (weights.with_suffix(".run") / "split.json").read_text()
    assert [part in split for part in ("spot/000", "spot/001", "spot/002", "spot/003")] == [
        True
    ] * 4
    library = plates / "ground_truth/spot"
    options = ["--weights", weights, "--good", root, "--base", tiny_base, "--mask-library", library]
    record = made(run, tmp_path / "out", "disc", "dot", *options, "--outside-files")
    assert record.source.startswith(str(plates / "train/good"))


def drawn(plates: Path, root: Path) -> Path:
    """Three spots and three good pictures as COCO, the outlines of the masks as polygons."""
    places = [plates / f"test/spot/00{number}.png" for number in range(3)]
    places += sorted((plates / "train/good").iterdir())
    images, labels = [], []
    for number, place in enumerate(places):
        write_picture(root / f"images/{number}.png", read_picture(place))
        images.append({"id": number, "file_name": f"{number}.png", "height": 40, "width": 48})
    for number in range(3):
        mask = read_mask(plates / f"ground_truth/spot/00{number}_mask.png")
        parts = [face[0].ravel().tolist() for area in outlines_of(mask) for face in area]
        labels.append({"id": number, "image_id": number, "category_id": 1, "segmentation": parts})
    content = {"images": images, "annotations": labels, "categories": [{"id": 1, "name": "spot"}]}
    (root / "labels.json").write_text(json.dumps(content))
    return root


def test_the_whole_way_on_drawn_labels(
    plates: Path, tiny_base: Path, tmp_path: Path, run: Run
) -> None:
    root, weights = drawn(plates, tmp_path / "disc"), tmp_path / "w.safetensors"
    train = ["train", "--data", root, "--output", weights, "--base", tiny_base, "--shots", 2]
    code, _, error = run(*train, *SHORT)
    assert code == 0, error
    split = json.loads((weights.with_suffix(".run") / "split.json").read_text())
    assert split == {"train": ["images/0.png", "images/1.png"], "held_out": ["images/2.png"]}
    options = ["--weights", weights, "--good", root, "--base", tiny_base]
    split_file = weights.with_suffix(".run") / "split.json"
    record = made(
        run,
        tmp_path / "out",
        "disc",
        "spot",
        *options,
        "--mask-split",
        split_file,
        "--start",
        "real",
    )
    assert record.mask_origin["file"] in [str(root / f"images/{number}.png") for number in (0, 1)]
    assert record.settings["labels"] and record.start is not None
    alone = tmp_path / "alone"
    for place in sorted((plates / "train/good").iterdir()):
        write_picture(alone / place.name, read_picture(place))
    options = ["--weights", weights, "--good", alone, "--base", tiny_base, "--mask-library", root]
    options += ["--layout", "coco", "--format", "coco", "csv"]
    record = made(run, tmp_path / "other", "disc", "spot", *options)
    assert record.source.startswith(str(alone))
    exports = tmp_path / "other/exports/disc/spot"
    sides = sorted((exports / "coco/annotations").iterdir())
    images = json.loads(sides[-1].read_text())["images"]
    (sample,) = [image for image in images if "provenance" in image]
    assert sample["provenance"]["seed"] == record.seed and sample["provenance"]["base_licence"]
    assert sample["group"] == record.source_sha256[:16]
    text = (exports / "csv/manifest.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["defect"] for row in rows} == {"spot", "good"}
    mask = read_mask(exports / "csv" / next(row["mask"] for row in rows if row["mask"]))
    assert (mask == read_mask(tmp_path / "other" / record.label)).all()
    content = json.loads((root / "labels.json").read_text())
    content["annotations"][0]["segmentation"] = [[3, 3, 9, 3, 9, 9, 3, 9]]
    (root / "labels.json").write_text(json.dumps(content))
    code, _, error = run(*train, *SHORT)
    assert code == 2 and "train 0, regions was" in error  # other labels are another run


def test_the_whole_way_on_black_masks(
    plates: Path, tiny_base: Path, tmp_path: Path, run: Run
) -> None:
    """Spots and good pictures as KolektorSDD: real defects come from the data set itself."""
    root, weights = tmp_path / "disc", tmp_path / "w.safetensors"
    places = [plates / f"test/spot/00{number}.png" for number in range(3)]
    places += sorted((plates / "train/good").iterdir())
    for number, place in enumerate(places):
        folder = root / f"kos{number % 3:02d}"
        write_picture(folder / f"Part{number}.png", read_picture(place))
        labels = np.zeros((40, 48), np.uint8)
        if number < 3:
            labels[read_mask(plates / f"ground_truth/spot/00{number}_mask.png")] = 3
        write_picture(folder / f"Part{number}_label.png", labels)
    options = ["--output", weights, "--base", tiny_base, "--shots", 2]
    code, _, error = run("train", "--data", root, *options, *SHORT)
    assert code == 0, error
    split = weights.with_suffix(".run") / "split.json"
    trained = ["kos00/Part0.png", "kos01/Part1.png"]
    assert json.loads(split.read_text()) == {"train": trained, "held_out": ["kos02/Part2.png"]}
    options = ["--weights", weights, "--good", root, "--base", tiny_base, "--mask-split", split]
    record = made(run, tmp_path / "out", "disc", "defect", *options)
    files = [str(root / name.replace(".png", "_label.png")) for name in trained]
    assert record.mask_origin["file"] in files
    assert Path(record.source).name in [f"Part{number}.png" for number in range(3, len(places))]


def test_a_lora_on_another_base_warns(
    plates: Path, tiny_base: Path, tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tmp_path / "lora.safetensors"
    options = [
        "--data",
        plates,
        "--defect",
        "spot",
        "--output",
        weights,
        "--base",
        tiny_base,
        "--lora-rank",
        2,
    ]
    code, _, error = run("train", *options, *SHORT)
    assert code == 0, error
    other = save_tiny_base(tmp_path / "other", seed=1)
    made(
        run,
        tmp_path / "out",
        "plate",
        "spot",
        "--weights",
        weights,
        "--good",
        plates,
        "--base",
        other,
    )
    assert f"was trained on another base, '{tiny_base.name}': expect weaker defects" in caplog.text


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("empty good folder", "good is an empty folder"),
        ("empty ready mask", "0.png is empty"),
        ("no picture", "good has an unknown layout"),
    ],
)
def test_generate_refuses(
    case: str, said: str, weights: Path, tiny_base: Path, tmp_path: Path, run: Run
) -> None:
    good, masks = tmp_path / "good", tmp_path / "masks"
    good.mkdir()
    if case == "no picture":
        (good / "notes.txt").write_text("none")
    elif case == "empty ready mask":
        write_picture(good / "0.png", np.full((40, 48, 3), 90, np.uint8))
    write_mask(masks / "0.png", np.zeros((40, 48), bool))
    options = ["--weights", weights, "--good", good, "--masks", masks, "--base", tiny_base]
    code, _, error = run("generate", *options, "--output", tmp_path / "out")
    assert (
        code == 2 and said in error and "Traceback" not in error and not (tmp_path / "out").exists()
    )
