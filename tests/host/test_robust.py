"""Bad input, hostile workflows, hundreds of runs: the server stays up and says which input was
wrong."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .conftest import Figure
from .graph import change, ids, load, named, to_api
from .server import PACK, Refused, Server
from .test_registration import NODES

Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def quick(object_info: dict[str, Any]) -> dict[str, Any]:
    return change(to_api(load(named("1_")), object_info), "BGDefectInversion", steps=2)


def refusal(server: Server, prompt: dict[str, Any]) -> str:
    """What the server answers to a bad prompt, at once or when it runs."""
    try:
        run = server.run(prompt, 120)
    except Refused as refused:
        return str(refused)
    assert run.status == "error", run
    return f"{run.error['node_type']}: {run.error['exception_message']}"


def rewire(kind: str, name: str, node: str, slot: int = 0) -> Change:
    """Connect another node's output to an input."""

    def changed(prompt: dict[str, Any]) -> dict[str, Any]:
        return change(prompt, kind, **{name: [ids(prompt, node)[0], slot]})

    return changed


def value(kind: str, name: str, new: Any) -> Change:
    """Give an input another value."""
    return lambda prompt: change(prompt, kind, **{name: new})


def unplug(kind: str, name: str) -> Change:
    """Leave an input open."""

    def changed(prompt: dict[str, Any]) -> dict[str, Any]:
        prompt = change(prompt, kind)
        for number in ids(prompt, kind):
            del prompt[number]["inputs"][name]
        return prompt

    return changed


def empty_mask(kind: str, name: str, size: int = 64, level: float = 0.0) -> Change:
    """Connect a solid mask."""

    def changed(prompt: dict[str, Any]) -> dict[str, Any]:
        extra = {
            "900": {
                "class_type": "SolidMask",
                "inputs": {"value": level, "width": size, "height": size},
            }
        }
        return change(prompt | extra, kind, **{name: ["900", 0]})

    return changed


def product_with_a_sample_left_out(prompt: dict[str, Any]) -> dict[str, Any]:
    """The signal product with the maps of two samples and the picture of one."""
    decoded = prompt[ids(prompt, "BGDefectRefineMask")[0]]["inputs"]["painted"]
    extra = {
        "900": {
            "class_type": "ImageFromBatch",
            "inputs": {"image": decoded, "batch_index": 0, "length": 1},
        }
    }
    maps = [ids(prompt, "BGDefectSampler")[0], 1]
    return change(
        prompt | extra, "BGDefectRefineMask", signal="product", painted=["900", 0], maps=maps
    )


