"""Runs the shipped workflows on a ComfyUI and writes `workflows/NAME.jpg` from what their Preview
Defects show.

python .ci/tools/make_thumbnails.py COMFYUI_FOLDER [START_OF_NAME ...]

Workflow 2 needs a checkpoint: `picture_graph.py` makes its picture.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.host.graph import (  # noqa: E402  (found through the path above)
    WORKFLOWS,
    ids,
    load,
    saving,
    to_api,
)
from tests.host.server import PACK, Server, shown  # noqa: E402

WIDTH, GAP, INSET = 768, 6, 340
OF_THE_USER = ("2_",)
PICTURE = PACK / "bgdefect_core/assets/demo/good/brushed_metal_1.png"


def user_picture(path: Path) -> None:
    """A good picture of the user, transparent where a region was drawn in the mask editor."""
    picture = Image.open(PICTURE).convert("RGBA")
    alpha = Image.new("L", picture.size, 255)
    ImageDraw.Draw(alpha).ellipse((110, 40, 330, 210), fill=0)
    picture.putalpha(alpha)
    picture.save(path)


def stacked(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one width below one another."""
    height = sum(picture.height + GAP for picture in pictures) - GAP
    sheet = Image.new("RGB", (pictures[0].width, height), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height + GAP
    return sheet


def whole_and_detail(whole: Image.Image, preview: Image.Image) -> Image.Image:
    """A large picture with the enlarged defect in its corner."""
    whole = whole.resize(
        (WIDTH, round(whole.height * WIDTH / whole.width)), Image.Resampling.LANCZOS
    )
    detail = preview.crop((0, 0, preview.width // 3, preview.width // 3)).resize((INSET, INSET))
    framed = Image.new("RGB", (INSET + 2 * GAP, INSET + 2 * GAP), "white")
    framed.paste(detail, (GAP, GAP))
    whole.paste(framed, (whole.width - framed.width, 0))
    return whole


def picture_of(path: Path, server: Server) -> Image.Image:
    """What a workflow shows at its end."""
    prompt = saving(to_api(load(path), server.get("/object_info")))
    run = server.run(prompt, 3600)
    if run.status != "success":
        raise SystemExit(f"{path.name}: {run.error.get('exception_message')}")
    previews = []
    for node in ids(prompt, "BGDefectPreview"):
        previews += [Image.open(file).convert("RGB") for file in shown(server, run.outputs[node])]
    if path.name.startswith("5_"):
        [file, *_] = shown(server, run.outputs[ids(prompt, "SaveImage")[0]])
        return whole_and_detail(Image.open(file).convert("RGB"), previews[0])
    several = previews[:3] if path.name.startswith(("3_", "7_")) else previews[:1]
    return stacked([preview for preview in several if preview.width == several[0].width])


def main(folder: Path, starts: list[str]) -> None:
    """Write a thumbnail of each workflow whose name starts so; one that cannot run here stops the
    tool."""
    python = Path(os.environ.get("COMFYUI_PYTHONS", folder / ".venv" / "bin" / "python"))
    with tempfile.TemporaryDirectory() as base, Server(folder, python, Path(base)) as server:
        user_picture(server.base / "input" / "my_good_part.png")
        for path in WORKFLOWS:
            if not path.name.startswith(tuple(starts)) or path.name.startswith(OF_THE_USER):
                continue
            picture = picture_of(path, server)
            height = round(picture.height * WIDTH / picture.width)
            picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
            picture.save(path.with_suffix(".jpg"), quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]).expanduser(), sys.argv[2:] or [""])
