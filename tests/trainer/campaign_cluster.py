"""Campaigns on a real Ray cluster of several nodes on this machine, parts of which are killed; a
script of test_campaign_cluster.py.

One process keeps the cluster; each campaign is a process of its own, as ``bgdefect campaign
--address`` is. Arguments: a folder, and scenes of ``SCENES``. Writes ``folder/SCENE.json``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from ray.cluster_utils import Cluster

ROOT = Path(__file__).resolve().parents[2]


class Stage:
    """A cluster of nodes with one CPU each, and campaigns on it."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.folder = folder
        self.cluster = Cluster()
        self.cluster.add_node(num_cpus=0, include_dashboard=False)  # the head's, without workers
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(nodes)]
        self.report: dict[str, Any] = {}

    def begin(self, name: str) -> subprocess.Popen[bytes]:
        """A campaign in a process of its own."""
        words = [sys.executable, "-m", "trainer", "campaign", str(self.folder / name / "plan.toml")]
        words += ["--address", self.cluster.address]
        log = open(self.folder / name / "log.txt", "ab")  # noqa: SIM115 (the process writes to it)
        return subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)

    def record(self, name: str) -> dict[str, Any]:
        """What the campaign's record says at present."""
        try:
            path = self.folder / name / "out" / "campaign.json"
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def wait_for(self, what: Callable[[], object], seconds: float = 1800) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                raise TimeoutError(what)
            time.sleep(0.05)

    def wait_until_written(self, name: str, count: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until the data set has so many attempts, or the campaign has ended."""
        self.wait_for(lambda: self.written(name) >= count or process.poll() is not None)

    def written(self, name: str) -> int:
        """Samples in the data set."""
        path = self.folder / name / "out/data/extras/plate/spot/manifest.jsonl"
        return path.read_bytes().count(b"\n") if path.is_file() else 0


def workers() -> list[psutil.Process]:
    """The workers of campaigns below this process, which started the machines of their cluster."""
    found: list[psutil.Process] = []
    for process in psutil.Process().children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:  # it ended meanwhile
            continue
        if title.startswith("ray::RemoteWorker"):
            found.append(process)
    return found


def kill_worker() -> bool:
    """SIGKILL for one of the workers, chosen by chance; False: there is none."""
    processes = workers()
    if not processes:
        return False
    try:
        random.choice(processes).kill()
    except psutil.NoSuchProcess:
        return False
    return True


def undisturbed(stage: Stage) -> None:
    """Nothing is killed."""
    stage.report["code"] = stage.begin("undisturbed").wait()


def worker_killed(stage: Stage) -> None:
    """A worker is killed while it learns, and one while it paints."""
    process = stage.begin("worker_killed")
    stage.wait_for(workers)
    kill_worker()
    stage.wait_until_written("worker_killed", 1, process)
    stage.report["killed"] = kill_worker()
    stage.report["code"] = process.wait()


def node_removed(stage: Stage) -> None:
    """A machine goes while it works, and another comes."""
    process = stage.begin("node_removed")
    stage.wait_until_written("node_removed", 1, process)
    stage.cluster.remove_node(stage.nodes.pop(), allow_graceful=False)
    stage.nodes.append(stage.cluster.add_node(num_cpus=1))
    stage.report["code"] = process.wait()


def head_killed(stage: Stage) -> None:
    """The command is killed twice and started again."""
    for count in (1, 9):
        process = stage.begin("head_killed")
        stage.wait_until_written("head_killed", count, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    stage.report["code"] = stage.begin("head_killed").wait()


def hangs(stage: Stage) -> None:
    """A worker stands still; the time limit of the plan ends it."""
    process = stage.begin("hangs")
    stage.wait_until_written("hangs", 1, process)
    for worker in workers():
        worker.suspend()
    stage.report["code"] = process.wait()


def kills(stage: Stage) -> None:
    """Forty kills at random moments: of workers, machines and heads."""
    stage.report["killed"] = Counter()
    kinds = ["worker"] * 24 + ["machine"] * 8 + ["head"] * 8
    chance = random.Random(5)
    chance.shuffle(kinds)
    process = stage.begin("kills")
    for kind in kinds:
        wait_for_workers(stage, process)
        time.sleep(chance.uniform(0, 15))  # a worker that comes needs some seconds to begin
        if process.poll() is not None:
            break
        if kind == "worker" and not kill_worker():
            kind = "head"
        if kind == "machine":
            number = chance.randrange(len(stage.nodes))
            stage.cluster.remove_node(stage.nodes.pop(number), allow_graceful=False)
            stage.nodes.append(stage.cluster.add_node(num_cpus=1))
        if kind == "head":
            process.kill()
            process.wait()
            process = stage.begin("kills")
        stage.report["killed"][kind] += 1
    stage.report["written at the last kill"] = stage.written("kills")
    stage.report["code"] = process.wait()


def wait_for_workers(stage: Stage, process: subprocess.Popen[bytes]) -> None:
    """Wait until there is something to kill, or the campaign has ended."""
    stage.wait_for(lambda: workers() or process.poll() is not None)


SCENES = (undisturbed, worker_killed, node_removed, head_killed, hangs, kills)


def main() -> None:
    """Run the scenes that are named, one after the other, on one cluster."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_raylet_start_wait_time_s"] = "300"  # a machine that is busy with other work
    os.environ["RAY_health_check_timeout_ms"] = "60000"
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    stage = Stage(folder, 2)
    try:
        for scene in chosen(names):
            stage.report = {}
            started = time.monotonic()
            scene(stage)
            stage.report["seconds"] = round(time.monotonic() - started, 1)
            record = stage.record(scene.__name__)
            stage.report["given again"] = record["about"]["tasks given again"]
            stage.report["lost"] = record["about"]["workers lost"]
            (folder / f"{scene.__name__}.json").write_text(json.dumps(stage.report))
    finally:
        stage.cluster.shutdown()


def chosen(names: list[str]) -> Iterator[Callable[[Stage], None]]:
    """The scenes of these names."""
    for scene in SCENES:
        if scene.__name__ in names:
            yield scene


if __name__ == "__main__":
    main()
