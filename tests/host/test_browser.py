"""A real browser: the host's page, workflow 1 from the template list, Run, and what a user then
sees."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser test needs selenium")

from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

from .conftest import Figure  # noqa: E402
from .server import Server  # noqa: E402

NAME = "1_quick_start"
SECONDS = 600


@pytest.fixture
def browser() -> Iterator[Any]:
    """Headless Chromium, wide enough for the whole graph with its texts."""
    chromium, driver = (
        shutil.which("chromium") or shutil.which("google-chrome"),
        shutil.which("chromedriver"),
    )
    if not chromium or not driver:
        pytest.skip("no Chromium with its driver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=3000,1500",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    opened.set_script_timeout(60)
    yield opened
    opened.quit()


def wait(question: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """The first true answer; the page may not be there yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := question():
                return answer
        except WebDriverException:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def with_text(browser: Any, text: str) -> list[Any]:
    """The elements with just this text."""
    found: list[Any] = browser.find_elements(
        By.XPATH, f"//*[normalize-space(.)='{text}' and not(*)]"
    )
    return found


def click(browser: Any, text: str) -> None:
    """Click the innermost element with just this text."""
    found = wait(lambda: with_text(browser, text), text)
    browser.execute_script("arguments[0].click()", found[-1])


def open_templates(browser: Any) -> bool:
    """Whether the list of templates shows; while the editor is still starting the command does
    nothing."""
    time.sleep(8)
    browser.execute_script("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    time.sleep(8)
    return bool(with_text(browser, "bgdefect"))


@pytest.mark.slow
def test_quick_start_from_the_template_list(
    server: Server, browser: Any, figure: Figure, tmp_path: Path
) -> None:
    browser.get(f"http://127.0.0.1:{server.port}/")
    wait(
        lambda: browser.execute_script(
            "return !!(window.app && app.graph && app.extensionManager)"
        ),
        "the editor",
    )
    wait(lambda: open_templates(browser), "the list of templates")
    click(browser, "bgdefect")
    click(browser, NAME)
    types = wait(
        lambda: browser.execute_script(
            "const t = app.graph._nodes.filter(n => !n.subgraph).map(n => n.type); "
            "return t.includes('BGDefectPreview') ? t : null"
        ),
        "the workflow in the editor",
    )
    browser.execute_script("app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    known = server.get("/object_info")
    assert [name for name in types if name not in known and name != "MarkdownNote"] == []

    started, before = time.monotonic(), set(server.get("/history"))
    browser.execute_script("app.extensionManager.command.execute('Comfy.QueuePrompt')")
    done = wait(lambda: set(server.get("/history")) - before, "the run", SECONDS)
    figure("quick start in the browser, seconds", round(time.monotonic() - started, 1))
    assert server.get("/history")[done.pop()]["status"]["status_str"] == "success"
    shown = "return app.graph._nodes.find(n => n.type === 'BGDefectPreview').imgs?.length"
    assert wait(lambda: browser.execute_script(shown), "pictures in the preview node") == 2
    time.sleep(2)  # the canvas draws them
    browser.save_screenshot(os.environ.get("BGDEFECT_SCREENSHOT", str(tmp_path / "editor.png")))
    errors = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert [message for message in errors if "bgdefect" in message.lower()] == []
