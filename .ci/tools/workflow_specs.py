"""The shipped workflows: which nodes a user sees, and what they should change."""

from __future__ import annotations

from graph_spec import Link, Node, Workflow
from subgraph_specs import CHECKPOINT_CLASS, DATA_SET, DEMO, FINISH, PAINT, PREPARE, TWO

PICTURE = "my_good_part.png"
"""What a user's own picture is called in a workflow."""


def demo_pictures(**changes: int) -> Node:
    """A shipped good picture."""
    return Node("pictures", "BGDefectLoadPictures", {"folder": DEMO} | changes)


def drawn_picture(title: str) -> Node:
    """The user's picture with what they drew in the mask editor."""
    return Node("pictures", "LoadImage", {"image": PICTURE}, title, more=300)


def show(of: str = "paint", key: str = "preview", show: str = "all", title: str = "") -> Node:
    """Samples with their masks, heat and verdict."""
    inputs = {
        "result": Link(of),
        "refined": Link(of, 1),
        "mask": Link(of, 3),
        "heat": Link(of, 4),
        "quality": Link(of, 5),
        "show": show,
    }
    return Node(key, "BGDefectPreview", inputs, title, more=340, width=620)


def keep(prefix: str, of: str = "paint") -> Node:
    """The host's own saver."""
    inputs = {"images": Link(of), "filename_prefix": prefix}
    return Node("save", "SaveImage", inputs, more=220, width=620)


def report(of: str = "paint", slot: int = 2, title: str = "Verdict") -> Node:
    """Words that a node gives out."""
    return Node("report", "PreviewAny", {"source": Link(of, slot)}, title, more=90, width=620)


QUICK = """# Quick start

Press **Run**. All of it comes with the pack; a CPU is enough.

A scratch is painted into a picture of brushed metal. It starts from a real scratch and becomes a new one.
Cyan: the requested mask. Green: the label.

**Try next**
- *seed*: another scratch at another place
- *start level*: 0 is the real scratch itself, 1 is pure noise
- *page*: the next picture
- your own picture: Load Image in place of Load Good Pictures
- your own defect: `bgdefect train`, copy the file to `models/bgdefect`, choose it as *defect class*, and its masks as *real defects*

Double click on **Paint a Defect** to see what is inside.
"""
SD15 = """# Your defect class with Stable Diffusion 1.5

1. Train: `bgdefect train --base CHECKPOINT --data ...`, and copy the file to `models/bgdefect`.
2. Choose the same *checkpoint*, and your file as *defect class*.
3. Load a good picture and draw the defect's place: right click on it, *Open in Mask Editor*.
4. Press **Run**.

The square around the mask is brought to the resolution of the training automatically.
"""
NIGHT = """# A data set overnight

Each run takes the next good picture, places masks, paints 4 samples, judges them and adds them to the data set.

1. Copy good pictures to a folder in ComfyUI's `input` (or `datasets`), and real masks to another; press **R** and choose both.
   Best is an MVTec layout: masks in `ground_truth/DEFECT`, and beside them the pictures in `test/DEFECT`. Then samples
   start from the real defects and are compared with them.
2. Choose your *defect class*, and name part and defect.
3. Set the number beside **Run** to the number of runs, and press **Run**.

Picture and seeds change with every run. Stop whenever you like: the next run adds samples after the last one. The data set is in
`output/bgdefect`; rejected samples stand apart in `extras`, with figures of all in `manifest.jsonl`.
"""
TWO_TEXT = """# Two defects in one picture

Both masks are placed so that they do not meet. Each defect has its own prompt, its own mask and its own label.

The scratch is the class that was learned; the hole is what the base itself knows, so that not every *seed* gives a dark one.
For two learned classes put one **Apply Defect Weights** after the other, inside the subgraph.
"""
LARGE = """# A tiny defect in a large picture

The picture has 2048 x 1536 pixels. Only the square around the mask is painted, at full detail, and put back: outside
a thin seam every pixel stays as it was.

For a picture of your own: **Load Image** in place of the first two nodes.
"""
CUSTOM = """# With the host's own samplers

**Background/Defect Guider** brings the method into SamplerCustomAdvanced. With **Defect Noise** and *euler* it does
what Background/Defect Sampler does with the solver *ddim*.

**Try**
- any sampler in KSamplerSelect
- *background* replay in the guider (turn *skip* off in Masked DDIM Inversion, inside the first subgraph): the
  background follows the inversion of the picture, as in the paper
"""
REAL = """# From a real defect, where you allow it

1. Load a good picture (those in the pack's `bgdefect_core/assets/demo/good` suit the shipped class).
2. Right click on it, *Open in Mask Editor*, and draw where defects may lie.
3. Press **Run**.

The three start from the same real defect at the same place, at another *start level* each:
- 0: the real defect, pasted
- 0.5: painted over, close to it
- 1: from noise, as in the paper

For a data set, levels between 0.3 and 0.7 are a good choice: **Defect Data Set** draws them.
"""


