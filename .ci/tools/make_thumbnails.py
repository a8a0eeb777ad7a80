"""Runs the shipped workflows on a ComfyUI and writes `workflows/NAME.jpg` from what Preview Defects
shows.

python .ci/tools/make_thumbnails.py COMFYUI_FOLDER [START_OF_NAME ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.host.graph import WORKFLOWS, ids, load, to_api  # noqa: E402  (found through the path above)
from tests.host.server import Server  # noqa: E402

WIDTH = 768


def main(folder: Path, starts: list[str]) -> None:
    """Write a thumbnail of each workflow whose name starts so; one that cannot run here stops the
    tool."""
    with (
        tempfile.TemporaryDirectory() as base,
        Server(folder, folder / ".venv" / "bin" / "python", Path(base)) as server,
    ):
        infos = server.get("/object_info")
        for path in WORKFLOWS:
            if not path.name.startswith(tuple(starts)):
                continue
            prompt = to_api(load(path), infos)
            run = server.run(prompt, 1800)
            if run.status != "success":
                raise SystemExit(f"{path.name}: {run.error.get('exception_message')}")
            shown = run.outputs[ids(prompt, "BGDefectPreview")[0]]["images"]
            picture = Image.open(
                server.base / shown[0]["type"] / shown[0]["subfolder"] / shown[0]["filename"]
            ).convert("RGB")
            picture = picture.resize(
                (WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS
            )
            picture.save(path.with_suffix(".jpg"), quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]).expanduser(), sys.argv[2:] or [""])
