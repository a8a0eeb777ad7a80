"""The shipped workflows on the real host: they fit it, they run, and what comes out is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bgdefect_core.pictures.crop import crop_box, default_feather
from bgdefect_core.pictures.masks import feather
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.records.manifest import read_manifest

from .conftest import Figure
from .graph import WORKFLOWS, after_run, change, ids, load, named, problems, saving, to_api
from .server import PACK, Run, Server, pixels, shown

STEPS = 4


def prompt_of(start: str, object_info: dict[str, Any], steps: int | None = None) -> dict[str, Any]:
    """A workflow's prompt; with ``steps`` from noise, so that all of them are taken."""
    prompt = saving(to_api(load(named(start)), object_info))
    return prompt if steps is None else from_noise(change(prompt, "BGDefectInversion", steps=steps))


def from_noise(prompt: dict[str, Any]) -> dict[str, Any]:
    """Samples that start at level 1."""
    if ids(prompt, "BGDefectGuider"):
        return change(prompt, "BGDefectGuider", start_level=1.0)
    return change(prompt, "BGDefectSampler", start_min=1.0, start_max=1.0)


def inverted(prompt: dict[str, Any]) -> dict[str, Any]:
    """With the inversion that the shipped workflows skip."""
    return change(
        change(prompt, "BGDefectInversion", skip=False), "BGDefectSampler", background="replay"
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_it_fits_the_host(path: Path, object_info: dict[str, Any]) -> None:
    workflow = load(path)
    assert problems(workflow, object_info) == []


def test_the_host_offers_all_as_templates(server: Server) -> None:
    offered = [
        names for pack, names in server.get("/workflow_templates").items() if pack == "bgdefect"
    ]
    assert [sorted(names) for names in offered] == [[path.stem for path in WORKFLOWS]]


def test_quick_start_at_few_steps(server: Server, object_info: dict[str, Any]) -> None:
    prompt = prompt_of("1_", object_info, STEPS)
    sampler, inversion = ids(prompt, "BGDefectSampler")[0], ids(prompt, "BGDefectInversion")[0]
    run = server.run(prompt)
    assert run.status == "success", run.error
    assert len(run.previews) >= STEPS  # a picture a step
    assert steps_of(run, sampler) >= STEPS and steps_of(run, inversion) == 0
    results = shown(server, run.outputs[ids(prompt, "SaveImage")[0]])
    good = pixels(sorted((PACK / "bgdefect_core/assets/demo/good").iterdir())[0])
    assert len(results) == 2
    for path in results:
        changed = (pixels(path) != good).any(axis=2)
        assert 0 < changed.mean() < 0.1
    [report] = run.outputs[ids(prompt, "PreviewAny")[0]]["text"]
    assert report.count("background psnr 100,") == 2 and report.count("background max 0,") == 2

    replay = inverted(prompt)
    first = server.run(replay)
    assert first.status == "success", first.error
    assert steps_of(first, sampler) >= STEPS and steps_of(first, inversion) >= STEPS
    again = server.run(change(replay, "BGDefectSampler", seed=77))
    assert again.status == "success", again.error
    assert sampler in again.executed and inversion not in again.executed


def steps_of(run: Run, node: str) -> int:
    """How many steps a node reported, each once and in order."""
    values = [value for name, value, _ in run.progress if name == node]
    assert values == sorted(values)
    return len(values)


def test_the_quick_start_refines_by_every_signal(
    server: Server, object_info: dict[str, Any]
) -> None:
    prompt = prompt_of("1_", object_info, STEPS)
    prompt = change(prompt, "BGDefectRefineMask", maps=[ids(prompt, "BGDefectSampler")[0], 1])
    reports = set()
    for signal in ("difference", "attention", "product"):
        run = server.run(change(prompt, "BGDefectRefineMask", signal=signal))
        assert run.status == "success", (signal, run.error)
        reports.add(tuple(run.outputs[ids(prompt, "PreviewAny")[0]]["text"]))
    assert len(reports) == 3  # the fill differs


def test_a_library_with_its_pictures_places_masks_where_it_looks_alike(server: Server) -> None:
    """Dents that were seen on white only: of a picture that is half white, that half gets all
    masks."""
    real, dent, good = (
        np.full((40, 40, 3), 255, np.uint8),
        np.zeros((40, 40), np.bool_),
        np.zeros((64, 96, 3), np.uint8),
    )
    dent[16:24, 16:24], good[:, 48:] = True, 255
    real[dent] = 128
    folder = server.base / "input" / "parts"
    write_picture(folder / "test/dent/000.png", real)
    write_mask(folder / "ground_truth/dent/000_mask.png", dent)
    write_picture(server.base / "input/half.png", good)
    placing = {
        "image": ["1", 0],
        "library": "parts/ground_truth/dent",
        "number": 8,
        "part": "texture",
        "rotate": 180.0,
        "seed": 3,
    }
    placing |= {"scale_min": 0.8, "scale_max": 1.25, "flip": True, "elastic": 0.04}
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "half.png"}},
        "2": {"class_type": "BGDefectPlaceMask", "inputs": placing},
        "3": {"class_type": "MaskToImage", "inputs": {"mask": ["2", 1]}},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }
    run = server.run(prompt)
    assert run.status == "success", run.error
    masks = [pixels(path)[..., 0] > 127 for path in shown(server, run.outputs["4"])]
    assert len(masks) == 8 and all(mask.any() and not mask[:, :48].any() for mask in masks)
    assert len({mask.tobytes() for mask in masks}) > 4


