"""Real ComfyUI servers for the host tests: one a version, started once a session, killed at its
end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("websocket", reason="the host tests need websocket-client")

from .server import Server  # noqa: E402  (it imports websocket)

DEFAULT = "~/ComfyUI:~/ComfyUI-0.3.64"
HERE = Path(__file__).parent


def hosts() -> list[tuple[Path, Path]]:
    """Folder and Python of every ComfyUI that is named.

    Raises:
        pytest.UsageError: as many Pythons as folders, or one, were expected.
    """
    folders = [
        Path(name).expanduser()
        for name in os.environ.get("COMFYUI_DIRS", DEFAULT).split(":")
        if name
    ]
    named = [
        Path(name).expanduser() for name in os.environ.get("COMFYUI_PYTHONS", "").split(":") if name
    ]
    pythons = named or [folder / ".venv" / "bin" / "python" for folder in folders]
    if len(pythons) == 1:
        pythons *= len(folders)
    if len(pythons) != len(folders):
        came = (
            f"COMFYUI_PYTHONS names {len(pythons)} Pythons "
            f"for the {len(folders)} folders of COMFYUI_DIRS"
        )
        raise pytest.UsageError(f"{came}; name one for each folder, or one for all")
    return list(zip(folders, pythons, strict=True))


NAMED = hosts()
HOSTS = [
    (folder, python)
    for folder, python in NAMED
    if (folder / "main.py").is_file() and python.is_file()
]
MISSING = [folder for folder, python in NAMED if (folder, python) not in HOSTS]
Figure = Callable[[str, Any], None]
"""Notes a figure of a test for the end of the report, from where it goes to docs/host.md."""
_FIGURES: list[str] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        metafunc.parametrize(
            "server",
            HOSTS,
            ids=[folder.name for folder, _ in HOSTS],
            indirect=True,
            scope="session",
        )


@pytest.hookimpl(tryfirst=True)  # before the options -m and -k choose
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a host one line says so, and nothing else of this folder is collected."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker("host")
    if not HOSTS:
        items[:] = [
            item for item in items if item not in ours or item.path.name == "test_present.py"
        ]


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running ComfyUI with the pack."""
    folder, python = request.param
    base = tmp_path_factory.mktemp(folder.name)
    with Server(folder, python, base) as running:
        yield running
    errors = [
        line
        for line in running.text().splitlines()
        if "bgdefect" in line.lower() and "IMPORT FAILED" in line
    ]
    assert not errors


@pytest.fixture(scope="session")
def object_info(server: Server) -> dict[str, Any]:
    """All nodes of the running host."""
    info: dict[str, Any] = server.get("/object_info")
    return info


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """See ``Figure``."""
    return lambda name, value: _FIGURES.append(f"{request.node.name}  {name}  {value}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _FIGURES:
        terminalreporter.write_line(line)
