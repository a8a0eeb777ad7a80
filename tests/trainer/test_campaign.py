"""Campaigns: the plan, values and files on their way, equal bits, resume, failing classes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import DataError, OutputError, SettingError
from bgdefect_core.placement.exemplar import Exemplar
from bgdefect_core.records import dataset
from trainer.bases.timing import NetworkTiming
from trainer.campaign import board
from trainer.campaign import run as campaign_run
from trainer.campaign.blobs import ContentStore, Corrupted, NodeShelf, digest_of, tree_of
from trainer.campaign.classes import ClassFiles, classes_of
from trainer.campaign.dry_run import class_cost
from trainer.campaign.evaluation_run import evaluations_of
from trainer.campaign.local import LocalExecutor
from trainer.campaign.measuring import Facts
from trainer.campaign.packing import pack, unpack
from trainer.campaign.plan import PLANS, Plan, read_plan
from trainer.campaign.run import campaign, exit_code, open_plan, tell
from trainer.campaign.tasks import Ended, Task
from trainer.campaign.typed import GENERATION, TRAINING, with_values
from trainer.campaign.worker import Worker
from trainer.generation.generate import generate
from trainer.training.train import train

from .campaign_sets import made, run_plan, shared_of, write_plan
from .conftest import Run
from .test_train import largest_difference, moments_of

# --- values as bytes


@dataclasses.dataclass(frozen=True)
class Parcel:
    exemplars: tuple[Exemplar, ...]
    place: Path
    parts: dict[str, bytes]
    size: tuple[int, float] | None


def test_a_packed_value_comes_back_in_all_bits() -> None:
    colours = np.full((2, 3, 3), np.nan, np.float32)
    colours[0, 0] = (0.1, 1 / 3, 2)
    exemplar = Exemplar(colours, np.eye(3, dtype=bool)[:2], -1, 4, 0.1 + 0.2, 1.5, True)
    parcel = Parcel((exemplar,), Path("/a/b"), {"x": b"\0\xff"}, (3, 0.1))
    back = unpack(pack(parcel), Parcel)
    assert (back.place, back.parts, back.size) == (parcel.place, parcel.parts, parcel.size)
    (other,) = back.exemplars
    assert other.colours.tobytes() == colours.tobytes() and other.colours.flags.writeable
    assert np.array_equal(other.mask, exemplar.mask) and other.mask.dtype == bool
    assert (other.top, other.angle, other.flipped) == (-1, 0.1 + 0.2, True)
    assert pack(back) == pack(parcel)


def test_damaged_bytes_and_other_types_are_refused() -> None:
    data = pack(Parcel((), Path("a"), {"x": b"four"}, None))
    for damaged in (b"", data[:-1], data[:20], b"\xff" * 40, data.replace(b"place", b"plaice")):
        with pytest.raises(DataError, match="packed"):
            unpack(damaged, Parcel)
    with pytest.raises(DataError, match="complex64"):
        pack(np.zeros(2, np.complex64))
    with pytest.raises(DataError, match="object"):
        pack([object()])


# --- files by content


def test_a_tree_is_laid_out_with_its_bytes(tmp_path: Path) -> None:
    home = tmp_path / "home" / "part"
    (home / "sub").mkdir(parents=True)
    (home / "a.txt").write_bytes(b"one")
    (home / "sub" / "b.txt").write_bytes(b"two")
    store = ContentStore(tmp_path / "store")
    tree, inside = tree_of(home, [home / "a.txt", home / "sub" / "b.txt"])
    digest = store.add_tree(tree)
    asked: list[str] = []

    def fetch(name: str) -> bytes:
        asked.append(name)
        return store.read(name)

    for _ in range(2):  # the second worker of a node asks for nothing
        shelf = NodeShelf(tmp_path / "node", fetch)
        place = shelf.lay_out(digest) / inside
        assert (place / "a.txt").read_bytes() == b"one"
        assert (place / "sub" / "b.txt").read_bytes() == b"two"
        assert place.name == "part"
    assert sorted(asked) == sorted([digest, digest_of(b"one"), digest_of(b"two")])
    told = {"file": f"{place}/a.txt", str(place): [f"bad: {place}/sub/b.txt"]}
    expected = {"file": f"{home}/a.txt", str(home): [f"bad: {home}/sub/b.txt"]}
    assert shelf.original(told) == expected
    assert set(store.contents([digest])) == {digest, *tree.files.values()}


def test_files_elsewhere_lie_in_the_tree_too(tmp_path: Path) -> None:
    for name in ("data/list.csv", "other/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    tree, inside = tree_of(
        tmp_path / "data", [tmp_path / "data/list.csv", tmp_path / "other/a.png"]
    )
    assert set(tree.files) == {"data/list.csv", "other/a.png"} and inside == "data"


def test_a_corrupted_upload_is_noticed(tmp_path: Path) -> None:
    shelf = NodeShelf(tmp_path / "node", lambda digest: b"other bytes")
    with pytest.raises(Corrupted, match="other bytes"):
        shelf.read(digest_of(b"the bytes"))
    store = ContentStore(tmp_path / "store")
    digest = store.add(b"packed")
    (tmp_path / "store" / digest).write_bytes(b"changed")
    with pytest.raises(Corrupted):
        store.read(digest)


# --- the plan


def test_a_mistake_in_one_class_stops_no_other(
    tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    more = """