def _one_picture(*pictures: Node, last: str) -> tuple[Node, ...]:
    """Pictures, and all else in one node."""
    return (
        *pictures,
        Node("paint", PAINT, {"picture": Link(last)}),
        show(),
        report(),
    )


def _levels() -> tuple[Node, ...]:
    """The same defect from three start levels."""
    nodes = [drawn_picture("Good picture, with the allowed region")]
    for key, level, title in (
        ("copy", 0.0, "The real defect, pasted"),
        ("near", 0.5, "Painted over it"),
        ("noise", 1.0, "From noise"),
    ):
        inputs = {"picture": Link("pictures"), "allowed": Link("pictures", 1)}
        nodes.append(Node(key, PAINT, inputs | {"start": level, "variants": 1}, title))
    for key, title in (("copy", "Pasted"), ("near", "Level 0.5"), ("noise", "From noise")):
        nodes.append(show(key, f"show {key}", title=title))
    return tuple(nodes)


def _custom() -> tuple[Node, ...]:
    guider = {"inversion": Link("prepare"), "pasted": Link("prepare", 2), "start_level": 0.6}
    sampler = {"noise": Link("noise"), "guider": Link("guider"), "sampler": Link("which")}
    sampler |= {"sigmas": Link("guider", 1), "latent_image": Link("prepare", 1)}
    last = {"samples": Link("advanced"), "latent": Link("prepare", 1), "vae": Link("prepare", 3)}
    last |= {"crop": Link("prepare", 4), "real": Link("prepare", 5), "start": Link("guider", 2)}
    last |= {"pasted": Link("prepare", 2), "pasted_image": Link("prepare", 6)}
    return (
        demo_pictures(page=3),
        Node("prepare", PREPARE, {"picture": Link("pictures")}),
        Node("noise", "BGDefectNoise", {"seed": 9}),
        Node("guider", "BGDefectGuider", guider),
        Node("which", "KSamplerSelect", {"sampler_name": "dpmpp_2m"}),
        Node("advanced", "SamplerCustomAdvanced", sampler, more=220),
        Node("paint", FINISH, last),
        show(),
        report(),
    )


_ENLARGE = {"image": Link("pictures"), "upscale_method": "lanczos", "width": 2048, "height": 1536}

WORKFLOWS: dict[str, Workflow] = {
    "1_quick_start": Workflow(
        "a scratch painted into brushed metal with the embedded base and shipped weights, on a CPU "
        "too",
        QUICK,
        _one_picture(demo_pictures(), last="pictures"),
        (
            ("pictures", "folder"),
            ("pictures", "page"),
            ("paint", "weights"),
            ("paint", "library"),
            ("paint", "variants"),
            ("paint", "start"),
            ("paint", "seed"),
        ),
        ("preview", "report"),
    ),
    "2_stable_diffusion_1.5": Workflow(
        "a class of yours on a Stable Diffusion 1.5 checkpoint, at a mask drawn in the editor",
        SD15,
        (
            drawn_picture("Good picture, with a drawn mask"),
            Node(
                "paint",
                CHECKPOINT_CLASS,
                {"picture": Link("pictures"), "mask": Link("pictures", 1)},
            ),
            show(),
            report(),
        ),
    ),
    "3_data_set_over_night": Workflow(
        "folder of good pictures, placed masks, samples, quality gate, saved data set",
        NIGHT,
        (
            Node("data", DATA_SET),
            show("data", title="Good samples", show="good"),
            show("data", "rejected", "rejected", "Rejected samples"),
            report("data", 6, "What was saved"),
        ),
        (
            ("data", "pictures"),
            ("data", "library"),
            ("data", "weights"),
            ("data", "object"),
            ("data", "defect"),
        ),
        ("preview", "rejected", "report"),
    ),
    "4_two_defects": Workflow(
        "two different defects in one picture",
        TWO_TEXT,
        (
            demo_pictures(page=2),
            Node("paint", TWO, {"picture": Link("pictures")}),
            show(),
            report(),
        ),
    ),
    "5_large_picture": Workflow(
        "a tiny defect in a 2048 x 1536 picture, by crop and stitch",
        LARGE,
        (
            *_one_picture(
                demo_pictures(),
                Node("large", "ImageScale", _ENLARGE | {"crop": "center"}),
                last="large",
            ),
            keep("bgdefect/large_picture"),
        ),
    ),
    "6_custom_sampler": Workflow(
        "the host's own `SamplerCustomAdvanced` with any sampler", CUSTOM, _custom()
    ),
    "7_from_a_real_defect": Workflow(
        "a real defect at three start levels, where you allow it in the mask editor",
        REAL,
        _levels(),
    ),
}
"""File name -> what is in it."""
SUMMARIES = {name: workflow.summary for name, workflow in WORKFLOWS.items()}
"""File name -> what it shows, for README's table."""
