"""Makes the pictures of docs/comfyui.md: the shipped workflows in ComfyUI's editor, after a run.

    python .ci/tools/make_tour.py COMFYUI_FOLDER [NAME ...]

NAME: one of `TOUR`. Takes a newer host, which has app mode.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from editor import Editor, settle
from make_thumbnails import user_picture
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.host.graph import named  # noqa: E402  (found through the path above)
from tests.host.server import PACK, Server  # noqa: E402

IMAGES = PACK / "docs" / "images"
WIDTH = 1400
TOGGLE = "app.extensionManager.command.execute('Comfy.ToggleLinear')"


def after_run(start: str) -> Callable[[Editor], Image.Image]:
    """A workflow's graph when it has run."""

    def shown(editor: Editor) -> Image.Image:
        editor.load(named(start))
        editor.run()
        return editor.picture(whole=False)

    return shown


def quick_start(editor: Editor) -> Image.Image:
    """The quick start with the editor around it."""
    editor.load(named("1_"))
    editor.run()
    return editor.picture()


def inside(editor: Editor) -> Image.Image:
    """What stands behind the quick start's one node."""
    editor.load(named("1_"))
    editor.enter("Paint a Defect")
    return editor.picture(whole=False)


def app(editor: Editor) -> Image.Image:
    """The quick start as an app, on a narrow screen."""
    editor.load(named("1_"))
    editor.run()
    editor.browser.set_window_size(520, 1000)
    editor.browser.execute_script(TOGGLE)
    editor.wait("return !app.canvas.canvas.offsetParent || true", 5)
    editor.wait("return new Promise(done => setTimeout(() => done(true), 6000))", 30)
    picture = editor.shot()
    editor.browser.execute_script(TOGGLE)
    return picture


TOUR: dict[str, Callable[[Editor], Image.Image]] = {
    "comfyui": quick_start,
    "comfyui-inside": inside,
    "comfyui-levels": after_run("7_"),
    "comfyui-data-set": after_run("3_"),
    "comfyui-app": app,
}
"""Name of the picture -> how it is made."""


def main(folder: Path, names: list[str]) -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as base:
        settle(Path(base))
        with Server(folder, folder / ".venv" / "bin" / "python", Path(base)) as server:
            user_picture(server.base / "input" / "my_good_part.png")
            for name in names or TOUR:
                size = (2600, 1300) if name == "comfyui-inside" else (1700, 1000)
                with Editor(f"http://127.0.0.1:{server.port}/", size) as editor:
                    picture = TOUR[name](editor)
                if picture.width > WIDTH and name != "comfyui-inside":
                    height = round(picture.height * WIDTH / picture.width)
                    picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
                picture.save(IMAGES / f"{name}.jpg", quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]).expanduser(), sys.argv[2:])
