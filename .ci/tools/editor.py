"""ComfyUI's editor in a real browser: for pictures of it. Needs Chromium with its driver, and
selenium."""

from __future__ import annotations

import io
import json
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service

SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "LiteGraph.Canvas.LowQualityRenderingZoomThreshold": 0.1,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,
}
"""Else a first start shows the list of templates above the graph and a map on it, and small graphs
have no texts (by two names, of older and newer editors)."""
READY = "return !!(window.app && app.graph && app.extensionManager)"
LOAD = """
const [text, done] = arguments;
app.loadGraphData(JSON.parse(text)).then(() => done(true)).catch(error => done(String(error)));
"""
ENTER = """
const node = app.canvas.graph._nodes.find(node => node.subgraph && node.title === arguments[0]);
app.canvas.openSubgraph(node.subgraph, node);
"""
FIT = """
const [largest, left, top] = arguments, graph = app.canvas.graph;
const boxes = graph._nodes.map(node => node.boundingRect ?? node.getBounding());
for (const end of [graph.inputNode, graph.outputNode]) if (end) boxes.push(end.boundingRect);
const x = Math.min(...boxes.map(box => box[0])), y = Math.min(...boxes.map(box => box[1]));
const wide = Math.max(...boxes.map(box => box[0] + box[2])) - x;
const tall = Math.max(...boxes.map(box => box[1] + box[3])) - y;
const scale = Math.min(
  largest, (window.innerWidth - left - 40) / wide, (window.innerHeight - top - 60) / tall);
app.canvas.ds.scale = scale;
app.canvas.ds.offset = [left / scale - x, top / scale - y];
app.canvas.setDirty(true, true);
return [wide * scale, tall * scale];
"""


class Editor:
    """The editor of a running ComfyUI; a context manager."""

    def __init__(self, address: str, size: tuple[int, int] = (1600, 900)) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium") or shutil.which("google-chrome"))
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            f"--window-size={size[0]},{size[1]}",
        ):
            options.add_argument(argument)
        service = Service(shutil.which("chromedriver"))
        self.browser = webdriver.Chrome(options=options, service=service)
        self.browser.set_script_timeout(300)
        self.browser.get(address)
        self.wait(READY, 180)
        time.sleep(10)

    def __enter__(self) -> Editor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.browser.quit()

    def wait(self, script: str, seconds: float) -> Any:
        """The first true answer of a script."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                answer = self.browser.execute_script(script)
            except WebDriverException:  # the page is not there yet
                answer = None
            if answer:
                return answer
            time.sleep(0.5)
        raise SystemExit(f"not within {seconds:.0f} s: {script}")

    def load(self, path: Path) -> None:
        """Open a workflow."""
        answer = self.browser.execute_async_script(LOAD, path.read_text(encoding="utf-8"))
        if answer is not True:
            raise SystemExit(f"{path.name}: {answer}")
        time.sleep(3)

    def enter(self, title: str) -> None:
        """Open a subgraph of the graph on the screen."""
        self.browser.execute_script(ENTER, title)
        time.sleep(3)

    def run(self, seconds: float = 1800) -> float:
        """Press Run, wait for the end, and say how long it took, in seconds."""
        started = time.monotonic()
        self.browser.execute_script("app.extensionManager.command.execute('Comfy.QueuePrompt')")
        time.sleep(1)
        self.wait(
            "return fetch('/queue').then(answer => answer.json())"
            ".then(queue => !queue.queue_running.length && !queue.queue_pending.length)",
            seconds,
        )
        took = time.monotonic() - started
        time.sleep(4)
        return took

    def picture(
        self, largest: float = 1.4, left: int = 90, top: int = 100, whole: bool = True
    ) -> Image.Image:
        """The graph, as large as it fits, at most at this scale; ``whole``: the window around it,
        too."""
        width, height = self.browser.execute_script(FIT, largest, left, top)
        time.sleep(3)
        shot = self.shot()
        if whole:
            return shot
        return shot.crop((left - 20, top - 40, left + round(width) + 20, top + round(height) + 20))

    def shot(self) -> Image.Image:
        """The window as it is."""
        png = self.browser.get_screenshot_as_png()
        return Image.open(io.BytesIO(png)).convert("RGB")


def settle(base: Path) -> None:
    """Settings of the editor in a base directory that has not been used yet."""
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(SETTINGS), encoding="utf-8")
