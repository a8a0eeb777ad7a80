"""The pack's subgraphs: several nodes behind one, with the widgets that matter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graph_spec import Given, Link, Node, Subgraph

DEMO = "(shipped demo)"
WEIGHTS = "brushed_metal-scratch.safetensors"
CATEGORY = "BGDefect"
START_LEVEL = 0.6
"""Close enough to the real defect to show, far enough to be another."""
CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"
MODELS = (
    {
        "name": CHECKPOINT,
        "url": "https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/"
        + CHECKPOINT,
        "directory": "checkpoints",
    },
)
"""The link is the one of the host's own first template."""

_MODEL, _CLIP, _VAE = Link("base"), Link("base", 1), Link("base", 2)
_SQUARE_MASK, _CROP = Link("crop", 1), Link("crop", 2)
RESULTS = {
    "picture": Link("quality"),
    "label": Link("quality", 1),
    "verdict": Link("quality", 6),
    "requested mask": Link("quality", 2),
    "heat map": Link("quality", 4),
    "figures": Link("quality", 5),
}
"""What painting gives out; the first three are what a user needs."""


def crop(image: Link | Given, mask: Link | Given) -> Node:
    """The square around the mask, as large as in training."""
    inputs = {"image": image, "mask": mask, "resolution": Link("class", 4)}
    return Node("crop", "BGDefectCropToMask", inputs)


def prepare(**inversion: Any) -> list[Node]:
    """Prompts, encoding, and where the sampler starts."""
    texts = {"background": Link("class", 1), "defect": Link("class", 2)}
    texts |= {"placeholder": Link("class", 3), "clip": _CLIP}
    start = {"model": Link("class"), "prompts": Link("prompts"), "latent": Link("encode")}
    start |= {"mask": _SQUARE_MASK}
    return [
        Node("prompts", "BGDefectRegionPromptEncode", texts),
        Node("encode", "VAEEncode", {"pixels": Link("crop"), "vae": _VAE}, "Encode the squares"),
        Node("inversion", "BGDefectInversion", start | inversion),
    ]


def paste() -> list[Node]:
    """The same squares with their real defects pasted in, encoded: where samples start."""
    return [
        Node(
            "pasted",
            "BGDefectCropPicture",
            {"crop": _CROP, "image": Link("place", 2)},
            "Squares with the real defect",
        ),
        Node(
            "encode_pasted",
            "VAEEncode",
            {"pixels": Link("pasted"), "vae": _VAE},
            "Encode them",
        ),
    ]


def finish(latent: Link, start: Link | None, **quality: Any) -> list[Node]:
    """Decoding, the whole pictures, labels and verdicts; ``start``: where samples started, whose
    masks are placed real ones."""
    pair = {"painted": Link("painted"), "normal": Link("normal"), "crop": _CROP}
    real = {"real": Link("place", 3)} if start else {}
    given = pair | real | {"result": Link("stitch"), "refined": Link("refine")}
    given |= {"heat": Link("refine", 1)} | ({"start": start} if start else {})
    pasted: list[Node] = []
    stitched = dict(pair)
    if start:
        pasted.append(
            Node(
                "pasted_normal",
                "VAEDecode",
                {"samples": Link("encode_pasted"), "vae": _VAE},
                "Decode the squares with the real defect",
            )
        )
        stitched |= {"pasted": Link("place", 2), "pasted_normal": Link("pasted_normal")}
        stitched |= {"start": start}
    return [
        Node(
            "normal",
            "VAEDecode",
            {"samples": Link("encode"), "vae": _VAE},
            "Decode the good squares",
        ),
        Node("painted", "VAEDecode", {"samples": latent, "vae": _VAE}, "Decode the samples"),
        *pasted,
        Node("stitch", "BGDefectStitch", stitched),
        Node("refine", "BGDefectRefineMask", pair | real),
        Node("quality", "BGDefectQuality", given | quality),
    ]


STRENGTH = 1.4
"""On the embedded base: it paints more faintly than life, and a graph has no retries that raise the
guidance, as the command line has."""


def _base(weights: str = WEIGHTS, strength: float = STRENGTH) -> list[Node]:
    """The embedded base with a class on it."""
    apply = {"model": _MODEL, "weights": Given("weights", weights), "strength": strength}
    return [Node("base", "BGDefectLoadBase"), Node("class", "BGDefectApplyWeights", apply)]


def _place(picture: Link | Given, **inputs: Any) -> Node:
    """New masks of the class on the good pictures."""
    given = {"image": picture, "library": Given("library", DEMO)}
    return Node("place", "BGDefectPlaceMask", given | inputs)


def _start(level: Given) -> dict[str, Any]:
    """Samples that all start at one level."""
    return {"pasted": Link("encode_pasted"), "start_min": level, "start_max": level}