[[class]]
object = "plate"
defect = "spot"
train = { stepz = 3 }
[[class]]
object = "plate"
defect = "dent"
generate = { count = 3 }
[[class]]
object = "plate"
defect = "cut"
train = { shots = 1 }
generate = { count = 3 }
"""
    defects = '["spot", "cut", "hole"]'
    config = write_plan(tmp_path, tiny_base, plates, defects=defects, more=more)
    classes = {(item.object, item.defect): item for item in classes_of(open_plan(config))}
    assert classes["plate", "cut"].problems == []
    assert classes["plate", "cut"].train.shots == 1
    assert classes["plate", "cut"].generate.count == 3
    assert "stepz" in classes["plate", "spot"].problems[0]
    assert "none of its classes" in classes["plate", "dent"].problems[0]
    assert "no defect 'hole'; it has cut, spot" in classes["", "hole"].problems[0]


def test_values_of_all_classes_are_checked_for_each(
    tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    config = write_plan(tmp_path, tiny_base, plates, defects='"all"', count='"many"')
    classes = classes_of(open_plan(config))
    assert [item.defect for item in classes] == ["cut", "spot"]
    assert all("count is 'many'" in item.problems[0] for item in classes)
    with pytest.raises(DataError, match="no class"):
        campaign(config)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[data", "cannot be read"),
        ("threads = 0", "threads is 0"),
        ("threads = 'two'", "threads"),
        ("colour = 1", "'colour'"),
        ("data = 3", "a table"),
        ("[[class]]\nobject = 'a'", "object and defect"),
        ("class = 3", "tables"),
        ("output = 'a'", "no data set"),
        ("[data]\nsource = 'a'\nobjects = 'plate'", "objects"),
        ("[data]\nsource = 'a'\n[train]\nobject = 'b'", ""),
    ],
)
def test_a_plan_that_is_none(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "plan.toml").write_text(text)
    if not match:  # an option that the campaign sets is a mistake of each class
        assert read_plan(tmp_path / "plan.toml").train == {"object": "b"}
        return
    with pytest.raises(SettingError, match=match):
        plan: Plan = read_plan(tmp_path / "plan.toml")
        plan.check()


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.toml")))
def test_shipped_plans_are_read_and_write_into_the_folder_of_today(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = read_plan(Path(name))
    assert plan.run.output.parent == tmp_path
    with_values("[train]", TRAINING, plan.train)
    with_values("[generate]", GENERATION, plan.generate)
    assert plan.run.paint or plan.evaluate is not None


def test_evaluations_are_of_a_class_or_of_an_object(
    tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    for by, expected in (
        ("class", ["evaluation of plate / cut", "evaluation of plate / spot"]),
        ("object", ["evaluation of plate"]),
    ):
        more = f'[evaluate]\nrecipe = "mvtec_ad"\ndetectors_by = "{by}"\nsamples = 7\n'
        config = write_plan(tmp_path / by, tiny_base, plates, defects='"all"', more=more)
        plan = open_plan(config)
        runs = evaluations_of(plan, classes_of(plan), shared_of(plan, tmp_path / "store"))
        assert [run.name for run in runs] == expected
        (task,) = runs[0].begin()
        order = task.order["evaluate"]
        classes = ["plate/cut"] if by == "class" else ["plate/cut", "plate/spot"]
        assert order["classes"] == classes and order["samples"] == 7
        assert order["detector_steps"] == 12500  # of the recipe
        assert set(task.contents) >= set(ClassFiles(plan).object_tree("plate")[0].files.values())


def test_an_evaluation_takes_no_place_of_its_own(
    tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    config = write_plan(tmp_path, tiny_base, plates, more='[evaluate]\noutput = "a"\n')
    plan = open_plan(config)
    with pytest.raises(SettingError, match="sets output"):
        evaluations_of(plan, classes_of(plan), shared_of(plan, tmp_path / "store"))


# --- equal bits


@pytest.fixture(scope="module")
def by_hand(tiny_base: Path, plates: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The class ``spot`` by ``bgdefect train`` and ``bgdefect generate``."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("by-hand")
    (item,) = classes_of(open_plan(write_plan(folder, tiny_base, plates)))
    weights = train(dataclasses.replace(item.train, output=folder / "w.safetensors"))
    split = weights.with_suffix(".run") / "split.json"
    values = {"weights": weights, "mask_split": split, "output": folder / "data"}
    summary = generate(replace_options(item.generate, **values))
    assert summary.accepted == 10
    return made(folder / "data", weights)


def results(folder: Path) -> Mapping[str, Any]:
    return made(folder / "out" / "data", folder / "out" / "weights" / "plate-spot.safetensors")


def test_a_campaign_makes_what_its_steps_make_by_hand(
    by_hand: Any, tiny_base: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    config = write_plan(tmp_path, tiny_base, plates)
    code, shown, _ = run("campaign", config.plan)
    assert code == 0 and "plate / spot: 10 of 10 samples are good" in shown
    assert results(tmp_path) == by_hand
    record = json.loads((tmp_path / "out" / "campaign.json").read_text())
    (entry,) = record["classes"]
    assert record["state"] == "done" and entry["stage"] == "done"
    assert set(entry["seconds"]) == {"learn", "place", "paint", "write", "page"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert 'href="data/extras/plate/spot/index.html"' in page and "refresh" not in page
    assert page.count("<th>") == page.count("<td") == 11  # one class: a head over each cell
    assert (tmp_path / "out" / entry["page"]).is_file()
    manifest = (tmp_path / "out/data/extras/plate/spot/manifest.jsonl").read_text().splitlines()
    assert json.loads(manifest[0])["made_with"]["threads"] == 1
    # again: nothing is made, everything stands
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/data").rglob("*.png")}
    assert run_plan(config)["spot"]["accepted"] == 10
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/data").rglob("*.png")}
    assert before == after


class Far(LocalExecutor):
    """Does tasks as a machine does that shares no disk with the head: from bytes alone. Some fail,
    come back late, or end the head."""

    slots = 2

    def __init__(
        self, store: ContentStore, folder: Path, bad: Mapping[str, int], stop: int
    ) -> None:
        super().__init__(Worker(NodeShelf(folder, store.read), folder / "scratch"))
        self._bad, self._stop = dict(bad), stop
        self._late: list[Ended] = []
        self.done: list[str] = []

    def takes(self, kind: str) -> bool:
        return len(self._tasks) + len(self._late) < 2

    def wait(self, seconds: float) -> list[Ended]:
        if len(self.done) == self._stop:
            raise KeyboardInterrupt
        ended = super().wait(seconds)
        for result in ended:
            self.done.append(result.task.kind)
            for name in (result.task.kind, result.task.group.rpartition(" ")[2]):
                if self._bad.get(name, 0) > 0:
                    self._bad[name] -= 1
                    result.problem = "it went wrong"
        if ended and ended[0].task.kind == "paint" and not self._late:
            self._late = ended  # the shard after it comes first
            return []
        late, self._late = self._late, []
        return [*ended, *late]


def far(monkeypatch: pytest.MonkeyPatch, folder: Path, stop: int = -1, **bad: int) -> list[Far]:
    executors: list[Far] = []

    def make(config: object, plan: object, store: ContentStore, work: object) -> Far:
        executors.append(Far(store, folder / f"node-{len(executors)}", bad, stop))
        return executors[-1]

    monkeypatch.setattr(campaign_run, "make_executor", make)
    return executors


def test_bytes_alone_give_the_same_bits_whatever_fails_first(
    by_hand: Any, tiny_base: Path, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost results, late results, then a head that ends after 4 tasks and begins again."""
    config = write_plan(tmp_path / "a", tiny_base, plates)
    far(monkeypatch, tmp_path, stop=6, learn=1, place=1, paint=1)
    with pytest.raises(KeyboardInterrupt):
        campaign(config)
    assert json.loads((tmp_path / "a/out/campaign.json").read_text())["state"] == "stopped"
    far(monkeypatch, tmp_path / "b")
    shutil.rmtree(tmp_path / "a/out" / "work")  # what only the campaign reads may be lost too
    assert run_plan(config)["spot"]["accepted"] == 10
    assert results(tmp_path / "a") == by_hand