def test_cancel_leaves_the_server_healthy(server: Server, object_info: dict[str, Any]) -> None:
    prompt = inverted(prompt_of("1_", object_info, 12))
    prompt = change(prompt, "BGDefectPlaceMask", seed=11)
    for kind in ("BGDefectInversion", "BGDefectSampler"):
        node = ids(prompt, kind)[0]
        run = server.run(prompt, cancel_at=(node, 2))
        assert run.status == "interrupted"
        last = [value for name, value, _ in run.progress if name == node][-1]
        assert last <= 5  # within a step or two, not at the end
        assert not run.error
    place = ids(prompt, "BGDefectPlaceMask")[0]
    run = server.run(change(prompt, "BGDefectPlaceMask", number=64), cancel_at=(place, 1))
    assert (
        run.status == "interrupted"
        and run.progress[-1][0] == place
        and run.progress[-1][1] < run.progress[-1][2] == 64
    )
    short = change(prompt, "BGDefectInversion", steps=STEPS)
    after = server.run(short)
    assert after.status == "success", after.error
    one = [pixels(path) for path in shown(server, after.outputs[ids(short, "SaveImage")[0]])]
    server.post("/free", {"free_memory": True, "unload_models": True})
    fresh = server.run(change(short, "SaveImage", filename_prefix="again"))
    two = [pixels(path) for path in shown(server, fresh.outputs[ids(short, "SaveImage")[0]])]
    assert all(np.array_equal(first, second) for first, second in zip(one, two, strict=True))


def test_the_hosts_own_sampler_shows_previews_and_can_be_cancelled(
    server: Server, object_info: dict[str, Any]
) -> None:
    prompt = change(prompt_of("6_", object_info, 12), "BGDefectPlaceMask", seed=12)
    sampler = ids(prompt, "SamplerCustomAdvanced")[0]
    cut = server.run(prompt, cancel_at=(sampler, 2))
    assert cut.status == "interrupted" and not cut.error
    assert [value for name, value, _ in cut.progress if name == sampler][-1] <= 5
    run = server.run(prompt)
    assert run.status == "success", run.error
    assert steps_of(run, sampler) >= 12 and len(run.previews) >= 12
    [one] = shown(server, run.outputs[ids(prompt, "SaveImage")[0]])
    server.post("/free", {"free_memory": True, "unload_models": True})
    fresh = server.run(change(prompt, "SaveImage", filename_prefix="again"))
    [two] = shown(server, fresh.outputs[ids(prompt, "SaveImage")[0]])
    assert np.array_equal(pixels(one), pixels(two))


def watched(prompt: dict[str, Any], wires: dict[str, list[Any]], kind: str) -> dict[str, Any]:
    """The prompt with a preview of each of these outputs, of MASK or IMAGE, by name."""
    for name, wire in wires.items():
        if kind == "MASK":
            prompt = prompt | {
                f"{name} as image": {"class_type": "MaskToImage", "inputs": {"mask": wire}}
            }
            wire = [f"{name} as image", 0]
        prompt = prompt | {name: {"class_type": "PreviewImage", "inputs": {"images": wire}}}
    return prompt


@pytest.mark.slow
@pytest.mark.parametrize("start", ["1_", "4_", "5_", "6_"])
def test_it_runs_to_the_end(
    server: Server, object_info: dict[str, Any], start: str, figure: Figure
) -> None:
    """What comes out is looked at in the files: the background, the labels, and in each requested
    mask a change."""
    prompt = prompt_of(start, object_info)
    quality = ids(prompt, "BGDefectQuality")[0]
    masks, labels = {"mask": [quality, 2]}, {"label": [quality, 1]}
    for number in ids(prompt, "BGDefectRefineMask"):
        if "mask" in prompt[number]["inputs"]:  # of one defect
            masks[f"mask {number}"], labels[f"label {number}"] = (
                prompt[number]["inputs"]["mask"],
                [number, 0],
            )
    assert len(masks) == (3 if start == "4_" else 1)
    crop = prompt[ids(prompt, "BGDefectCropToMask")[0]]["inputs"]
    seen = watched(watched(prompt, masks | labels, "MASK"), {"good": crop["image"]}, "IMAGE")
    run = server.run(seen, 900)
    assert run.status == "success", run.error
    figure(f"{start}: seconds", round(run.seconds, 1))

    results = [pixels(path) for path in shown(server, run.outputs[ids(prompt, "SaveImage")[0]])]
    [good] = [pixels(path) for path in shown(server, run.outputs["good"])]
    if start != "5_":
        page = prompt[ids(prompt, "BGDefectLoadPictures")[0]]["inputs"]["page"]
        assert np.array_equal(
            good, pixels(sorted((PACK / "bgdefect_core/assets/demo/good").iterdir())[page])
        )
    assert results and good.shape == ((1536, 2048, 3) if start == "5_" else (256, 384, 3))
    for number, result in enumerate(results):
        for asked, found in zip(masks, labels, strict=True):
            mask, label = (_of_sample(server, run, name, number) for name in (asked, found))
            assert label.any() and not (label & ~mask).any(), (number, found)
            changed = np.abs(result.astype(int) - good)[mask].max(axis=1)
            assert np.percentile(changed, 95) > 12, (number, asked)
        mask = _of_sample(server, run, "mask", number)
        band = feather(mask, default_feather(crop_box(mask, 128, "defect"), mask)) > 0
        assert np.array_equal(result[~band], good[~band]), number
    overlays = shown(server, run.outputs[ids(prompt, "BGDefectPreview")[0]])
    assert len(overlays) == len(results) and all(
        len(np.unique(pixels(path))) > 16 for path in overlays
    )


