"""The shipped workflows: which nodes, how they are wired, and what a user should change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DEMO = "(shipped demo)"
WEIGHTS = "brushed_metal-scratch.safetensors"
MINI_GUIDANCE = 3.0
"""The embedded base paints more faintly without, and a graph has no retries that raise it, as the
command line has."""
LIVE = 220
"""Height for the live preview, which else covers the node below."""
BASE_COLOR, PICTURE_COLOR, METHOD_COLOR, RESULT_COLOR, NOTE_COLOR = (
    "#3f789e",
    "#b58b2a",
    "#8a4b9c",
    "#4b8a4b",
    "#555555",
)


@dataclass(frozen=True)
class Link:
    """From an output of another node."""

    node: str
    slot: int = 0


_PICTURES, _SQUARE_MASK, _REFINED, _HEAT = (
    Link("pictures"),
    Link("crop", 1),
    Link("refine"),
    Link("refine", 1),
)
_SAMPLER_START, _REAL = Link("sampler", 4), Link("place", 3)
CLIP_VAE = (Link("base", 1), Link("base", 2))


@dataclass(frozen=True)
class Node:
    """A node of a workflow; ``inputs`` that are not named keep the host's defaults."""

    key: str
    type: str
    inputs: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    after: dict[str, str] = field(default_factory=dict)
    """What happens to a number after a run: fixed, increment, randomize."""
    text: str = ""
    """Of a note."""
    width: int = 0
    more: int = 0
    """Height for a picture below the widgets."""


@dataclass(frozen=True)
class Group:
    """A column of the graph."""

    title: str
    nodes: list[Node]
    color: str


def note(text: str, height: int = 420) -> Group:
    """The column that says what to change."""
    return Group(
        "Read me",
        [Node("note", "MarkdownNote", text=text, title="What to change", width=380, more=height)],
        NOTE_COLOR,
    )


def base(strength: float = 1.0) -> Group:
    """The embedded base with a class on it."""
    apply = Node(
        "class",
        "BGDefectApplyWeights",
        {"model": Link("base"), "weights": WEIGHTS, "strength": strength},
    )
    return Group("1  Base and defect class", [Node("base", "BGDefectLoadBase"), apply], BASE_COLOR)


def crop(image: Link, mask: Link) -> Node:
    """The square around the mask, as large as in training."""
    return Node(
        "crop", "BGDefectCropToMask", {"image": image, "mask": mask, "resolution": Link("class", 4)}
    )


def invert(
    mask: Link = _SQUARE_MASK,
    prompts: str = "prompts",
    steps: int = 10,
    between: tuple[Node, ...] = (),
) -> Group:
    """Prompts, encoding, and where the sampler starts."""
    clip, vae = CLIP_VAE
    texts = {
        "background": Link("class", 1),
        "defect": Link("class", 2),
        "placeholder": Link("class", 3),
    }
    nodes = [
        Node("prompts", "BGDefectRegionPromptEncode", {"clip": clip, **texts}),
        *between,
        Node("encode", "VAEEncode", {"pixels": Link("crop"), "vae": vae}),
        Node(
            "inversion",
            "BGDefectInversion",
            {
                "model": Link("class"),
                "prompts": Link(prompts),
                "latent": Link("encode"),
                "mask": mask,
                "steps": steps,
            },
        ),
    ]
    return Group("3  Prepare once", nodes, METHOD_COLOR)


def paint(
    variants: int, after: str = "fixed", guidance: float = MINI_GUIDANCE, seed: int = 0
) -> Group:
    """Sampling and decoding."""
    sampler = {
        "inversion": Link("inversion"),
        "variants": variants,
        "guidance": guidance,
        "seed": seed,
    }
    return Group(
        "4  Paint",
        [
            Node("sampler", "BGDefectSampler", sampler, after={"seed": after}, more=LIVE),
            *decode(Link("sampler")),
        ],
        METHOD_COLOR,
    )


def decode(latent: Link) -> list[Node]:
    """The samples, and the good squares by the same VAE to compare them with."""
    return [
        Node(
            "painted",
            "VAEDecode",
            {"samples": latent, "vae": CLIP_VAE[1]},
            title="Decode the samples",
        ),
        Node(
            "normal",
            "VAEDecode",
            {"samples": Link("encode"), "vae": CLIP_VAE[1]},
            title="Decode the good squares",
        ),
    ]


def refine(real: Link | None = None) -> Node:
    """The label of each sample; ``real``: the real defects behind the masks."""
    inputs = {"painted": Link("painted"), "normal": Link("normal"), "crop": Link("crop", 2)}
    return Node("refine", "BGDefectRefineMask", inputs | ({"real": real} if real else {}))


