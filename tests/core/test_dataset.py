"""The generated data set: anomalib's layout, the record of every attempt, kills at every moment,
refused places."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bgdefect_core.errors import (
    DataError,
    MaskError,
    OtherRunError,
    OutputError,
    PictureError,
    SettingError,
)
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.pictures.reading import load_picture, read_picture
from bgdefect_core.pictures.writing import ENDINGS, ImageFormat, write_picture
from bgdefect_core.records.apply_decisions import apply_decisions
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.dataset_place import attempts_there, extras_folder
from bgdefect_core.records.decisions import Decision, DecisionLog, Word
from bgdefect_core.records.manifest import read_manifest
from bgdefect_core.records.run_record import changed_input, locked, read_inputs
from bgdefect_core.records.sample import Sample, SampleFacts
from bgdefect_core.weights.files import network_input

SETTINGS = {"steps": 50, "background": "replay", "batch": 4}
PLAN = [
    (0, 0, True),
    (1, 0, False),
    (1, 1, True),
    (2, 0, False),
    (3, 0, True),
]  # index, attempt, accepted


def make_sample(folder: Path, index: int, attempt: int, accepted: bool) -> Sample:
    source = folder / f"good{index % 2}.png"
    if not source.exists():
        write_picture(source, np.full((20, 24, 3), 50 + index % 2, np.uint8))
    rng = np.random.default_rng(100 * index + attempt)
    mask = np.zeros((20, 24), bool)
    mask[4:8, 4 + index : 9 + index] = True
    picture = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    verdict = "shows" if accepted else "too weak"
    heatmap = np.where(mask, 0.5, 0.0)
    origin = {"kind": "file", "file": "000_mask.png"}
    figures = (9 + attempt, {"psnr": 41.5}, verdict, accepted)
    facts = SampleFacts(index, attempt, source, origin, *figures)
    return Sample(facts, Picture(picture), mask, mask, heatmap)


def changed(sample: Sample, **change: Any) -> Sample:
    """The sample with other facts or arrays."""
    facts = {name: value for name, value in change.items() if hasattr(sample.facts, name)}
    arrays = {name: value for name, value in change.items() if name not in facts}
    return dataclasses.replace(sample, facts=dataclasses.replace(sample.facts, **facts), **arrays)


def write_plan(root: Path, folder: Path) -> None:
    """What a caller does: whatever the manifest lacks, in order."""
    with DatasetWriter(root, "nut", "scratch", SETTINGS) as writer:
        for index, attempt, accepted in PLAN:
            if len(writer.attempts(index)) <= attempt:
                writer.add(make_sample(folder, index, attempt, accepted))


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for index in (0, 1):
        make_sample(tmp_path / "in", index, 0, True)
    return tmp_path / "in"


def test_layout(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "out"
    write_plan(root, folder)
    goods = []
    for index in (0, 1):
        digest = hashlib.sha256((folder / f"good{index}.png").read_bytes()).hexdigest()
        goods.append(f"nut/train/good/{digest[:16]}.png")
    extras = "extras/nut/scratch"
    assert sorted(contents(root)) == sorted(
        [f"nut/test/scratch/0000{i}.png" for i in (0, 1, 3)]
        + [f"nut/ground_truth/scratch/0000{i}_mask.png" for i in (0, 1, 3)]
        + [f"{extras}/{kind}/0000{i}.png" for kind in ("requested", "heatmap") for i in (0, 1, 3)]
        + [
            f"{extras}/rejected/0000{i}_0{end}.png"
            for i in (1, 2)
            for end in ("", "_mask", "_requested", "_heatmap")
        ]
        + [f"{extras}/{name}" for name in ("run.json", "manifest.jsonl", ".lock")]
        + goods
    )
    sample = make_sample(folder, 3, 0, True)
    assert np.array_equal(read_picture(root / "nut/test/scratch/00003.png"), sample.picture.pixels)
    assert np.array_equal(read_mask(root / "nut/ground_truth/scratch/00003_mask.png"), sample.mask)
    with Image.open(root / extras / "heatmap/00003.png") as image:
        assert set(np.unique(np.asarray(image))) == {0, 128}


def test_anomalib_can_pair_it(tmp_path: Path, folder: Path) -> None:
    """anomalib's rule: every PNG below the object, by its last three parts; sorted pictures meet
    sorted masks."""
    root = tmp_path / "out"
    write_plan(root, folder)
    with DatasetWriter(root, "nut", "cut", SETTINGS) as writer:
        writer.add(make_sample(folder, 0, 0, True))
    found = [
        path.parts[-3:] for path in (root / "nut").glob("**/*") if path.suffix in (".png", ".PNG")
    ]
    pictures = sorted(
        "/".join(parts) for parts in found if parts[0] != "ground_truth" and parts[1] != "good"
    )
    masks = sorted("/".join(parts) for parts in found if parts[0] == "ground_truth")
    assert len(pictures) == len(masks) == 4
    for picture, mask in zip(pictures, masks, strict=True):
        assert picture.startswith("test/")
        assert (
            Path(picture).stem in Path(mask).stem and Path(picture).parts[1] == Path(mask).parts[1]
        )


def test_manifest_lists_every_attempt(tmp_path: Path, folder: Path) -> None:
    write_plan(tmp_path / "out", folder)
    records = read_manifest(extras_folder(tmp_path / "out", "nut", "scratch") / "manifest.jsonl")
    assert [(r.index, r.attempt, r.accepted) for r in records] == PLAN
    source = folder / "good1.png"
    manifest = extras_folder(tmp_path / "out", "nut", "scratch") / "manifest.jsonl"
    assert json.loads(manifest.read_text().splitlines()[1]) == {
        "index": 1,
        "attempt": 0,
        "accepted": False,
        "verdict": "too weak",
        "file": "extras/nut/scratch/rejected/00001_0.png",
        "label": "extras/nut/scratch/rejected/00001_0_mask.png",
        "requested": "extras/nut/scratch/rejected/00001_0_requested.png",
        "heatmap": "extras/nut/scratch/rejected/00001_0_heatmap.png",
        "source": str(source),
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "mask_origin": {"kind": "file", "file": "000_mask.png"},
        "seed": 9,
        "quality": {"psnr": 41.5},
        "settings": SETTINGS,
    }


def test_sources_become_what_our_reader_sees(tmp_path: Path, folder: Path) -> None:
    """A JPEG and a turned picture are converted: anomalib reads only .png, and reads it with plain
    Pillow. A 16-bit one keeps its values."""
    Image.new("RGB", (24, 20), (200, 10, 10)).save(folder / "a.jpg")
    Image.fromarray(np.full((20, 24), 30_000, np.uint16)).save(folder / "b.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 24), (1, 2, 3)).save(folder / "c.png", exif=exif)
    with DatasetWriter(tmp_path / "out", "nut", "scratch", SETTINGS) as writer:
        for index, name in enumerate(("a.jpg", "b.png", "c.png", "a.jpg")):
            writer.add(changed(make_sample(folder, index, 0, True), source=folder / name))
        digests = [record.source_sha256 for record in writer.records]
    assert len(list((tmp_path / "out/nut/train/good").iterdir())) == 3
    for name, digest in zip(("a.jpg", "b.png", "c.png"), digests, strict=False):
        with Image.open(tmp_path / f"out/nut/train/good/{digest[:16]}.png") as image:
            if name == "b.png":
                assert image.mode == "I;16" and (np.asarray(image) == 30_000).all()
            else:
                assert image.mode == "RGB"
                assert np.array_equal(np.asarray(image), read_picture(folder / name))


KILLER = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
import test_dataset
replace, fsync, ticks = os.replace, os.fsync, 0

def tick(stop):
    global ticks
    ticks += 1
    if ticks == stop:
        os.kill(os.getpid(), signal.SIGKILL)

def run(stop, tear):
    def counted_replace(*args):
        tick(stop)
        replace(*args)
        tick(stop)
    def counted_fsync(handle):
        if tear and ticks + 1 == stop:  # the last bytes of a line or a temporary file are lost
            os.ftruncate(handle, max(os.fstat(handle).st_size - 7, 0))
        tick(stop)
        fsync(handle)
    os.replace, os.fsync = counted_replace, counted_fsync
    test_dataset.write_plan(root, folder)

folder = Path(sys.argv[1])
for stop in range(1, 200):
    root = Path(sys.argv[2]) / f"{{stop}}"
    child = os.fork()
    if child == 0:
        signal.alarm(300)  # a moment that hangs ends the test, a slow machine does not
        run(stop, tear=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        break
    if code != -signal.SIGKILL:
        sys.exit(f"moment {{stop}} ended with {{code}}, not killed")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_kill_9_at_every_moment(tmp_path: Path, folder: Path) -> None:
    """Killed before and after every rename and fsync, lines torn; then resumed: the bytes of one
    long run."""
    write_plan(tmp_path / "whole", folder)
    expected = contents(tmp_path / "whole")
    here = Path(__file__).resolve()
    script = KILLER.format(path=[str(here.parent), str(here.parents[2])])
    subprocess.run(
        [sys.executable, "-c", script, str(folder), str(tmp_path / "killed")],
        check=True,
        timeout=3600,
    )
    stops = sorted((tmp_path / "killed").iterdir(), key=lambda path: int(path.name))
    assert (
        len(stops) > 60
    )  # 5 attempts of 4 files, 2 sources, run.json: 3 moments each, and one for each line
    torn = 0
    for root in stops:
        before = extras_folder(root, "nut", "scratch") / "manifest.jsonl"
        torn += (
            before.exists()
            and not before.read_bytes().endswith(b"\n")
            and before.stat().st_size > 0
        )
        kept = read_manifest(before) if before.exists() else []
        write_plan(root, folder)
        assert contents(root) == expected, f"killed at moment {root.name}"
        assert read_manifest(before)[: len(kept)] == kept
    assert torn == len(PLAN)


def test_resume_drops_what_is_incomplete(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "out"
    write_plan(root, folder)
    expected = contents(root)
    (root / "nut/ground_truth/scratch/00001_mask.png").unlink()  # listed, but lost
    stray = root / "nut/test/scratch/00007.png"
    stray.write_bytes(b"unlisted")
    (root / "nut/test/scratch/.00008.png.tmp").write_bytes(b"half")
    (root / "nut/test/scratch/notes.txt").write_text("not ours")
    with DatasetWriter(root, "nut", "scratch", SETTINGS) as writer:
        assert [(r.index, r.attempt) for r in writer.records] == [
            (0, 0),
            (1, 0),
            (2, 0),
            (3, 0),
        ]
        assert writer.attempts(1) == [0] and writer.attempts(5) == []
        assert not stray.exists()
        writer.add(make_sample(folder, 1, 1, True))
    assert contents(root).keys() - expected.keys() == {"nut/test/scratch/notes.txt"}
    assert expected.keys() <= contents(root).keys()


def test_refuses_another_run(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "out"
    write_plan(root, folder)
    before = contents(root)
    with pytest.raises(OutputError, match="another run: steps was 50, now 20"):
        DatasetWriter(root, "nut", "scratch", {**SETTINGS, "steps": 20})
    with pytest.raises(OutputError, match="another run: extra was not given, now 1"):
        DatasetWriter(root, "nut", "scratch", {**SETTINGS, "extra": 1})
    (root / "extras/nut/scratch/run.json").write_text("[]")
    with pytest.raises(OutputError, match="run.json is damaged"):
        DatasetWriter(root, "nut", "scratch", SETTINGS)
    (root / "extras/nut/scratch/run.json").write_bytes(before["extras/nut/scratch/run.json"])
    assert contents(root) == before
    DatasetWriter(
        root, "nut", "scratch", dict(reversed(SETTINGS.items()))
    ).close()  # the order of settings is none


def test_inputs_are_known_by_content_and_grow_with_the_run(tmp_path: Path, folder: Path) -> None:
    root, run = tmp_path / "out", extras_folder(tmp_path / "out", "nut", "scratch") / "run.json"
    first, both = (
        {"good 0": folder / "good0.png"},
        {"good 0": folder / "good0.png", "good 1": folder / "good1.png"},
    )
    DatasetWriter(root, "nut", "scratch", SETTINGS, inputs=read_inputs(first)).close()
    DatasetWriter(root, "nut", "scratch", SETTINGS, inputs=read_inputs(both)).close()
    DatasetWriter(root, "nut", "scratch", SETTINGS, inputs=read_inputs(first)).close()
    known = json.loads(run.read_text())["inputs"]
    assert known == read_inputs(both)
    assert (
        known["good 1"]["sha256"] == hashlib.sha256((folder / "good1.png").read_bytes()).hexdigest()
    )
    moved = shutil.copytree(folder, tmp_path / "moved") / "good1.png"
    DatasetWriter(root, "nut", "scratch", SETTINGS, inputs=read_inputs({"good 1": moved})).close()
    moved.write_bytes(moved.read_bytes() + b" ")
    before = run.read_bytes()
    for open_run in (attempts_there, DatasetWriter):
        with pytest.raises(OtherRunError, match=f"{moved} is not what it was when the run began"):
            open_run(root, "nut", "scratch", SETTINGS, inputs=read_inputs({"good 1": moved}))
    assert run.read_bytes() == before
    for damaged in (3, {"good 1": 3}):
        run.write_text(json.dumps(json.loads(before) | {"inputs": damaged}))
        with pytest.raises(OutputError, match="run.json is damaged"):
            DatasetWriter(root, "nut", "scratch", SETTINGS, inputs=read_inputs(both))
    with pytest.raises(DataError, match="none.png cannot be read"):
        read_inputs({"good 0": folder / "none.png"})


def test_a_network_is_known_by_its_weights_in_any_precision() -> None:
    weights = {
        "a": torch.linspace(-1, 1, 12).view(3, 4).half().float(),
        "ids": torch.arange(4),
        "b": torch.ones(2),
    }
    entry = network_input("the vae", weights)
    assert entry["file"] == "the vae" and entry["bytes"] == 2 * 14
    assert entry == network_input(
        "the vae",
        {name: one.half() if one.is_floating_point() else one for name, one in weights.items()},
    )
    assert entry == network_input(
        "the vae", {f"text_model.{name}": one for name, one in weights.items() if name != "ids"}
    )
    others = weights | {"b": torch.tensor([1.0, 1.01])}, weights | {"a": weights["a"].view(4, 3)}
    for other in others:
        assert (
            changed_input({"vae": entry}, {"vae": network_input("the vae", other)})
            == "the vae is not what it was when the run began"
        )
    assert changed_input({"vae": entry}, {"vae": entry}) == ""
    assert changed_input({}, {"vae": entry}, may_grow=True) == ""
    assert changed_input({}, {"vae": entry}) == "the vae is no input of the run that was begun"
    assert "the vae is missing" in changed_input({"vae": entry}, {})


def test_refuses_a_folder_of_real_pictures(tmp_path: Path) -> None:
    write_picture(tmp_path / "nut/test/scratch/00000.png", np.zeros((20, 20, 3), np.uint8))
    for defect in ("scratch", "cut"):
        with pytest.raises(OutputError, match="no run of ours"):
            DatasetWriter(tmp_path, "nut", defect, SETTINGS)
    assert list(contents(tmp_path)) == ["nut/test/scratch/00000.png"]


def test_refuses_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep me")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="file"):
            DatasetWriter(root, "nut", "scratch", SETTINGS)
    assert (tmp_path / "file").read_text() == "keep me"
    if Path("/proc/self").exists():
        with pytest.raises(OutputError, match="/proc/nowhere"):
            DatasetWriter("/proc/nowhere", "nut", "scratch", SETTINGS)


def test_refuses_a_second_writer(tmp_path: Path, folder: Path) -> None:
    with DatasetWriter(tmp_path / "out", "nut", "scratch", SETTINGS) as writer:
        with pytest.raises(OutputError, match="in use by another process"):
            DatasetWriter(tmp_path / "out", "nut", "scratch", SETTINGS)
        writer.add(make_sample(folder, 0, 0, True))
    DatasetWriter(tmp_path / "out", "nut", "scratch", SETTINGS).close()


def test_the_lock_comes_before_the_first_file(tmp_path: Path, folder: Path) -> None:
    """Two that start at once: the second writes nothing, whichever settings it has."""
    root = tmp_path / "out"
    with (
        locked(extras_folder(root, "nut", "scratch")),
        pytest.raises(OutputError, match="in use by another process"),
    ):
        DatasetWriter(root, "nut", "scratch", SETTINGS)
    assert list(contents(root)) == ["extras/nut/scratch/.lock"]
    write_plan(root, folder)  # what was refused holds nothing back


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", " a", "a\n", "a.", "C:"])
def test_refuses_names(tmp_path: Path, name: str) -> None:
    for names in ((name, "scratch"), ("nut", name)):
        with pytest.raises(SettingError, match="cannot be a folder"):
            DatasetWriter(tmp_path, *names, SETTINGS)
    for names in (("extras", "scratch"), ("nut", "good")):
        with pytest.raises(SettingError, match="cannot be a folder"):
            DatasetWriter(tmp_path, *names, SETTINGS)
    assert not list(tmp_path.iterdir())


def test_refuses_samples(tmp_path: Path, folder: Path) -> None:
    sample = make_sample(folder, 0, 0, True)
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"index": 100_000}, SettingError, "index 100000"),
        ({"index": -1}, SettingError, "index -1"),
        ({"mask": np.zeros((20, 24), bool)}, MaskError, "label is empty"),
        ({"requested": np.ones((20, 25), bool)}, MaskError, r"requested mask of shape \(20, 25\)"),
        ({"heatmap": np.ones((1, 20, 24))}, MaskError, "heat map"),
        ({"source": folder / "absent.png"}, PictureError, "absent.png"),
        ({"quality": {"psnr": float("nan")}}, SettingError, "plain JSON"),
    ]
    with DatasetWriter(tmp_path / "out", "nut", "scratch", SETTINGS) as writer:
        for change, error, message in cases:
            with pytest.raises(error, match=message):
                writer.add(changed(sample, **change))
        assert writer.records == []
        writer.add(dataclasses.replace(sample, heatmap=None))
        assert writer.records[0].heatmap is None
        assert "heatmap" not in json.loads((writer.extras / "manifest.jsonl").read_text())
        with pytest.raises(SettingError, match="attempt 0 is written already"):
            writer.add(sample)
        with pytest.raises(SettingError, match="accepted already"):
            writer.add(changed(sample, attempt=1))
    with pytest.raises(SettingError, match="settings cannot be recorded"):
        DatasetWriter(tmp_path / "other", "nut", "scratch", {"bad": object()})


def test_full_disk_lists_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with DatasetWriter(tmp_path / "out", "nut", "scratch", SETTINGS) as writer:
        writer.add(make_sample(folder, 0, 0, True))
        with monkeypatch.context() as patch:
            patch.setattr("bgdefect_core.files.os.fsync", full)
            with pytest.raises(OutputError, match="No space left"):
                writer.add(make_sample(folder, 1, 0, True))
        with monkeypatch.context() as patch:
            patch.setattr(writer, "_add_source", lambda source: "0" * 64)
            patch.setattr("bgdefect_core.records.dataset.write_file", lambda *args: None)
            patch.setattr(
                "bgdefect_core.files.os.fsync", full
            )  # only the line itself is left to fail
            with pytest.raises(OutputError, match="manifest.jsonl cannot be written"):
                writer.add(make_sample(folder, 2, 0, True))
        writer.add(make_sample(folder, 3, 0, True))
        assert [record.index for record in writer.records] == [0, 3]
        assert read_manifest(writer.extras / "manifest.jsonl") == writer.records


def test_memory_does_not_hold_the_lines(tmp_path: Path) -> None:
    def add(numbers: range) -> None:
        for index in numbers:
            quality = {f"figure {number}": float(index + number) for number in range(100)}
            sample = make_sample(tmp_path, 0, 0, accepted=False)
            facts = dataclasses.replace(sample.facts, index=index, quality=quality)
            writer.add(dataclasses.replace(sample, facts=facts))

    with DatasetWriter(tmp_path / "out", "nut", "scratch", SETTINGS) as writer:
        add(range(20))
        tracemalloc.start()
        try:
            add(range(20, 120))
            grown = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert grown < 100 * 1000  # a line with its figures takes 8 kB


def test_damaged_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with DatasetWriter(tmp_path / "out", "nut", "scratch", SETTINGS) as writer:
        entries = json.loads(writer.add(make_sample(tmp_path, 0, 0, True)).to_json())
    line = json.dumps(entries)
    path.write_text(f"{line}\n{line[:9]}\n{line}\n")
    with pytest.raises(DataError, match="line 2 is damaged"):
        read_manifest(path)
    without_seed = {name: value for name, value in entries.items() if name != "seed"}
    for other in ([], without_seed, entries | {"index": "0"}, entries | {"colour": "red"}):
        path.write_text(f"{line}\n{json.dumps(other)}\n")
        with pytest.raises(DataError, match="line 2 is no sample"):
            read_manifest(path)
    path.write_text(f"{line}\n{line[:9]}")
    assert [record.index for record in read_manifest(path)] == [0]
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "absent.jsonl")


def test_tiff_files(tmp_path: Path, folder: Path) -> None:
    """Samples and good pictures are TIFF, masks PNG; a killed run goes on, a review moves them."""
    root = tmp_path / "out"

    def writer() -> DatasetWriter:
        return DatasetWriter(root, "nut", "scratch", SETTINGS, white=4095, image_format="tiff")

    sample = make_sample(folder, 0, 0, True)
    deep = Picture(sample.picture.pixels.astype(np.uint16) * 16, 4095)
    with writer() as dataset:
        line = dataset.add(changed(sample, picture=deep))
        dataset.add(make_sample(folder, 1, 0, False))
    assert (line.file, line.label) == (
        "nut/test/scratch/00000.tif",
        "nut/ground_truth/scratch/00000_mask.png",
    )
    assert line.white == 4095 and (root / line.good_file(root)).is_file()
    assert line.good_file(root).endswith(".tif")
    assert np.array_equal(load_picture(root / line.file, 4095).pixels, deep.pixels)
    (root / "nut/test/scratch/00007.tif").write_bytes(b"of a killed run")
    with writer() as dataset:
        assert len(dataset.records) == 2
    assert not (root / "nut/test/scratch/00007.tif").exists()
    words: tuple[Word, ...] = ("reject", "accept")
    for word in words:
        extras = root / "extras/nut/scratch"
        with DecisionLog(extras) as log:
            log.add(Decision(*line.key, line.file, word))
        apply_decisions(root, "nut", "scratch")
        (moved,) = [one for one in read_manifest(extras / "manifest.jsonl") if not one.index]
        place = "extras/nut/scratch/rejected/00000_0.tif" if word == "reject" else line.file
        assert moved.file == place and (root / place).is_file()


@pytest.mark.parametrize("formats", [("png", "tiff"), ("tiff", "png")])
def test_a_good_picture_stands_once_whatever_formats_runs_write(
    formats: tuple[ImageFormat, ImageFormat], tmp_path: Path, folder: Path
) -> None:
    root = tmp_path / "out"
    for defect, image_format in zip(("scratch", "dent"), formats, strict=True):
        with DatasetWriter(root, "nut", defect, SETTINGS, image_format=image_format) as writer:
            for index in (0, 1):
                line = writer.add(make_sample(folder, index, 0, True))
                good = read_picture(root / line.good_file(root))
                assert (good == read_picture(folder / f"good{index}.png")).all()
    assert Path(line.file).suffix == ENDINGS[formats[1]]
    suffixes = [path.suffix for path in (root / "nut/train/good").iterdir()]
    assert suffixes == [ENDINGS[formats[0]]] * 2
