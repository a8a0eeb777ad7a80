"""A campaign on Ray whose workers have faults, each in the tasks of one class; a script of
test_campaign_cluster.py.

Arguments: the plan, and "watched" where Ray shall watch the memory closely. The memory is really
taken, Ray's own monitor kills the worker, the hanging worker really stands still, and the bytes
that arrive are really other ones.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil

LIMIT = 5_000_000_000
"""Bytes more than now are in use: then Ray's monitor kills."""
EATEN = 9_000_000_000


def main() -> None:
    """Run the campaign on two workers."""
    if "watched" in sys.argv:
        memory = psutil.virtual_memory()
        share = (memory.total - memory.available + LIMIT) / memory.total
        os.environ["RAY_memory_usage_threshold"] = f"{share:.4f}"
        os.environ["RAY_memory_monitor_refresh_ms"] = "50"
    from trainer.campaign import cluster, cluster_worker
    from trainer.campaign.cluster_worker import Answer, RemoteWorker
    from trainer.campaign.config import CampaignConfig
    from trainer.campaign.run import campaign
    from trainer.campaign.works import do_work

    class FaultyWorker(RemoteWorker):
        """Has a fault in the tasks of some classes."""

        def __init__(self, campaign: str) -> None:
            super().__init__(campaign)
            cluster_worker.do_work = faulty_work  # type: ignore[attr-defined]
            self._left = {"upload": 1, "result": 1}

        def do(self, kind: str, order: str, contents: Mapping[str, Any]) -> tuple[Answer, Any]:
            self._is_damaging = "plate-damaged." in order
            answer, (digest, parts) = super().do(kind, order, contents)
            if parts and self._damages("result"):
                parts = {name: changed(content) for name, content in parts.items()}
            return answer, (digest, parts)

        def _fetch(self, digest: str) -> bytes:
            content = super()._fetch(digest)
            return changed(content) if self._damages("upload") else content

        def _damages(self, what: str) -> bool:
            """Whether it damages this, which it does once."""
            damages = self._is_damaging and self._left[what] > 0
            self._left[what] -= damages
            return damages

    def faulty_work(worker: Any, kind: str, order: Mapping[str, Any]) -> Mapping[str, bytes]:
        name = str(order.get("file", "")) if kind == "learn" else ""
        if "hungry" in name:
            eaten: list[bytearray] = []
            for _ in range(EATEN // 50_000_000):
                eaten.append(bytearray(b"x" * 50_000_000))
                time.sleep(0.02)
        if "hanging" in name:
            time.sleep(100_000)
        if "endless" in name:
            np.empty(1 << 60, np.uint8)  # MemoryError
        return do_work(worker, kind, order)

    def changed(content: bytes) -> bytes:
        return content[:-1] + bytes([content[-1] ^ 1])

    cluster.RemoteWorker = FaultyWorker  # type: ignore[misc]
    logging.basicConfig(level=logging.INFO)
    campaign(CampaignConfig(Path(sys.argv[1]), workers=2))


if __name__ == "__main__":
    main()