def _two_results() -> list[Node]:
    """Each label is refined by itself."""
    pair = {"painted": Link("painted"), "normal": Link("normal"), "crop": _CROP}
    nodes = finish(Link("sampler"), None, refined=Link("labels"))
    made = []
    for node in nodes:
        if node.key == "refine":
            for key, mask, title in (
                ("refine", Link("place", 1), "Refine the first mask"),
                ("refine2", Link("second", 1), "Refine the second mask"),
            ):
                made.append(Node(key, "BGDefectRefineMask", pair | {"mask": mask}, title))
            both = {"destination": Link("refine"), "source": Link("refine2")}
            made.append(Node("labels", "MaskComposite", _BOTH | both, "Both labels"))
        else:
            made.append(node)
    return made


def _given_finish() -> list[Node]:
    """``finish`` with all that comes from elsewhere as inputs of the subgraph."""
    names = {
        Link("encode"): Given("latent"),
        _VAE: Given("vae"),
        _CROP: Given("crop"),
        Link("place", 2): Given("pasted_image"),
        Link("place", 3): Given("real"),
        Link("encode_pasted"): Given("pasted"),
        Link("sampler"): Given("samples"),
        Link("sampler", 4): Given("start"),
    }
    nodes = []
    for node in finish(Link("sampler"), Link("sampler", 4), only_good=Given("only_good", False)):
        inputs = {}
        for name, value in node.inputs.items():
            inputs[name] = names.get(value, value) if isinstance(value, Link) else value
        nodes.append(replace(node, inputs=inputs))
    return nodes


_BOTH = {"x": 0, "y": 0, "operation": "add"}
SEED = Given("seed", 5)
PAINT = Subgraph(
    "6b0f2c7e-8d0b-4f0c-9a51-3f6f1f1c0a01",
    "Paint a Defect",
    CATEGORY,
    "Paints a learned defect class into pictures of good parts, and gives out the pictures, their "
    "labels, and whether each sample is good. On the embedded base: a CPU is enough.",
    ("defect", "anomaly", "synthetic defect", "bgdefect"),
    {
        "picture": "good picture",
        "allowed": "allowed region",
        "weights": "defect class",
        "library": "real defects",
        "variants": "samples",
        "start": "start level",
        "seed": "seed",
    },
    RESULTS,
    (
        *_base(),
        _place(Given("picture"), allowed=Given("allowed"), seed=SEED),
        crop(Link("place"), Link("place", 1)),
        *paste(),
        *prepare(),
        Node(
            "sampler",
            "BGDefectSampler",
            {"inversion": Link("inversion"), "seed": SEED, "variants": Given("variants", 2)}
            | _start(Given("start", START_LEVEL)),
        ),
        *finish(Link("sampler"), Link("sampler", 4)),
    ),
)

DATA_SET = Subgraph(
    "6b0f2c7e-8d0b-4f0c-9a51-3f6f1f1c0a02",
    "Defect Data Set",
    CATEGORY,
    "Each run takes the next good picture of a folder, paints samples of a defect class into it, "
    "judges them and adds them to a data set in MVTec AD's layout below ComfyUI's output folder.",
    ("data set", "defect", "mvtec", "bgdefect"),
    {
        "pictures": "good pictures",
        "library": "real defects",
        "weights": "defect class",
        "object": "name of the part",
        "defect": "name of the defect",
    },
    RESULTS | {"report": Link("save")},
    (
        *_base(),
        Node(
            "pictures",
            "BGDefectLoadPictures",
            {"folder": Given("pictures", DEMO)},
            after={"page": "increment"},
        ),
        replace(_place(Link("pictures"), seed=1), after={"seed": "randomize"}),
        crop(Link("place"), Link("place", 1)),
        *paste(),
        *prepare(),
        Node(
            "sampler",
            "BGDefectSampler",
            {
                "inversion": Link("inversion"),
                "seed": 1,
                "variants": 4,
                "pasted": Link("encode_pasted"),
            },
            after={"seed": "randomize"},
        ),
        *finish(Link("sampler"), Link("sampler", 4)),
        Node(
            "save",
            "BGDefectSaveDataSet",
            {
                "result": Link("quality"),
                "refined": Link("quality", 1),
                "mask": Link("quality", 2),
                "image": Link("quality", 3),
                "heat": Link("quality", 4),
                "quality": Link("quality", 5),
                "seed": Link("sampler", 3),
                "object": Given("object", "brushed_metal"),
                "defect": Given("defect", "scratch"),
            },
        ),
    ),
)

CHECKPOINT_CLASS = Subgraph(
    "6b0f2c7e-8d0b-4f0c-9a51-3f6f1f1c0a03",
    "Learned Class on a Checkpoint",
    CATEGORY,
    "Paints a defect class that `bgdefect train --base` learned on a Stable Diffusion checkpoint "
    "at a mask of yours, such as one drawn in the mask editor.",
    ("stable diffusion", "checkpoint", "defect", "bgdefect"),
    {
        "picture": "good picture",
        "mask": "defect's place",
        "checkpoint": "checkpoint",
        "weights": "defect class",
        "variants": "samples",
        "guidance": "guidance",
        "seed": "seed",
    },
    RESULTS,
    (
        Node(
            "base",
            "CheckpointLoaderSimple",
            {"ckpt_name": Given("checkpoint", CHECKPOINT)},
            models=MODELS,
        ),
        Node(
            "class",
            "BGDefectApplyWeights",
            {"model": _MODEL, "weights": Given("weights", "my-class.safetensors")},
        ),
        crop(Given("picture"), Given("mask")),
        *prepare(),
        Node(
            "sampler",
            "BGDefectSampler",
            {
                "inversion": Link("inversion"),
                "seed": Given("seed", 0),
                "guidance": Given("guidance", 1.0),
                "variants": Given("variants", 4),
            },
        ),
        *finish(Link("sampler"), None),
    ),
)