STITCH = Node(
    "stitch",
    "BGDefectStitch",
    {"crop": Link("crop", 2), "painted": Link("painted"), "normal": Link("normal")},
)


def judge(refined: Link = _REFINED, heat: Link | None = _HEAT, start: Link | None = None) -> Node:
    """The quality gate; ``start``: where samples started, whose masks are placed real ones."""
    inputs: dict[str, Any] = {
        "crop": Link("crop", 2),
        "painted": Link("painted"),
        "normal": Link("normal"),
        "result": Link("stitch"),
        "refined": refined,
    }
    if heat:
        inputs["heat"] = heat
    if start:
        inputs |= {"real": _REAL, "start": start}
    return Node("quality", "BGDefectQuality", inputs)


def show(heat: bool = True) -> Node:
    """The overlay."""
    inputs = {"result": Link("quality"), "mask": Link("quality", 2), "refined": Link("quality", 1)}
    return Node(
        "preview",
        "BGDefectPreview",
        inputs | ({"heat": Link("quality", 4)} if heat else {}),
        more=260,
        width=420,
    )


def keep(prefix: str) -> Node:
    """The host's own saver."""
    return Node(
        "save",
        "SaveImage",
        {"images": Link("quality"), "filename_prefix": prefix},
        more=260,
        width=420,
    )


REPORT = Node(
    "report",
    "PreviewAny",
    {"source": Link("quality", 6)},
    title="Figures and verdicts",
    more=120,
    width=420,
)


def demo_pictures(**changes: Any) -> Node:
    """A shipped good picture."""
    return Node("pictures", "BGDefectLoadPictures", {"folder": DEMO} | changes)


def place(image: Link = _PICTURES, key: str = "place", **changes: Any) -> Node:
    """A mask of the shipped library on it."""
    return Node(
        key,
        "BGDefectPlaceMask",
        {"image": image, "library": DEMO, "part": "texture", "seed": 3} | changes,
    )


QUICK = """# Quick start

Press **Run**. Everything that this workflow needs comes with the pack, and a CPU is enough.

It paints a scratch into a picture of brushed metal, finds the label, and measures the result.

**Try next**
- another *seed* in Background/Defect Sampler
- another *seed* in Place Defect Mask: the scratch lies elsewhere
- *page* in Load Good Pictures: the next picture
- your own picture: replace Load Good Pictures by Load Image
- your own defect: `bgdefect train`, copy the file to `models/bgdefect`, choose it in Apply Defect Weights

Cyan: the requested mask. Green: the refined one, which is the label.
"""

SD15 = """# Your defect class with Stable Diffusion 1.5

1. Train: `bgdefect train --base v1-5-pruned-emaonly.safetensors --data ...`; copy the file to `models/bgdefect`.
2. Choose the same checkpoint in **Load Checkpoint** and your file in **Apply Defect Weights**.
3. Load a good picture and draw the defect's place: right click on the picture, *Open in Mask Editor*.
4. Press **Run**.

The square around the mask gets the resolution of the training by itself. Set *zoom* in Crop to Mask as in training.
"""

NIGHT = """# A data set over night

Each run takes the next good pictures, places masks on them, paints variants, judges them and adds them to the data set.

1. Copy good pictures to a folder in ComfyUI's `input`, and real masks (white on black) to another; press **R**, choose both.
2. Choose your class in **Apply Defect Weights**, name folder, object and defect in **Save Defect Data Set**.
3. Set the number beside **Run** to the number of runs, and press **Run**.

With the real pictures beside the masks (`ground_truth/DEFECT` and `test/DEFECT`) samples are compared with the real
defects. To start from these: **Crop Another Picture** with *pasted* of Place Defect Mask, VAE Encode, *pasted* of the sampler.

*page* goes up by itself, and the *seed* of the masks and that of the samples are drawn anew for each run. Stop whenever you like: the
next run goes on after the last sample. The data set is in `output/bgdefect`: MVTec AD's layout, rejected
samples apart in `extras`, with figures of all in `manifest.jsonl`.
"""

TWO = """# Two defects in one picture

Both masks are placed so that they do not meet (*avoid*). Each defect has its own words and its own mask:
**Encode Region Prompts** has the first, **Add Defect** the second. Chain more of them for more defects.

The scratch's mask comes from the shipped library. The hole's is round: *masks* of **Place Defect Mask** takes any mask,
here a white square, grown. Each label is refined by itself; MaskComposite puts them together.

The class on the base here is the scratch; the hole is what the base itself knows, and the class at full *strength* would turn
most holes into bright spots. Not every *seed* gives a dark hole. For two trained classes put one **Apply Defect Weights**
behind the other (LoRA files).
"""

