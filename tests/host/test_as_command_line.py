"""The same real defects, pictures and seeds through a graph on a real host and through the command
line's own functions: equal verdicts and figures."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bgdefect_core.finishing import Painted
from bgdefect_core.jobs import Framing, Job, PaintSettings
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.randomness import attempt_seed
from bgdefect_core.method.sampling import SamplingSettings
from bgdefect_core.method.start import StartSettings
from bgdefect_core.networks import ClassNetworks
from bgdefect_core.painting import paint
from bgdefect_core.pictures.mask_files import read_library
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.preparing import prepare
from bgdefect_core.quality import ClassProfile, Standard
from bgdefect_core.records.manifest import read_manifest
from trainer.bases.apply import load_trained

from .conftest import Figure
from .graph import change, ids, load, named, to_api
from .server import PACK, Server, pixels
from .test_registration import load_pack

GOOD = PACK / "bgdefect_core/assets/demo/good/brushed_metal_0.png"
WEIGHTS = PACK / "bgdefect_core/assets/demo/brushed_metal-scratch.safetensors"
LIBRARY = "alike/ground_truth/dent"
MASK_SEED, SEED, VARIANTS, STEPS = 3, 5, 4, 4
START = (0.3, 0.8)


def write_real_defects(folder: Path) -> None:
    """Six dark dents of several sizes, cut from a good picture."""
    good = pixels(GOOD)
    rows, columns = np.mgrid[:64, :64]
    for number in range(6):
        mask = (rows - 32) ** 2 / (6 + number) ** 2 + (columns - 30) ** 2 / 81 < 1
        picture = good[number * 8 : number * 8 + 64, 20:84].copy()
        picture[mask] = picture[mask] // 3
        write_picture(folder / "test" / "dent" / f"{number}.png", picture)
        write_mask(folder / "ground_truth" / "dent" / f"{number}_mask.png", mask)


def graph(object_info: dict[str, Any]) -> dict[str, Any]:
    """The workflow of a data set, with samples that start from real defects."""
    prompt = to_api(load(named("3_")), object_info)
    place, crop = ids(prompt, "BGDefectPlaceMask")[0], ids(prompt, "BGDefectCropToMask")[0]
    vae = prompt[ids(prompt, "VAEEncode")[0]]["inputs"]["vae"]
    prompt = change(prompt, "BGDefectLoadPictures", page=0, count=1)
    prompt = change(
        prompt,
        "BGDefectPlaceMask",
        library=LIBRARY,
        part="texture",
        seed=MASK_SEED,
        directions="as_set",
    )
    prompt = change(prompt, "BGDefectApplyWeights", strength=1.0)
    prompt = change(prompt, "BGDefectInversion", steps=STEPS)
    prompt = change(
        prompt,
        "BGDefectSampler",
        seed=SEED,
        variants=VARIANTS,
        guidance=1.0,
        pasted=["901", 0],
        start_min=START[0],
        start_max=START[1],
    )
    prompt["900"] = {
        "class_type": "BGDefectCropPicture",
        "inputs": {"crop": [crop, 2], "image": [place, 2]},
    }
    prompt["901"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["900", 0], "vae": vae}}
    return change(prompt, "BGDefectSaveDataSet", folder="alike", defect="dent")


def by_the_command_line(inputs: Path) -> list[Painted]:
    """What `generate` paints of the mask that the graph's node places."""
    nodes = load_pack("alike_pack").__name__
    placing, libraries = (import_module(f"{nodes}.{name}") for name in ("_placing", "_libraries"))
    settings = import_module(f"{nodes}.pictures").PlacementSettings(180.0, (0.8, 1.25), True, 0.04)
    picture = pixels(GOOD).copy()
    [mask] = placing.new_masks(
        torch.from_numpy(picture)[None].float() / 255,
        libraries.mask_library(LIBRARY, None, inputs),
        placing.PlacingArea("texture"),
        settings,
        1,
        MASK_SEED,
    )
    job = Job(Picture(picture), (mask.mask,), mask.real.surroundings, (mask.real.exemplar,))
    base, info = load_trained(None, WEIGHTS, False)
    prompts = base.prompts(info.background_prompt, [info.defect_prompt], info.mask_prompt)
    framing = Framing(info.resolution, "defect")
    paints = PaintSettings(SamplingSettings(steps=STEPS), StartSettings(("real",), START))
    library = read_library(inputs / LIBRARY, pictures=inputs / "alike/test/dent")
    profile = ClassProfile.from_library(library, framing.resolution, framing.zoom)
    assert profile.strength is not None
    attempts = [paints.attempt(0, attempt_seed(SEED, number, 0)) for number in range(VARIANTS)]
    with unet_predictor(base.unet, base.schedule) as predict:
        networks = ClassNetworks(base, predict, prompts)
        prepared = prepare(networks, [job], framing, paints)
        return paint(networks, prepared, attempts, paints, Standard(profile=profile))


@pytest.mark.slow
def test_a_graph_judges_as_the_command_line(
    server: Server, object_info: dict[str, Any], figure: Figure
) -> None:
    inputs = server.base / "input"
    write_real_defects(inputs / "alike")
    run = server.run(graph(object_info), 900)
    assert run.status == "success", run.error
    root = server.base / "output" / "alike"
    records = read_manifest(root / "extras/brushed_metal/dent/manifest.jsonl")
    samples = by_the_command_line(inputs)
    assert len(records) == len(samples) == VARIANTS
    furthest = 0
    for record, sample in zip(records, samples, strict=True):
        verdict = sample.judgement.verdict
        assert record.verdict == ("good" if verdict.good else verdict.reason)
        assert record.start is not None
        assert record.start["level"] == pytest.approx(sample.start_level, abs=1e-9)
        expected = sample.judgement.figures
        assert {"real_share", "exemplar_difference", "continuity"} <= expected.keys()
        assert record.quality == pytest.approx(expected, rel=0.02, abs=0.01)
        assert np.array_equal(pixels(root / record.requested)[..., 0] > 127, sample.requested)
        difference = pixels(root / record.file).astype(int) - sample.picture.pixels
        furthest = max(furthest, int(np.abs(difference).max()))
    figure("largest difference of a pixel, levels of 255", furthest)
    assert furthest <= 3
    verdicts = [record.verdict for record in records]
    figure("verdicts", ", ".join(verdicts))
