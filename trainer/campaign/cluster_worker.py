"""A worker on a machine of a Ray cluster: an actor that keeps base and class loaded.

Orders come as JSON text, contents as bytes from Ray's object store, and the result goes back as
bytes. Nothing of a user's files is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray

from bgdefect_core.errors import BGDefectError, OutputError

from .blobs import Corrupted, NodeShelf
from .tasks import Parts
from .worker import Worker
from .works import do_work

__all__ = ["Answer", "RemoteWorker", "digest_of_parts"]

Answer = dict[str, Any]
"""What a worker says of a task: "problem", why it failed, "" where it did not; "seconds" of the
clock and of the "processor"; "corrupted", whether what arrived was damaged."""


def digest_of_parts(parts: Parts) -> str:
    """SHA-256 of a result."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"{name} {len(parts[name])}\n".encode())
        digest.update(parts[name])
    return digest.hexdigest()


class RemoteWorker:
    """The actor.

    Args:
        campaign: name of the campaign, for the node's folder.
    """

    def __init__(self, campaign: str) -> None:
        logging.getLogger().setLevel(logging.ERROR)
        node = ray.get_runtime_context().get_node_id()
        folder = Path(tempfile.gettempdir()) / f"bgdefect-{campaign}"
        _make_own(folder)
        self._folder = folder / node
        self._node = node
        self._contents: Mapping[str, Any] = {}
        shelf = NodeShelf(self._folder, self._fetch)
        self._worker = Worker(shelf, self._folder / "unfinished")

    def node(self) -> str:
        """The node on which it lives."""
        return str(self._node)

    def process(self) -> int:
        """Its process on that node."""
        return os.getpid()

    def do(self, kind: str, order: str, contents: Mapping[str, Any]) -> tuple[Answer, Any]:
        """Do a task.

        Args:
            kind: of the task. order: as JSON.
            contents: digest -> where the object store has it, for what this node may lack.

        Returns:
            The answer; the digest and the parts of the result.
        """
        self._contents = contents
        started, processor = time.monotonic(), time.process_time()
        parts: Parts = {}
        answer: Answer = {"problem": "", "corrupted": False}
        try:
            parts = do_work(self._worker, kind, json.loads(order))
        except (BGDefectError, MemoryError) as error:
            answer["problem"] = self._worker.shelf.original(str(error)) or type(error).__name__
            answer["corrupted"] = isinstance(error, Corrupted)
        answer["seconds"] = time.monotonic() - started
        answer["processor"] = time.process_time() - processor
        return answer, (digest_of_parts(parts), dict(parts))

    def clean(self) -> None:
        """Delete the node's folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _fetch(self, digest: str) -> bytes:
        """The bytes of a digest from the object store.

        Raises:
            Corrupted: the head believes that this node has them.
        """
        if digest not in self._contents:
            raise Corrupted(f"this node has no content {digest[:16]}...")
        content: bytes = ray.get(self._contents[digest])
        return content


def _make_own(folder: Path) -> None:
    """Make a folder that other users cannot write to.

    Raises:
        OutputError: it is there, and another user's.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder.lstat().st_uid if hasattr(os, "getuid") else None
    if owner is not None and owner != os.getuid():
        raise OutputError(f"{folder} belongs to another user", "", "remove it, or set TMPDIR")
