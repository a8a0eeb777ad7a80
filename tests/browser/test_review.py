"""The review in a real Chromium: load, keys, brush, a killed server, reload; 5,000 samples; the
page as a file."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.pictures.writing import write_picture
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.decisions import Decision, read_decisions
from bgdefect_core.records.sample import Sample, SampleFacts
from trainer.generation.page import write_page

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser test needs selenium")

from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = "extras/nut/scratch"
QUALITY = {"contrast": 3.0, "fill": 0.5}


@pytest.fixture
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no Chromium with its driver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    opened.set_window_size(1300, 1000)
    opened.set_script_timeout(60)
    yield opened
    opened.quit()


class Server:
    """``bgdefect review`` in a process of its own."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "trainer", "review", str(root)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("review: http://127.0.0.1:"), line
        self.address = line.removeprefix("review: ").strip()

    def kill(self) -> None:
        """As a power cut would."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[[Path], Server]]:
    servers: list[Server] = []

    def begin(root: Path) -> Server:
        servers.append(Server(root))
        return servers[-1]

    yield begin
    for server in servers:
        server.kill()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six samples of 200 x 160 pixels; the last one rejected."""
    source = tmp_path / "good.png"
    rng = np.random.default_rng(3)
    plain = rng.integers(90, 110, (160, 200, 3)).astype(np.uint8)
    write_picture(source, plain)
    with DatasetWriter(tmp_path / "set", "nut", "scratch", {"prompt": "<b>x</b>"}) as writer:
        for index in range(6):
            mask = np.zeros((160, 200), bool)
            mask[60:66, 50 + index : 80 + index] = True
            picture = plain.copy()
            picture[mask] = (180, 40, 40)
            figures = QUALITY | {"strength": 0.9 - index / 10, "exemplar_difference": index / 10}
            verdict = ("good", True) if index < 5 else ("too faint", False)
            arrays = (Picture(picture), mask, mask, mask.astype(float))
            facts = SampleFacts(index, 0, source, {}, index, figures, *verdict)
            writer.add(Sample(facts, *arrays))
    return tmp_path / "set"