BAD: list[tuple[str, Change, str]] = [
    ("missing folder", value("BGDefectLoadPictures", "folder", "no such folder"), "folder"),
    ("folder outside", value("BGDefectLoadPictures", "folder", "../output"), "folder"),
    ("no library", value("BGDefectPlaceMask", "library", "(masks input)"), "masks"),
    ("scale upside down", value("BGDefectPlaceMask", "scale_min", 5.0), "scale"),
    ("part", value("BGDefectPlaceMask", "part", "tray"), "part"),
    ("signal", value("BGDefectRefineMask", "signal", "guess"), "signal"),
    ("negative number", value("BGDefectPlaceMask", "number", 0), "number"),
    ("empty avoid is fine but small", empty_mask("BGDefectPlaceMask", "avoid", 50, 1.0), "avoid"),
    ("empty mask", empty_mask("BGDefectCropToMask", "mask", 256), "mask"),
    ("small mask", empty_mask("BGDefectCropToMask", "mask", 64), "mask"),
    ("full mask", empty_mask("BGDefectInversion", "mask", 128, 1.0), "mask"),
    ("resolution", value("BGDefectCropToMask", "resolution", 7), "resolution"),
    ("zoom", value("BGDefectCropToMask", "zoom", "half"), "zoom"),
    ("steps", value("BGDefectInversion", "steps", 0), "steps"),
    ("steps as text", value("BGDefectInversion", "steps", "many"), "steps"),
    ("mask for a picture", rewire("BGDefectStitch", "painted", "BGDefectCropToMask", 1), "painted"),
    (
        "whole picture as square",
        rewire("BGDefectStitch", "painted", "BGDefectLoadPictures"),
        "painted",
    ),
    ("background", value("BGDefectSampler", "background", "none"), "background"),
    ("guidance", value("BGDefectSampler", "guidance", -1.0), "guidance"),
    ("maps of other samples", product_with_a_sample_left_out, "painted"),
    ("signal without maps", value("BGDefectRefineMask", "signal", "attention"), "maps"),
    ("threshold", value("BGDefectRefineMask", "threshold", 2.0), "threshold"),
    ("threshold not a number", value("BGDefectRefineMask", "threshold", "half"), "threshold"),
    (
        "label of the square",
        rewire("BGDefectQuality", "refined", "BGDefectCropToMask", 1),
        "refined",
    ),
    ("other pictures", rewire("BGDefectQuality", "normal", "BGDefectLoadPictures"), "normal"),
    ("weights", value("BGDefectApplyWeights", "weights", "../../secret.safetensors"), "weights"),
    ("base", value("BGDefectLoadBase", "base", "../x"), "base"),
    ("missing wire", unplug("BGDefectStitch", "crop"), "crop"),
    ("wrong type of wire", rewire("BGDefectStitch", "crop", "BGDefectLoadBase"), "crop"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change_it", "named_input"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_bad_input_is_named(
    server: Server, quick: dict[str, Any], change_it: Change, named_input: str
) -> None:
    assert named_input in refusal(server, change_it(quick))
    assert server.alive()


SAVE: dict[str, Any] = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 255},
    },
    "2": {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 64, "height": 48}},
    "3": {"class_type": "SolidMask", "inputs": {"value": 0.0, "width": 64, "height": 48}},
    "4": {
        "class_type": "MaskComposite",
        "inputs": {"destination": ["3", 0], "source": ["5", 0], "x": 8, "y": 8, "operation": "add"},
    },
    "5": {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 9, "height": 9}},
    "6": {
        "class_type": "BGDefectSaveDataSet",
        "inputs": {"result": ["1", 0], "refined": ["4", 0], "mask": ["4", 0], "image": ["1", 0]}
        | {"folder": "safe", "object": "part", "defect": "spot"},
    },
}
ESCAPES = [
    "../escaped",
    "a/../../escaped",
    "/tmp/escaped-by-bgdefect",
    "linked/x",
    "C:\\escaped",
    "..\\escaped",
    "",
    ".",
]


def everything(folder: Path) -> set[str]:
    return {
        os.path.join(place, name)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name != "server.log"
    }


def test_a_data_set_cannot_leave_the_output_folder(server: Server, tmp_path: Path) -> None:
    output = server.base / "output"
    if not (output / "linked").exists():
        (output / "linked").symlink_to(tmp_path)
    plain = server.run(SAVE)
    assert plain.status == "success", plain.error
    before = everything(server.base) | everything(tmp_path)
    for folder in ESCAPES:
        assert "folder" in refusal(server, change(SAVE, "BGDefectSaveDataSet", folder=folder)), (
            folder
        )
    for name in ("../up", "/abs", "a/b", "..", "good"):
        assert "defect" in refusal(server, change(SAVE, "BGDefectSaveDataSet", defect=name)), name
        if name != "good":
            assert "object" in refusal(server, change(SAVE, "BGDefectSaveDataSet", object=name)), (
                name
            )
    trap = output / "trap" / "part" / "test"
    trap.mkdir(parents=True, exist_ok=True)
    if not (trap / "spot").exists():
        (trap / "spot").symlink_to(tmp_path)
    assert "is a link" in refusal(server, change(SAVE, "BGDefectSaveDataSet", folder="trap"))
    assert everything(server.base) | everything(tmp_path) == before
    assert not Path("/tmp/escaped-by-bgdefect").exists()
    (output / "linked").unlink()
    (trap / "spot").unlink()


