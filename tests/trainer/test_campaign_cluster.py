"""Campaigns on Ray: the bits of one process, whatever was killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .campaign_sets import made, run_plan, write_plan

pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")

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
    values = {"count": 600, "steps": 200}
    folder = tmp_path_factory.mktemp("alone-long")
    run_plan(write_plan(folder, tiny_base, plates, **values))
    write_plan(tmp_path / "kills", tiny_base, plates, **values)
    play(["kills"], tmp_path)
    report = json.loads((tmp_path / "kills.json").read_text())
    assert report["code"] == 0 and sum(report["killed"].values()) == 40
    assert results(tmp_path / "kills") == results(folder)


def play_faults(folder: Path, base: Path, plates: Path, faults: Sequence[str], *words: str) -> Any:
    """A campaign of the classes of the plates and of some with faults, on Ray and in one process,
    where the results of those without a reason are equal; the record."""
    data = folder / "plate"
    shutil.copytree(plates, data)
    for name in faults:
        shutil.copytree(plates / "test/spot", data / "test" / name)
        shutil.copytree(plates / "ground_truth/spot", data / "ground_truth" / name)
    values = {"defects": '"all"', "shots": 1, "count": 10}
    config = write_plan(folder / "far", base, data, run="task_minutes = 0.5", **values)
    script = [sys.executable, str(SCRIPT.with_name("campaign_faults.py")), str(config.plan), *words]
    subprocess.run(script, check=True, cwd=SCRIPT.parents[2], timeout=1500)
    run_plan(write_plan(folder / "near", base, data, **values))
    record = json.loads((folder / "far/out/campaign.json").read_text())
    for entry in record["classes"]:
        if not entry["reason"]:
            far, near = folder / "far/out", folder / "near/out"
            assert class_results(far, entry["defect"]) == class_results(near, entry["defect"])
    return record


@pytest.mark.slow
def test_faults_of_one_class_stop_no_other(tiny_base: Path, plates: Path, tmp_path: Path) -> None:
    """A worker that hangs, a MemoryError, and bytes damaged on their way to a worker and back."""
    record = play_faults(tmp_path, tiny_base, plates, ("damaged", "endless", "hanging"))
    reasons = {entry["defect"]: entry["reason"] for entry in record["classes"]}
    assert reasons["spot"] == reasons["damaged"] == reasons["cut"] == ""
    assert "Unable to allocate" in reasons["endless"] and "(3 tries)" in reasons["endless"]
    assert reasons["hanging"] == "it was not done after 0.5 minutes (3 tries)"
    assert record["about"]["workers lost"] >= 3
    assert record["about"]["tasks given again"] >= 2 + 2 + 1  # and once for the damaged bytes


@pytest.mark.slow
@pytest.mark.skipif(psutil.virtual_memory().available < 12e9, reason="a worker takes 5 GB or more")
def test_a_worker_that_ray_ends_for_its_memory(
    tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    record = play_faults(tmp_path, tiny_base, plates, ("hungry",), "watched")
    reasons = {entry["defect"]: entry["reason"] for entry in record["classes"]}
    assert reasons["spot"] == reasons["cut"] == ""
    assert "low on memory" in reasons["hungry"] and "(3 tries)" in reasons["hungry"]
    assert record["about"]["workers lost"] >= 3


@pytest.mark.slow
def test_two_processes_of_a_worker_learn_what_two_of_one_process_learn(
    tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    values = {"steps": 1, "count": 1, "run": "gpus_per_class = 2"}
    run_plan(write_plan(tmp_path / "near", tiny_base, plates, **values))
    config = write_plan(tmp_path / "far", tiny_base, plates, **values)
    assert run_plan(replace(config, workers=1))["spot"]["stage"] == "done"
    assert results(tmp_path / "far") == results(tmp_path / "near")


def class_results(output: Path, defect: str) -> dict[str, Any]:
    """What was made of one class."""
    everything = made(output / "data", output / "weights" / f"plate-{defect}.safetensors")
    chosen: dict[str, Any] = {}
    for name, value in everything.items():
        if f"/{defect}/" in name or name.startswith("weights: "):
            chosen[name] = value
    return chosen