def wait(question: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := question():
                return answer
        except WebDriverException:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


class Page:
    """The page as a person at the keyboard has it."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        browser.get(address)
        wait(lambda: self.shown(), "the first sample")

    def ask(self, script: str) -> Any:
        return self.browser.execute_script(f"return {script}")

    def text(self, name: str) -> str:
        return str(self.ask(f"document.getElementById('{name}').innerText"))

    def shown(self) -> str:
        """Name of the sample whose picture is laid out and loaded."""
        script = """(() => {
          const name = document.getElementById('name').innerText;
          const result = document.getElementById('result');
          const there = result.complete && result.naturalWidth > 0;
          return there && document.getElementById('stage').dataset.shown === name ? name : '';
        })()"""
        return str(self.ask(script))

    def key(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def row(self, name: str) -> str:
        """The text of a row of the list."""
        script = f"""[...document.querySelectorAll('.row')]
          .map((row) => row.innerText).find((text) => text.includes('{name}')) || ''"""
        return str(self.ask(script))

    def wait_row(self, name: str, text: str) -> None:
        wait(lambda: text in self.row(name), f"{text} of {name}")

    def wait_saved(self, name: str, gone: str) -> None:
        """Until a row is saved and says something no longer."""

        def is_saved() -> bool:
            text = self.row(name)
            return bool(text) and "saving" not in text and gone not in text

        wait(is_saved, f"{name} without {gone}")

    def wait_shown(self, name: str) -> None:
        wait(lambda: self.shown() == name, f"sample {name}")

    def errors(self) -> list[str]:
        lines = self.browser.get_log("browser")
        return [line["message"] for line in lines if line["level"] == "SEVERE"]


def picture_of_screen(browser: Any, name: str) -> None:
    """Into the folder that BGDEFECT_SCREENSHOTS names, for a person to judge."""
    folder = os.environ.get("BGDEFECT_SCREENSHOTS")
    if folder:
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def decided(root: Path) -> dict[int, Decision]:
    decisions = read_decisions(root / EXTRAS)
    return {index: decision for (index, _), decision in decisions.items()}


def label_of(root: Path, index: int) -> np.ndarray:
    mask: np.ndarray = read_picture(root / EXTRAS / f"mended/{index:05d}_0_mask.png")[..., 0] > 127
    return mask


def test_keys_brush_kill_and_reload(
    root: Path, browser: Any, start: Callable[[Path], Server]
) -> None:
    server = start(root)
    page = Page(browser, server.address)
    assert "6 attempts: 5 in the data set, 1 out" in page.text("counts")
    page.key("j")
    page.wait_shown("00001_0")
    page.key("x")
    page.wait_row("00001_0", "rejected by hand")
    assert decided(root)[1].decision == "reject"
    page.wait_shown("00002_0")
    page.key("r")
    page.key("at the edge", Keys.ENTER)
    page.wait_row("00002_0", "at the edge")
    assert (decided(root)[2].decision, decided(root)[2].reason) == ("reject", "at the edge")
    page.key("3")
    page.wait_row("00003_0", "wrong place")
    page.key("u")
    wait(lambda: "by hand" not in page.row("00003_0"), "undo")
    assert decided(root)[3].decision == "undecided"
    page.wait_shown("00003_0")
    page.key(Keys.END)
    page.wait_shown("00005_0")
    page.key("a")
    page.wait_row("00005_0", "accepted by hand")
    assert "4 in the data set, 2 out. 3 decided by a person" in page.text("counts")

    clip = "document.getElementById('result-layer').style.clipPath"
    page.key("b")
    assert "100%" in page.ask(clip)
    page.key("b")
    assert "100%" not in page.ask(clip)
    hidden = "document.getElementById('label-layer').hidden"
    page.key("m")
    assert page.ask(hidden) is True
    page.key("m")
    assert page.ask(hidden) is False
    width = "parseFloat(document.getElementById('result').style.width)"
    zoomed = page.ask(width)
    page.key("z")
    assert page.ask(width) < zoomed
    page.key("z")

    mend_by_keys(page, root)
    mend_by_pointer(page, root)
    picture_of_screen(browser, "decided")
    assert page.errors() == []

    server.kill()
    page.key(Keys.HOME)
    page.wait_shown("00000_0")
    page.key("x")
    wait(lambda: "Not saved" in page.text("alert"), "the alert")
    assert "by hand" not in page.row("00000_0") and 0 not in decided(root)
    picture_of_screen(browser, "killed")

    page = Page(browser, start(root).address)
    for name, text in (("00001_0", "rejected by hand"), ("00002_0", "at the edge")):
        assert text in page.row(name)
    assert "accepted by hand" in page.row("00005_0") and "label mended" in page.row("00003_0")
    assert "by hand" not in page.row("00000_0")


def mend_by_keys(page: Page, root: Path) -> None:
    """A dot of 8 pixels in the middle of the square, another one above it; undo, and again."""
    page.key(Keys.HOME, "j", "j", "j")
    page.wait_shown("00003_0")
    painted = read_picture(root / "nut/ground_truth/scratch/00003_mask.png")[..., 0] > 127
    page.key("e")
    wait(lambda: page.ask("!document.getElementById('brush-tools').hidden"), "the brush")
    page.key(*[Keys.ARROW_UP] * 4, Keys.SPACE)
    picture_of_screen(page.browser, "brush")
    page.key(Keys.ENTER)
    page.wait_row("00003_0", "label mended")
    mask = label_of(root, 3)
    assert (mask & painted).sum() == painted.sum()
    assert 40 <= (mask & ~painted).sum() <= 60  # a disc of 8 pixels: 50
    assert decided(root)[3].mended and decided(root)[3].decision == "undecided"
    page.key("u")
    page.wait_saved("00003_0", "label mended")
    assert not decided(root)[3].mended
    page.key("e")
    wait(lambda: page.ask("!document.getElementById('brush-tools').hidden"), "the brush")
    page.key(Keys.SPACE, Keys.ENTER)
    page.wait_row("00003_0", "label mended")


def mend_by_pointer(page: Page, root: Path) -> None:
    """Erase with a stroke across the label."""
    page.key("j")
    page.wait_shown("00004_0")
    painted = read_picture(root / "nut/ground_truth/scratch/00004_mask.png")[..., 0] > 127
    page.key("e")
    wait(lambda: page.ask("!document.getElementById('brush-tools').hidden"), "the brush")
    page.key("e")
    stage = page.browser.find_element("id", "stage")
    actions = ActionChains(page.browser).move_to_element_with_offset(stage, 0, -100)
    actions.click_and_hold().move_by_offset(0, 200).release().perform()
    page.key(Keys.ENTER)
    page.wait_row("00004_0", "label mended")
    mask = label_of(root, 4)
    erased = painted & ~mask
    assert not (mask & ~painted).any() and 6 * 6 <= erased.sum() <= 6 * 10
    columns = np.flatnonzero(erased.any(axis=0))
    assert len(columns) <= 10 and abs(columns.mean() - 68.5) < 3


def test_the_keyboard_alone_reaches_everything(
    root: Path, browser: Any, start: Callable[[Path], Server]
) -> None:
    page = Page(browser, start(root).address)
    focused = """(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      return [element.id || element.tagName, style.outlineStyle, element.offsetHeight];
    })()"""
    reached: dict[str, str] = {}
    for _ in range(30):
        page.key(Keys.TAB)
        name, outline, height = page.ask(focused)
        if height:
            reached[name] = outline
    controls = page.ask(
        "[...document.querySelectorAll('main button, main select, main input, #list, #stage')]"
        ".filter((element) => element.offsetHeight && !element.disabled)"
        ".map((element) => element.id)"
    )
    assert set(controls) <= set(reached) and len(controls) >= 15
    outlines = {name: reached[name] for name in controls}
    assert "none" not in outlines.values(), outlines
    page.key("?")
    assert page.ask("document.getElementById('help').open") is True
    picture_of_screen(browser, "keys")
    page.key(Keys.ESCAPE)
    assert page.ask("document.getElementById('help').open") is False


@pytest.mark.parametrize("width", [360, 500, 820, 1300, 2200])
def test_any_width(root: Path, browser: Any, start: Callable[[Path], Server], width: int) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    page = Page(browser, start(root).address)
    assert page.ask("innerWidth") == width
    assert page.ask("document.documentElement.scrollWidth") <= width
    outside = page.ask(
        "[...document.querySelectorAll('button, select, input')]"
        ".filter((element) => element.offsetHeight)"
        ".filter((element) => element.getBoundingClientRect().right > innerWidth + 1)"
        ".map((element) => element.id)"
    )
    assert outside == []
    picture_of_screen(browser, f"width-{width}")


def test_filters_and_orders(root: Path, browser: Any, start: Callable[[Path], Server]) -> None:
    page = Page(browser, start(root).address)
    names = "state.order.map((row) => row.name.slice(4, 5)).join('')"

    def choose(control: str, value: str) -> None:
        page.browser.execute_script(
            f"const control = document.getElementById('{control}'); control.value = '{value}';"
            "control.dispatchEvent(new Event('change'))"
        )

    assert page.ask(names) == "012345"
    for order, expected in (
        ("weakest", "543210"),
        ("strongest", "012345"),
        ("closest", "012345"),
        ("furthest", "543210"),
        ("verdict", "501234"),
    ):
        choose("order", order)
        assert page.ask(names) == expected, order
    choose("order", "number")
    choose("show", "out")
    assert page.ask(names) == "5"
    choose("show", "in")
    assert page.ask(names) == "01234"
    page.key("/")
    page.key("00002")
    assert page.ask(names) == "2" and "1 of 6 shown" in page.text("shown")
    page.key("zzz")
    wait(lambda: page.text("name") == "No sample", "an empty list")
    page.key(Keys.ESCAPE, "x")
    assert decided(root) == {} and page.errors() == []


def make_many(root: Path, count: int) -> None:
    """The first sample's files, linked under other numbers."""
    manifest = root / EXTRAS / "manifest.jsonl"
    line = json.loads(manifest.read_text().splitlines()[0])
    lines: list[str] = []
    for index in range(count):
        entry = dict(line, index=index)
        entry["quality"] = dict(line["quality"], strength=index % 97 / 97)
        for name in ("file", "label", "requested", "heatmap"):
            entry[name] = line[name].replace("00000", f"{index:05d}")
            if not (root / entry[name]).exists():
                os.link(root / line[name], root / entry[name])
        lines.append(json.dumps(entry))
    manifest.write_text("\n".join(lines) + "\n")


