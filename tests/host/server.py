"""A real ComfyUI server (on the CPU, unless COMFYUI_ARGUMENTS says otherwise), and a client of its
API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import websocket
from PIL import Image

PACK = Path(__file__).resolve().parents[2]
FOLDERS = ("input", "output", "models", "temp", "user", "custom_nodes")
START_SECONDS = 180
DEVICE = os.environ.get("COMFYUI_ARGUMENTS", "--cpu").split()
"""How every host is started: "" is its own choice on a GPU, "--lowvram" another."""


class Refused(Exception):
    """The server did not accept a prompt; ``answer`` is its JSON: ``error`` and ``node_errors``."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(json.dumps(answer)[:2000])
        self.answer = answer


@dataclass
class Run:
    """What came of one prompt."""

    prompt_id: str
    status: str = ""
    """success, error or interrupted."""
    executed: list[str] = field(default_factory=list)
    """Ids of the nodes that ran, in order; cached ones are not among them."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """Node id -> what it showed ("images": [...])."""
    error: dict[str, Any] = field(default_factory=dict)
    progress: list[tuple[str, int, int]] = field(default_factory=list)
    """Node, value, maximum of every progress message."""
    previews: list[bytes] = field(default_factory=list)
    """The pictures shown while sampling."""
    seconds: float = 0.0


class Server:
    """ComfyUI of one folder, with the pack linked into a base directory of its own; a context
    manager.

    Its output is kept in ``base/server.log``.
    """

    def __init__(
        self, folder: Path, python: Path, base: Path, arguments: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.python, self.base = folder, python, base
        self.arguments = arguments
        self.log = base / "server.log"
        for name in FOLDERS:
            (base / name).mkdir(parents=True, exist_ok=True)
        link = base / "custom_nodes" / "bgdefect"
        if not link.is_symlink():
            link.symlink_to(PACK, target_is_directory=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        command = [
            str(self.python),
            "main.py",
            *DEVICE,
            "--base-directory",
            str(self.base),
            "--port",
            str(self.port),
        ]
        command += [
            "--database-url",
            "sqlite:///:memory:",
            "--preview-method",
            "latent2rgb",
            "--disable-auto-launch",
            *self.arguments,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=dict(os.environ),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.alive():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError(
                    f"ComfyUI of {self.folder} did not start:\n{self.text()[-4000:]}"
                )
            time.sleep(0.3)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")

    def memory(self) -> int:
        """Resident memory of the server in bytes (Linux)."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def alive(self) -> bool:
        """Whether it answers. Its port is tried first: urllib leaves a refused socket open."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=60).close()
            return bool(self.get("/system_stats"))
        except OSError:
            return False

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any) -> Any:
        address = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(
            address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def interrupt(self) -> None:
        self.post("/interrupt", {})

    def run(
        self, prompt: dict[str, Any], seconds: float = 300, cancel_at: tuple[str, int] | None = None
    ) -> Run:
        """Queue a prompt in API format and wait for its end.

        Args:
            cancel_at: press Cancel when this node reports at least this progress.

        Raises:
            Refused: the server found it invalid. TimeoutError: no end in time.
        """
        client = uuid.uuid4().hex
        wire = websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/ws?clientId={client}", timeout=seconds
        )
        try:
            try:
                queued = self.post("/prompt", {"prompt": prompt, "client_id": client})
            except urllib.error.HTTPError as refusal:
                raise Refused(json.load(refusal)) from refusal
            return self._watch(wire, Run(queued["prompt_id"]), seconds, cancel_at)
        finally:
            wire.close()

    def _watch(
        self, wire: websocket.WebSocket, run: Run, seconds: float, cancel_at: tuple[str, int] | None
    ) -> Run:
        started = time.monotonic()
        while not run.status:
            left = seconds - (time.monotonic() - started)
            if left <= 0:
                raise TimeoutError(f"no end after {seconds} s: {run}")
            wire.settimeout(left)
            try:
                message = wire.recv()
            except websocket.WebSocketTimeoutException as late:
                raise TimeoutError(f"no end after {seconds} s: {run}") from late
            if isinstance(message, bytes):
                run.previews.append(message)
                continue
            event = json.loads(message)
            _note(run, event["type"], event.get("data") or {})
            if (
                cancel_at
                and run.progress
                and run.progress[-1][0] == cancel_at[0]
                and run.progress[-1][1] >= cancel_at[1]
            ):
                self.interrupt()
                cancel_at = None
        run.seconds = time.monotonic() - started
        return run


def _note(run: Run, kind: str, data: dict[str, Any]) -> None:
    """Take one message of the server into the run."""
    if data.get("prompt_id", run.prompt_id) != run.prompt_id:
        return
    if kind == "executing" and data.get("node"):
        run.executed.append(data["node"])
    elif kind == "executed":
        run.outputs[data["node"]] = data.get("output")
    elif kind == "progress":
        run.progress.append((data["node"], int(data["value"]), int(data["max"])))
    elif kind == "execution_error":
        run.error, run.status = data, "error"
    elif kind == "execution_interrupted":
        run.status = "interrupted"
    elif kind == "execution_success":
        run.status = "success"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def shown(server: Server, output: dict[str, Any]) -> list[Path]:
    """The files that a node shows."""
    return [
        server.base / item["type"] / item["subfolder"] / item["filename"]
        for item in output["images"]
    ]