ROUND = (
    Node("ground", "SolidMask", {"value": 0.0, "width": 64, "height": 64}, "A black ground"),
    Node("square", "SolidMask", {"value": 1.0, "width": 16, "height": 16}, "A white square"),
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
        "On it",
    ),
    Node("round", "GrowMask", {"mask": Link("on"), "expand": 10}, "Grown round"),
)
"""A mask by the host's own nodes, 36 pixels wide. Not by Feather Mask, which is one pixel off at
two edges in older hosts."""
TWO = Subgraph(
    "6b0f2c7e-8d0b-4f0c-9a51-3f6f1f1c0a04",
    "Two Defects in a Picture",
    CATEGORY,
    "Two defects with words and a mask of their own each, side by side in one picture.",
    ("several defects", "bgdefect"),
    {
        "picture": "good picture",
        "weights": "defect class",
        "library": "real defects",
        "second_text": "second defect",
        "guidance": "guidance",
        "seed": "seed",
    },
    RESULTS
    | {
        "heat map": Link("refine", 1),
        "first label": Link("refine"),
        "second label": Link("refine2"),
    },
    (
        *_base(strength=0.7),
        _place(Given("picture"), seed=7, part="texture"),
        *ROUND,
        Node(
            "second",
            "BGDefectPlaceMask",
            {
                "image": Link("place"),
                "library": "(masks input)",
                "masks": Link("round"),
                "avoid": Link("place", 1),
                "part": "texture",
                "seed": 27,
                "elastic": 0.06,
            },
            "Place the second mask",
        ),
        Node(
            "union",
            "MaskComposite",
            _BOTH | {"destination": Link("place", 1), "source": Link("second", 1)},
            "Both masks",
        ),
        crop(Link("second"), Link("union")),
        Node(
            "mask1",
            "BGDefectCropMask",
            {"crop": _CROP, "mask": Link("place", 1)},
            "First mask in the square",
        ),
        Node(
            "mask2",
            "BGDefectCropMask",
            {"crop": _CROP, "mask": Link("second", 1)},
            "Second mask in the square",
        ),
        *prepare(mask=Link("mask1"), prompts=Link("more")),
        Node(
            "more",
            "BGDefectAddDefect",
            {
                "prompts": Link("prompts"),
                "clip": _CLIP,
                "mask": Link("mask2"),
                "defect": Given("second_text", "a dark hole defect on a brushed metal"),
            },
        ),
        Node(
            "sampler",
            "BGDefectSampler",
            {
                "inversion": Link("inversion"),
                "guidance": Given("guidance", 4.0),
                "seed": Given("seed", 7),
            },
        ),
        *_two_results(),
    ),
)

PREPARE = Subgraph(
    "6b0f2c7e-8d0b-4f0c-9a51-3f6f1f1c0a05",
    "Prepare a Defect",
    CATEGORY,
    "All that comes before the sampler: the base with a class, a mask on the picture, the square "
    "around it, and the noise levels.",
    ("defect", "inversion", "bgdefect"),
    {
        "picture": "good picture",
        "weights": "defect class",
        "library": "real defects",
        "steps": "steps",
        "seed": "seed of the mask",
    },
    {
        "inversion": Link("inversion"),
        "latent": Link("encode"),
        "pasted": Link("encode_pasted"),
        "vae": _VAE,
        "crop": _CROP,
        "real": Link("place", 3),
        "pasted_image": Link("place", 2),
    },
    (
        *_base(),
        _place(Given("picture"), seed=Given("seed", 9)),
        crop(Link("place"), Link("place", 1)),
        *paste(),
        *prepare(steps=Given("steps", 10)),
    ),
)
FINISH = Subgraph(
    "6b0f2c7e-8d0b-4f0c-9a51-3f6f1f1c0a06",
    "Finish the Samples",
    CATEGORY,
    "All that comes after the sampler: whole pictures, labels and verdicts.",
    ("defect", "label", "verdict", "bgdefect"),
    {
        "samples": "samples",
        "latent": "good squares",
        "vae": "vae",
        "crop": "crop",
        "real": "real",
        "pasted": "squares with the real defect",
        "pasted_image": "pictures with the real defect",
        "start": "start",
        "only_good": "only good ones",
    },
    RESULTS,
    tuple(_given_finish()),
)
SUBGRAPHS = (PAINT, DATA_SET, CHECKPOINT_CLASS)
"""Those that the editor offers in its list of nodes; the others stand in their workflows."""