LARGE = """# A tiny defect in a large picture

The picture has 2048 x 1536 pixels. **Crop to Mask** cuts the square around the mask, so that the small scratch is painted at full
detail, and **Stitch Defect** puts it back: outside the seam every pixel stays as it was.

Replace Load Good Pictures and ImageScale by **Load Image** for a picture of your own.
"""

CUSTOM = """# With the host's own samplers

**Background/Defect Guider** brings the method into SamplerCustomAdvanced. With the inversion's sigmas and
**Defect Noise**, *euler* does what Background/Defect Sampler does with the solver *ddim*.

**Try**
- *euler* in KSamplerSelect
- BasicScheduler in place of the inversion's sigmas (*denoise* 1: parts of a run are refused)
- *background* replay in the guider, *skip* off in Masked DDIM Inversion: the picture's own way up to noise, as in the paper
"""

RESULT = Group("5  Result", [STITCH, refine(), judge(), REPORT], RESULT_COLOR)


def placed_result(start: Link = _SAMPLER_START) -> Group:
    """The same where the masks are placed real ones."""
    nodes = [STITCH, refine(_REAL), judge(start=start), REPORT]
    return Group("5  Result", nodes, RESULT_COLOR)


ROUND = (
    Node("ground", "SolidMask", {"value": 0.0, "width": 64, "height": 64}, title="A black ground"),
    Node("square", "SolidMask", {"value": 1.0, "width": 16, "height": 16}, title="A white square"),
    Node(
        "on",
        "MaskComposite",
        {
            "destination": Link("ground"),
            "source": Link("square"),
            "x": 24,
            "y": 24,
            "operation": "add",
        },
        title="On it",
    ),
    Node("round", "GrowMask", {"mask": Link("on"), "expand": 10}, title="Grown round"),
)
"""A mask by the host's own nodes, 36 pixels wide. Not by Feather Mask, which is one pixel off at
two edges in older hosts."""


def _two() -> list[Group]:
    both = {
        "destination": Link("place", 1),
        "source": Link("second", 1),
        "x": 0,
        "y": 0,
        "operation": "add",
    }
    pictures = [
        demo_pictures(page=2),
        place(seed=0),
        *ROUND,
        place(
            Link("place"),
            "second",
            library="(masks input)",
            masks=Link("round"),
            avoid=Link("place", 1),
            seed=10,
            elastic=0.06,
        ),
        Node("union", "MaskComposite", both, title="Both masks"),
        crop(Link("second"), Link("union")),
        Node(
            "mask1",
            "BGDefectCropMask",
            {"crop": Link("crop", 2), "mask": Link("place", 1)},
            title="First mask in the square",
        ),
        Node(
            "mask2",
            "BGDefectCropMask",
            {"crop": Link("crop", 2), "mask": Link("second", 1)},
            title="Second mask in the square",
        ),
    ]
    words = {
        "prompts": Link("prompts"),
        "clip": CLIP_VAE[0],
        "mask": Link("mask2"),
        "defect": "a dark hole defect on a brushed metal",
    }
    more = Node("more", "BGDefectAddDefect", words)
    pair = {"painted": Link("painted"), "normal": Link("normal"), "crop": Link("crop", 2)}
    result = [
        STITCH,
        Node(
            "refine",
            "BGDefectRefineMask",
            pair | {"mask": Link("place", 1)},
            title="Refine the first mask",
        ),
        Node(
            "refine2",
            "BGDefectRefineMask",
            pair | {"mask": Link("second", 1)},
            title="Refine the second mask",
        ),
        Node(
            "labels",
            "MaskComposite",
            both | {"destination": Link("refine"), "source": Link("refine2")},
            title="Both labels",
        ),
        judge(Link("labels"), None),
        REPORT,
    ]
    return [
        note(TWO),
        base(strength=0.7),
        Group("2  Good picture, two masks", pictures, PICTURE_COLOR),
        invert(Link("mask1"), "more", between=(more,)),
        paint(1, guidance=4.0, seed=6),
        Group("5  Result", result, RESULT_COLOR),
        Group("6  Look", [show(False), keep("bgdefect/two_defects")], RESULT_COLOR),
    ]