def _of_sample(server: Server, run: Run, name: str, number: int) -> np.ndarray:
    """One of a preview's masks; where there are fewer than samples they repeat."""
    files = shown(server, run.outputs[name])
    return pixels(files[number % len(files)])[..., 0] > 127


@pytest.mark.slow
def test_the_guider_with_euler_equals_the_sampler(
    server: Server, object_info: dict[str, Any]
) -> None:
    one = prompt_of("1_", object_info, 10)
    other = prompt_of("6_", object_info, 10)
    latent = other[ids(other, "SamplerCustomAdvanced")[0]]["inputs"]["latent_image"]
    other["900"] = {"class_type": "RepeatLatentBatch", "inputs": {"samples": latent, "amount": 3}}
    other = change(
        change(other, "SamplerCustomAdvanced", latent_image=["900", 0]), "BGDefectNoise", seed=5
    )
    other = change(other, "KSamplerSelect", sampler_name="euler")
    one = change(one, "BGDefectSampler", variants=3, seed=5, solver="ddim")
    results = []
    for prompt in (one, other):
        prompt = change(change(prompt, "BGDefectPlaceMask", seed=3), "BGDefectLoadPictures", page=0)
        run = server.run(prompt, 600)
        assert run.status == "success", run.error
        results.append(
            [
                pixels(path).astype(int)
                for path in shown(server, run.outputs[ids(prompt, "SaveImage")[0]])
            ]
        )
    assert len(results[0]) == len(results[1]) == 3
    for sample, same in zip(*results, strict=True):
        assert np.abs(sample - same).max() <= 1  # of 255: the latents agree to 1e-4
    assert np.abs(results[0][0] - results[0][1]).max() > 1


@pytest.mark.slow
def test_the_data_set_grows_run_by_run(server: Server, object_info: dict[str, Any]) -> None:
    workflow, rng = load(named("3_")), np.random.default_rng(1)
    root = server.base / "output" / "night"  # a folder of its own: the random prompts save, too
    made = 0
    for _ in range(2):
        prompt = change(to_api(workflow, object_info), "BGDefectInversion", steps=10)
        run = server.run(change(prompt, "BGDefectSaveDataSet", folder="night"), 900)
        assert run.status == "success", run.error
        workflow = after_run(workflow, object_info, rng)
        made += 4
        records = read_manifest(root / "extras/brushed_metal/scratch/manifest.jsonl")
        assert [record.index for record in records] == list(range(made))
    assert len({record.seed for record in records}) == made  # no sample starts from another's noise
    sources = {record.source_sha256 for record in records}
    assert len(sources) == 2 and len(list((root / "brushed_metal/train/good").iterdir())) == 2
    accepted = [record for record in records if record.accepted]
    for record in records:
        assert (record in accepted) == (record.verdict == "good")
        picture, label = pixels(root / record.file), pixels(root / record.label)[..., 0]
        good = pixels(root / record.good_file(root))
        requested = pixels(root / record.requested)[..., 0] > 0
        assert picture.shape == good.shape and set(np.unique(label)) <= {0, 255}
        assert not (label[~requested] > 0).any()
        far = ~_grown(requested, 24)
        assert np.array_equal(picture[far], good[far])
        assert json.loads(
            (root / "extras/brushed_metal/scratch" / record.mask_origin["prompt"]).read_text()
        )
    tests = sorted((root / "brushed_metal/test/scratch").glob("*"))
    labels = sorted((root / "brushed_metal/ground_truth/scratch").glob("*"))
    assert [path.stem for path in tests] == [path.stem.removesuffix("_mask") for path in labels]
    assert len(tests) == len(accepted)


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    from scipy import ndimage

    return ndimage.distance_transform_edt(~mask) <= pixels