def test_pictures_outside_cannot_be_read(
    server: Server, quick: dict[str, Any], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(secret / "a.png")
    linked, inner = server.base / "input" / "linked", server.base / "input" / "inner"
    linked.symlink_to(secret)
    inner.mkdir()
    (inner / "a.png").symlink_to(secret / "a.png")
    for folder in ("linked", "inner", str(secret), "../input", "linked/../../input"):
        for kind, name in (("BGDefectLoadPictures", "folder"), ("BGDefectPlaceMask", "library")):
            assert name in refusal(server, change(quick, kind, **{name: folder})), (folder, kind)
    linked.unlink()
    (inner / "a.png").unlink()
    inner.rmdir()


class Evil:
    """Unpickled it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def test_pickles_are_not_opened(server: Server, quick: dict[str, Any], tmp_path: Path) -> None:
    folder = server.base / "models" / "bgdefect"
    folder.mkdir(parents=True, exist_ok=True)
    left = tmp_path / "left"
    for name in ("evil.pt", "evil.safetensors"):
        (folder / name).write_bytes(pickle.dumps(Evil(left)))
        assert "weights" in refusal(server, change(quick, "BGDefectApplyWeights", weights=name)), (
            name
        )
        (folder / name).unlink()
    assert not left.exists()


HOSTILE: list[tuple[dict[str, Any] | str, bool]] = [
    # what is put in place of the record's fields (or of the whole record), and whether the file may
    # still paint
    (
        {
            "object": "../../escaped",
            "defect": "/tmp/escaped-by-bgdefect",
            "base_name": "../../../../etc/passwd",
        },
        True,
    ),
    (
        {
            "object": "{0.__class__}",
            "defect": "$(touch /tmp/escaped-by-bgdefect)",
            "date": "<script>alert(1)</script>",
        },
        True,
    ),
    (
        {
            "background_prompt": "((((" * 500,
            "defect_prompt": "embedding:../../escaped",
            "mask_prompt": "\x00\\(:1e999)",
        },
        True,
    ),
    ({"resolution": 10**12}, False),
    ({"lora_rank": -1}, False),
    ({"steps": "many"}, False),
    ({"architecture": "none"}, False),
    ("[" * 100_000, False),
    ("null", False),
    ('{"kind": NaN}', False),
]


def test_hostile_metadata_does_nothing(server: Server, quick: dict[str, Any]) -> None:
    """The demo's own tensors under metadata that an attacker wrote: painted or refused, nothing
    read or written elsewhere."""
    raw = (PACK / "bgdefect_core/assets/demo/brushed_metal-scratch.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    record = json.loads(header["__metadata__"]["bgdefect"])
    folder = server.base / "models" / "bgdefect"
    folder.mkdir(parents=True, exist_ok=True)
    before = everything(server.base / "models") | everything(server.base / "input")
    for number, (change_it, may_paint) in enumerate(HOSTILE):
        header["__metadata__"]["bgdefect"] = (
            change_it if isinstance(change_it, str) else json.dumps(record | change_it)
        )
        text = json.dumps(header).encode()
        file = folder / f"hostile{number}.safetensors"
        file.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
        prompt = change(quick, "BGDefectApplyWeights", weights=file.name)
        if may_paint:
            run = server.run(prompt, 120)
            assert run.status == "success" or ".errors." in run.error["exception_type"], (
                change_it,
                run.error,
            )
        else:
            assert "weights" in refusal(server, prompt), change_it
        file.unlink()
        assert server.alive()
    assert everything(server.base / "models") | everything(server.base / "input") == before
    assert not Path("/tmp/escaped-by-bgdefect").exists()


PROMPTS = int(os.environ.get("BGDEFECT_PROMPTS", "200"))
"""How many random prompts are sent."""
DRAWN = "drawn.png"
"""A picture of the user with a region drawn in the mask editor."""


@pytest.mark.slow
def test_random_prompts(server: Server, object_info: dict[str, Any], figure: Figure) -> None:
    """Random values, sizes, masks and wires of all our nodes, those in subgraphs included: a result
    or a named error, never a dead server."""
    rng = np.random.default_rng(20261123)
    ends = {"success": 0, "error": 0, "refused": 0}
    pixels = rng.integers(0, 256, (64, 96, 4), np.uint8)
    Image.fromarray(pixels, "RGBA").save(server.base / "input" / DRAWN)
    tried: set[str] = set()
    for number in range(PROMPTS):
        prompt = _random_prompt(rng, object_info)
        tried |= {node["class_type"] for node in prompt.values()}
        try:
            run = server.run(prompt, 240)
        except Refused as refused:
            assert refused.answer["node_errors"] or refused.answer["error"], refused
            ends["refused"] += 1
        else:
            assert run.status in ("success", "error"), (number, run)
            if run.status == "error" and run.error["node_type"].startswith("BGDefect"):
                kind = run.error["exception_type"]
                assert ".errors." in kind, (
                    number,
                    prompt,
                    run.error["node_type"],
                    kind,
                    run.error["exception_message"],
                )
            ends[run.status] += 1
        assert server.alive(), number
    figure("ends", ends)
    assert ends["success"] >= PROMPTS // 10 and ends["error"] >= PROMPTS // 10
    assert tried >= NODES


def _random_prompt(rng: np.random.Generator, object_info: dict[str, Any]) -> dict[str, Any]:
    """A workflow on a picture and a mask of random sizes, some values drawn anew, sometimes one
    wire moved."""
    start = str(rng.choice(["1_", "3_", "4_", "5_", "6_", "7_"]))
    prompt = change(
        to_api(load(named(start)), object_info), "BGDefectInversion", steps=int(rng.integers(1, 4))
    )
    prompt = change(prompt, "BGDefectInversion", skip=bool(rng.random() < 0.5))
    if start == "7_":
        prompt = change(prompt, "LoadImage", image=DRAWN)
    if rng.random() < 0.3:
        _by_conditioning(rng, prompt)
    width, height = (int(side) for side in rng.integers(1, 90, 2) + rng.choice([0, 15, 60], 2))
    far, wide = (int(side) for side in rng.integers(1, 60, 2))
    fits = rng.random() < 0.8
    prompt["900"] = {
        "class_type": "EmptyImage",
        "inputs": {
            "width": width,
            "height": height,
            "batch_size": int(rng.integers(1, 3)),
            "color": 99,
        },
    }
    size = {"width": width, "height": height} if fits else {"width": wide + 8, "height": far + 8}
    prompt["901"] = {"class_type": "SolidMask", "inputs": {"value": 0.0, **size}}
    prompt["902"] = {
        "class_type": "SolidMask",
        "inputs": {"value": float(rng.random() > 0.1), "width": wide, "height": far},
    }
    place = {
        "x": int(rng.integers(0, size["width"])),
        "y": int(rng.integers(0, size["height"])),
        "operation": "add",
    }
    prompt["903"] = {
        "class_type": "MaskComposite",
        "inputs": {"destination": ["901", 0], "source": ["902", 0], **place},
    }
    if start != "4_" and rng.random() < 0.6:
        prompt = change(prompt, "BGDefectCropToMask", image=["900", 0], mask=["903", 0])
        if rng.random() < 0.8:
            _without_real_defects(prompt)
    else:
        prompt = change(
            prompt,
            "BGDefectPlaceMask",
            image=["900", 0],
            library="(masks input)",
            masks=["903", 0],
            number=int(rng.integers(1, 3)),
        )
    prompt = change(
        prompt, "BGDefectCropToMask", resolution=int(rng.choice([32, 64, 96, 100, 128]))
    )
    if ids(prompt, "BGDefectSampler"):
        prompt = change(prompt, "BGDefectSampler", variants=int(rng.integers(1, 3)))
    for _ in range(int(rng.integers(0, 5))):
        _random_value(rng, prompt, object_info)
    if rng.random() < 0.2:
        _random_wire(rng, prompt)
    return prompt


def _without_real_defects(prompt: dict[str, Any]) -> None:
    """Unplug what belongs to the placed masks: those of the squares are others."""
    for node in prompt.values():
        if node["class_type"].startswith("BGDefect"):
            for name in ("pasted", "real", "start"):
                node["inputs"].pop(name, None)


def _by_conditioning(rng: np.random.Generator, prompt: dict[str, Any]) -> None:
    """Texts by the host's encoder: the nodes that take CONDITIONING in place of those that take a
    CLIP."""
    kinds = {
        "BGDefectRegionPromptEncode": (
            "BGDefectRegionPrompts",
            ("background", "defect", "placeholder"),
        ),
        "BGDefectAddDefect": ("BGDefectAddDefectConditioning", ("defect",)),
    }
    for number, node in list(prompt.items()):
        if node["class_type"] not in kinds:
            continue
        node["class_type"], texts = kinds[node["class_type"]]
        clip = node["inputs"].pop("clip")
        del node["inputs"]["attention_words"]
        if (
            "placeholder" in texts and rng.random() < 0.5
        ):  # without it every guidance but 1 is refused
            texts = (*texts, "empty")
        for name in texts:
            encoder = f"{number}{name}"
            prompt[encoder] = {
                "class_type": "CLIPTextEncode",
                "inputs": {"clip": clip, "text": node["inputs"].get(name, "")},
            }
            node["inputs"][name] = [encoder, 0]
        node["inputs"]["words"] = int(rng.integers(0, 4))


def _random_value(
    rng: np.random.Generator, prompt: dict[str, Any], object_info: dict[str, Any]
) -> None:
    ours = [number for number, node in prompt.items() if node["class_type"].startswith("BGDefect")]
    node = prompt[str(rng.choice(ours))]
    inputs = object_info[node["class_type"]]["input"]
    specs = inputs.get("required", {}) | inputs.get("optional", {})
    for name in rng.permutation(list(specs)):
        kind, options = specs[name][0], (specs[name] + [{}])[1]
        if name in ("steps", "variants", "number", "count", "resolution") or isinstance(
            node["inputs"].get(name), list
        ):
            continue
        if kind == "FLOAT":
            node["inputs"][name] = float(
                rng.uniform(options["min"] - 0.1, min(options["max"], 20.0))
            )
        elif kind == "INT":
            node["inputs"][name] = int(
                rng.integers(options.get("min", 0) - 1, min(options.get("max", 9), 2**40))
            )
        elif kind == "BOOLEAN":
            node["inputs"][name] = bool(rng.random() < 0.5)
        elif kind == "STRING":
            node["inputs"][name] = "".join(
                rng.choice(list("a ä\n\\{}()|:0\U0001f600"), int(rng.integers(0, 30)))
            )
        elif kind == "BOUNDING_BOX":
            node["inputs"][name] = _random_box(rng)
        elif kind == "COMBO":
            node["inputs"][name] = str(rng.choice([*options["options"], "nothing"]))
        else:
            continue
        return


def _random_box(rng: np.random.Generator) -> Any:
    """Mostly a box, sometimes something else."""
    numbers = rng.integers(-40, 200, 4).tolist()
    box = dict(zip(("x", "y", "width", "height"), numbers, strict=True))
    return box if rng.random() < 0.8 else {"x": "left"}


def _random_wire(rng: np.random.Generator, prompt: dict[str, Any]) -> None:
    node = prompt[str(rng.choice(list(prompt)))]
    wires = [name for name, link in node["inputs"].items() if isinstance(link, list)]
    if wires:
        node["inputs"][str(rng.choice(wires))] = [
            str(rng.choice(list(prompt))),
            int(rng.integers(0, 3)),
        ]


@pytest.mark.slow
def test_memory_does_not_grow(server: Server, quick: dict[str, Any], figure: Figure) -> None:
    """Two hundred runs with a seed each: after the first twenty the server needs no more memory."""
    sizes = []
    for seed in range(200):
        run = server.run(
            change(change(quick, "BGDefectSampler", seed=seed), "BGDefectPlaceMask", seed=seed), 120
        )
        assert run.status == "success", run.error
        sizes.append(server.memory())
    figure("megabytes", [round(size / 2**20) for size in sizes[::20]])
    early, late = np.median(sizes[20:40]), np.median(sizes[180:])
    assert late - early < 100 * 2**20, sizes[::20]
