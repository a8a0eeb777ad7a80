"""Campaigns on Ray: the bits of one process, whatever was killed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .campaign_sets import made, run_plan, write_plan

pytest.importorskip("ray")

from .campaign_cluster import kill_worker  # noqa: E402 (it imports ray)

SCRIPT = Path(__file__).with_name("campaign_cluster.py")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def alone(tiny_base: Path, plates: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one process makes."""
    folder = tmp_path_factory.mktemp("alone")
    assert run_plan(write_plan(folder, tiny_base, plates))["spot"]["accepted"] == 10
    return results(folder)


def results(folder: Path) -> dict[str, Any]:
    return made(folder / "out" / "data", folder / "out" / "weights" / "plate-spot.safetensors")


def test_workers_of_this_machine_one_of_which_is_killed(
    alone: Any, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    config = write_plan(tmp_path, tiny_base, plates)
    killed: list[bool] = []
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.05):
            if (tmp_path / "out/weights/plate-spot.safetensors").exists():
                killed.append(kill_worker())
                return

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        entry = run_plan(replace(config, workers=2))["spot"]
    finally:
        over.set()
        thread.join()
    assert killed == [True]
    assert (entry["stage"], entry["accepted"]) == ("done", 10)
    assert results(tmp_path) == alone
    record = json.loads((tmp_path / "out" / "campaign.json").read_text())
    assert record["about"]["workers lost"] >= 1


SCENES = ["undisturbed", "worker_killed", "node_removed", "head_killed", "hangs"]


def play(scenes: list[str], folder: Path) -> None:
    words = [sys.executable, str(SCRIPT), str(folder), *scenes]
    subprocess.run(words, check=True, cwd=SCRIPT.parents[2], timeout=3000)


@pytest.mark.slow
def test_two_machines_parts_of_which_are_killed(
    alone: Any, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    for scene in SCENES:
        write_plan(tmp_path / scene, tiny_base, plates, run="task_minutes = 2")
    play(SCENES, tmp_path)
    reports = {}
    for scene in SCENES:
        reports[scene] = json.loads((tmp_path / f"{scene}.json").read_text())
        assert reports[scene]["code"] == 0, scene
        assert results(tmp_path / scene) == alone, scene
    assert reports["undisturbed"]["lost"] == 0
    assert reports["worker_killed"]["lost"] >= 1
    assert reports["node_removed"]["lost"] >= 1
    assert reports["hangs"]["lost"] >= 1


@pytest.mark.slow
def test_forty_kills(
    tiny_base: Path, plates: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    values = {"count": 400, "steps": 200}
    folder = tmp_path_factory.mktemp("alone-long")
    run_plan(write_plan(folder, tiny_base, plates, **values))
    write_plan(tmp_path / "kills", tiny_base, plates, **values)
    play(["kills"], tmp_path)
    report = json.loads((tmp_path / "kills.json").read_text())
    assert report["code"] == 0 and report["killed"] == 40
    assert results(tmp_path / "kills") == results(folder)
