"""Writes `workflows/NAME.jpg` as a picture of the graph in ComfyUI's editor: for a workflow that
cannot run without its user's files.

    python .ci/tools/picture_graph.py COMFYUI_FOLDER START_OF_NAME

Empty files stand in for the checkpoint and the class, a shipped picture for the user's: the editor
only looks for their names. Needs Chromium with its driver, and selenium.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.host.graph import load, named  # noqa: E402  (found through the path above)
from tests.host.server import PACK, Server  # noqa: E402

WINDOW, LEFT, TOP, WIDTH = (2600, 1600), 120, 120, 768
STAND_INS = (
    "models/checkpoints/v1-5-pruned-emaonly.safetensors",
    "models/bgdefect/my-class.safetensors",
)
READY = "return !!(window.app && app.graph && app.extensionManager)"
SHOW = """
await app.loadGraphData(JSON.parse(arguments[0]));
app.canvas.ds.scale = arguments[1];
app.canvas.ds.offset = [arguments[2] / arguments[1], arguments[3] / arguments[1]];
app.graph.setDirtyCanvas(true, true);
"""
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False}
"""Else a first start shows the list of templates above the graph, and a map on it."""


def screenshot(address: str, workflow: dict[str, Any]) -> Image.Image:
    """The whole graph, cut out of the editor."""
    right, bottom = 0, 0
    for group in workflow["groups"]:
        left, top, width, height = group["bounding"]
        right, bottom = max(right, left + width), max(bottom, top + height)
    scale = (WINDOW[0] - 2 * LEFT) / right
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium") or shutil.which("google-chrome"))
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--window-size={WINDOW[0]},{WINDOW[1]}",
    ):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.get(address)
        while not browser.execute_script(READY):
            time.sleep(1)
        time.sleep(10)
        browser.execute_script(SHOW, json.dumps(workflow), scale, LEFT, TOP)
        time.sleep(5)
        shown = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
        return shown.crop(
            (
                LEFT - 20,
                TOP - 20,
                LEFT + 20 + round(right * scale),
                TOP + 20 + round(bottom * scale),
            )
        )
    finally:
        browser.quit()


def main(folder: Path, start: str) -> None:
    """Write the picture."""
    path = named(start)
    with tempfile.TemporaryDirectory() as base:
        for name in STAND_INS:
            (Path(base) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(base) / name).touch()
        for name in ("input", "user/default"):
            (Path(base) / name).mkdir(parents=True)
        (Path(base) / "user/default/comfy.settings.json").write_text(
            json.dumps(SETTINGS), encoding="utf-8"
        )
        shutil.copy(
            PACK / "bgdefect_core/assets/demo/good/brushed_metal_0.png",
            Path(base) / "input/my_good_part.png",
        )
        with Server(folder, folder / ".venv" / "bin" / "python", Path(base)) as server:
            picture = screenshot(f"http://127.0.0.1:{server.port}/", load(path))
    picture.resize(
        (WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS
    ).save(path.with_suffix(".jpg"), quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]).expanduser(), sys.argv[2])
