"""Writes `workflows/NAME.jpg` as a picture of the graph in ComfyUI's editor: for a workflow that
cannot run without its user's files.

    python .ci/tools/picture_graph.py COMFYUI_FOLDER START_OF_NAME

Empty files stand in for the checkpoint and the class: the editor only looks for their names.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from editor import Editor, settle
from make_thumbnails import WIDTH, user_picture
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.host.graph import named  # noqa: E402  (found through the path above)
from tests.host.server import Server  # noqa: E402

STAND_INS = (
    "models/checkpoints/v1-5-pruned-emaonly-fp16.safetensors",
    "models/bgdefect/my-class.safetensors",
)


def main(folder: Path, start: str) -> None:
    """Write the picture."""
    path = named(start)
    with tempfile.TemporaryDirectory() as base:
        for name in STAND_INS:
            (Path(base) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(base) / name).touch()
        settle(Path(base))
        with Server(folder, folder / ".venv" / "bin" / "python", Path(base)) as server:
            user_picture(server.base / "input" / "my_good_part.png")
            with Editor(f"http://127.0.0.1:{server.port}/", (1700, 1000)) as editor:
                editor.load(path)
                picture = editor.picture(whole=False)
    height = round(picture.height * WIDTH / picture.width)
    picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    picture.save(path.with_suffix(".jpg"), quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]).expanduser(), sys.argv[2])