def _night() -> list[Group]:
    pictures = [demo_pictures(count=2), place(), crop(Link("place"), Link("place", 1))]
    pictures[0].after["page"] = "increment"
    pictures[1].after["seed"] = "randomize"
    data = {
        "result": Link("quality"),
        "refined": Link("quality", 1),
        "mask": Link("quality", 2),
        "image": Link("quality", 3),
    }
    data |= {"heat": Link("quality", 4), "quality": Link("quality", 5), "seed": Link("sampler", 3)}
    names = {"folder": "bgdefect", "object": "brushed_metal", "defect": "scratch"}
    return [
        note(NIGHT),
        base(),
        Group("2  Next pictures, new masks", pictures, PICTURE_COLOR),
        invert(),
        paint(4, after="randomize"),
        placed_result(),
        Group(
            "6  Data set",
            [Node("save", "BGDefectSaveDataSet", data | names, more=260, width=420), show()],
            RESULT_COLOR,
        ),
    ]


def _custom() -> list[Group]:
    inputs = {"noise": Link("noise"), "guider": Link("guider"), "sampler": Link("which")}
    inputs |= {"sigmas": Link("inversion", 1), "latent_image": Link("encode")}
    method = [
        Node("noise", "BGDefectNoise"),
        Node(
            "guider", "BGDefectGuider", {"inversion": Link("inversion"), "guidance": MINI_GUIDANCE}
        ),
        Node("which", "KSamplerSelect", {"sampler_name": "dpmpp_2m"}),
        Node("advanced", "SamplerCustomAdvanced", inputs, more=LIVE),
        *decode(Link("advanced")),
    ]
    return [
        note(CUSTOM),
        base(),
        Group(
            "2  Good picture and mask",
            [demo_pictures(), place(), crop(Link("place"), Link("place", 1))],
            PICTURE_COLOR,
        ),
        invert(),
        Group("4  Paint", method, METHOD_COLOR),
        placed_result(Link("guider", 2)),
        Group("6  Look", [show(), keep("bgdefect/custom_sampler")], RESULT_COLOR),
    ]


def _checkpoint() -> list[Group]:
    """The same graph on a checkpoint: it takes the place of the embedded base by having its key."""
    load = Node("base", "CheckpointLoaderSimple", {"ckpt_name": "v1-5-pruned-emaonly.safetensors"})
    apply = Node(
        "class", "BGDefectApplyWeights", {"model": Link("base"), "weights": "my-class.safetensors"}
    )
    picture = Node(
        "pictures",
        "LoadImage",
        {"image": "my_good_part.png"},
        title="Good picture, with a drawn mask",
        more=260,
    )
    return [
        note(SD15),
        Group("1  Base and defect class", [load, apply], BASE_COLOR),
        Group(
            "2  Good picture and mask",
            [picture, crop(Link("pictures"), Link("pictures", 1))],
            PICTURE_COLOR,
        ),
        invert(),
        paint(4, guidance=1.0),
        RESULT,
        Group("6  Look", [show(), keep("bgdefect/sd15")], RESULT_COLOR),
    ]


def _one_picture(text: str, pictures: list[Node], prefix: str) -> list[Group]:
    """Picture and mask nodes, then all that follows on the embedded base."""
    return [
        note(text),
        base(),
        Group(
            "2  Good picture and mask",
            [*pictures, crop(Link("place"), Link("place", 1))],
            PICTURE_COLOR,
        ),
        invert(),
        paint(2),
        placed_result(),
        Group("6  Look", [show(), keep(prefix)], RESULT_COLOR),
    ]


_ENLARGE = {
    "image": Link("pictures"),
    "upscale_method": "lanczos",
    "width": 2048,
    "height": 1536,
    "crop": "center",
}

WORKFLOWS: dict[str, list[Group]] = {
    "1_quick_start": _one_picture(QUICK, [demo_pictures(), place()], "bgdefect/quick_start"),
    "2_stable_diffusion_1.5": _checkpoint(),
    "3_data_set_over_night": _night(),
    "4_two_defects": _two(),
    "5_large_picture": _one_picture(
        LARGE,
        [demo_pictures(), Node("large", "ImageScale", _ENLARGE), place(Link("large"))],
        "bgdefect/large_picture",
    ),
    "6_custom_sampler": _custom(),
}
"""File name -> groups, left to right."""
SUMMARIES = {
    "1_quick_start": "a scratch painted into brushed metal with the embedded base and shipped "
    "weights, on a CPU too",
    "2_stable_diffusion_1.5": "a class of yours on a Stable Diffusion 1.5 checkpoint",
    "3_data_set_over_night": "folder of good pictures, placed masks, variants, quality gate, saved "
    "data set",
    "4_two_defects": "two different defects in one picture",
    "5_large_picture": "a tiny defect in a 2048 x 1536 picture, by crop and stitch",
    "6_custom_sampler": "the host's own `SamplerCustomAdvanced` with any sampler",
}
"""File name -> what it shows, for README's table."""