SCROLL = """
const done = arguments[0], box = document.getElementById('list'), times = [];
let last = performance.now(), frame = 0, most = 0;
function step(now) {
  times.push(now - last); last = now;
  box.scrollTop += 700; frame += 1;
  most = Math.max(most, document.querySelectorAll('.row').length);
  if (frame < 150) requestAnimationFrame(step);
  else done({ times: times.slice(1), most, top: box.scrollTop });
}
requestAnimationFrame(step);
"""


def test_5000_samples_scroll(
    root: Path, browser: Any, start: Callable[[Path], Server], record_property: Any
) -> None:
    make_many(root, 5000)
    page = Page(browser, start(root).address)
    assert "5000 attempts" in page.text("counts")
    result = page.browser.execute_async_script(SCROLL)
    assert result["top"] > 100_000 and result["most"] < 60
    median, worst = statistics.median(result["times"]), max(result["times"])
    record_property("longest frame, ms", round(worst, 1))
    record_property("median frame, ms", round(median, 1))
    assert median < 50 and worst < 1000
    wait(
        lambda: (
            page.ask(
                "[...document.querySelectorAll('.row img')]"
                ".filter((image) => image.naturalWidth).length"
            )
            >= 8
        ),
        "thumbnails where the list rests",
    )
    began = time.monotonic()
    page.key(Keys.END)
    page.wait_shown("04999_0")
    assert time.monotonic() - began < 5
    page.key("x")
    page.wait_row("04999_0", "rejected by hand")
    assert page.errors() == []


def test_the_page_as_a_file(root: Path, browser: Any) -> None:
    _, file = write_page(root, "nut", "scratch")
    page = Page(browser, file.resolve().as_uri())
    assert "6 attempts" in page.text("counts") and "bgdefect review" in page.text("said")
    page.key("j")
    page.wait_shown("00001_0")
    page.key("b", "z", "x", "e")
    assert "by hand" not in page.row("00001_0")
    assert page.ask("document.getElementById('decide-tools').hidden") is True
    assert page.ask("document.getElementById('label').naturalWidth") == 200
    wait(lambda: page.ask("document.querySelector('.row img').naturalWidth") > 0, "thumbnails")
    picture_of_screen(browser, "file")
    assert "x</b>" in page.text("about")
    assert page.errors() == []