def test_the_page_counts_good_samples_while_they_are_painted(
    tiny_base: Path, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    write = board.Board.write

    def watched(self: board.Board, state: board.State, more: Mapping[str, Any]) -> Any:
        told = write(self, state, more)
        seen.append((state, told.total("written"), told.total("accepted"), told.total("rejected")))
        return told

    monkeypatch.setattr(board.Board, "write", watched)
    monkeypatch.setattr(board, "_EVERY", 0.0)
    campaign(write_plan(tmp_path, tiny_base, plates))
    running = [counts for state, *counts in seen if state == "running"]
    assert any(0 < written < 10 for written, _, _ in running)
    assert all(written == good + rejected for written, good, rejected in running)


def test_a_class_that_fails_always_is_told_and_the_others_go_on(
    tiny_base: Path, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_plan(tmp_path, tiny_base, plates, defects='"all"', shots=1, count=2)
    executors = far(monkeypatch, tmp_path, cut=3)
    result = campaign(config)
    entries = {entry["defect"]: entry for entry in result.classes}
    assert entries["cut"]["stage"] == "failed"
    assert entries["cut"]["reason"] == "it went wrong (3 tries)"
    assert entries["spot"]["accepted"] == 2 and exit_code(result) == 1
    assert "plate / cut failed: it went wrong (3 tries)" in tell(result)
    assert executors[0].done.count("learn") == 4
    assert "it went wrong (3 tries)" in (tmp_path / "out" / "index.html").read_text()


def test_a_full_disk_stops_the_campaign_and_it_goes_on(
    by_hand: Any, tiny_base: Path, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_plan(tmp_path, tiny_base, plates)
    write, calls = dataset.write_file, [0]

    def full(path: Path, content: bytes) -> None:
        calls[0] += 1
        if calls[0] > 9:
            raise OutputError(f"{path} cannot be written (No space left on device)")
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "write_file", full)
        with pytest.raises(OutputError, match="No space left"):
            campaign(config)
    assert run_plan(config)["spot"]["accepted"] == 10
    assert results(tmp_path) == by_hand


_CAN_MOUNT = (
    shutil.which("unshare") is not None
    and subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode == 0
)


@pytest.mark.slow
@pytest.mark.skipif(not _CAN_MOUNT, reason="a small disk of its own needs user namespaces")
def test_a_disk_that_is_really_full_and_then_larger(
    by_hand: Any, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    """The data set lies on a disk of 120 kB, which holds some of the ten samples."""
    config = write_plan(tmp_path, tiny_base, plates)
    command = f"{sys.executable} -m trainer campaign {config.plan}"
    data = tmp_path / "out/data"
    script = f"""
        set -e
        mkdir -p {data}
        mount -t tmpfs -o size=120k none {data}
        if {command} 2> {tmp_path}/full.txt; then exit 9; fi
        wc -l < {data}/extras/plate/spot/manifest.jsonl > {tmp_path}/written.txt
        mount -o remount,size=64m none {data}
        {command}
        cp -r {data} {tmp_path}/copy
    """
    words = ["unshare", "-Urm", "sh", "-c", script]
    subprocess.run(words, check=True, cwd=Path(__file__).parents[2], timeout=1200)
    assert "No space left on device" in (tmp_path / "full.txt").read_text()
    assert 0 < int((tmp_path / "written.txt").read_text()) < 10
    assert made(tmp_path / "copy", tmp_path / "out/weights/plate-spot.safetensors") == by_hand


def test_another_plan_in_the_same_folder_is_refused_class_by_class(
    tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    run_plan(write_plan(tmp_path, tiny_base, plates, count=2))
    config = write_plan(tmp_path, tiny_base, plates, count=2, shots=3)
    assert "holds another run" in run_plan(config)["spot"]["reason"]
    config = write_plan(tmp_path, tiny_base, plates, count=3, more="seed = 4\n")
    assert "seed was 0, now 4" in run_plan(config)["spot"]["reason"]
    more = write_plan(tmp_path, tiny_base, plates, count=3)
    assert run_plan(more)["spot"]["accepted"] == 3  # a larger count extends


def test_a_dry_run_tells_tasks_time_and_disk_and_writes_nothing(
    tiny_base: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    more = '[[class]]\nobject = "plate"\ndefect = "cut"\ntrain = { shots = 9 }\n'
    config = write_plan(tmp_path, tiny_base, plates, defects='"all"', more=more)
    code, shown, _ = run("campaign", config.plan, "--dry-run")
    assert code == 1  # of two pictures nine cannot train
    assert "plate / cut cannot be learned: " in shown
    assert "plate / spot: 2 train, 4 held out; learn -> 2 x (place -> paint) -> assemble" in shown
    assert "tasks: 1 learn, 2 place, 2 paint, 1 assemble, 0 evaluate" in shown
    assert "1 classes can be learned, 1 cannot" in shown and "nothing was written" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.toml"]


def test_the_estimate_counts_by_hand(tiny_base: Path, plates: Path, tmp_path: Path) -> None:
    config = write_plan(tmp_path, tiny_base, plates)
    (item,) = classes_of(open_plan(config))
    inputs = ("tiny", "", {}, "cpu", "x86", "fp32", "fp32", 32, 2, 1000)
    cost = class_cost(item, Facts(*inputs, NetworkTiming(2.0, 0.5, encode=0.25, decode=0.125)))
    assert cost.learn == 2 * 2.0  # iterations
    start = item.generate.paint.starting.mean_level
    steps = start * 0.5  # one step, no inversion, no guidance
    squares = 2 * (0.25 + 0.125) + 0.125  # the good square, its paste, the sample
    assert cost.paint == pytest.approx(10 * (steps + squares))
    assert cost.shards == 2 and not cost.problems


def test_equal_orders_are_equal_tasks(tmp_path: Path) -> None:
    one = Task("learn", "a", "g", {"steps": 1})
    assert one.key == Task("learn", "b", "h", {"steps": 1}).key
    assert one.key != Task("learn", "a", "g", {"steps": 2}).key


@pytest.mark.slow
def test_a_class_learned_by_two_processes_equals_the_larger_batch(
    tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    """Two processes on the CPU (gloo), each with a batch of 1, do what one does with 2."""
    values: dict[str, Any] = {"steps": 1, "count": 1}
    moments: list[dict[str, torch.Tensor]] = []
    losses: list[float] = []
    for processes, batch in ((2, 1), (1, 2)):
        more = '[[class]]\nobject = "plate"\ndefect = "spot"\n'
        more += f"train = {{ batch = {batch} }}\n"
        folder = tmp_path / f"{processes}-{batch}"
        values["run"] = f"gpus_per_class = {processes}"
        config = write_plan(folder, tiny_base, plates, more=more, **values)
        assert run_plan(config)["spot"]["stage"] == "done"
        run_folder = folder / "out/weights/plate-spot.run"
        record = json.loads((run_folder / "run.json").read_text())
        assert record["settings"]["processes"] == processes
        losses.append(float((run_folder / "log.csv").read_text().splitlines()[-1].split(",")[1]))
        (scratch,) = (folder / "out" / "work" / "unfinished").iterdir()
        moments.append(moments_of(scratch / "plate-spot.safetensors"))
    assert largest_difference(*moments) < 1e-6
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
