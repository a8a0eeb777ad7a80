"""Decisions of a review: their file, what stands after them, and what applying them moves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bgdefect_core.errors import DataError, OutputError, SettingError
from bgdefect_core.paths import file_inside
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.records.apply_decisions import apply_decisions
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.dataset_place import extras_folder, is_complete
from bgdefect_core.records.decisions import (
    REVIEW,
    Decision,
    DecisionLog,
    Word,
    read_decisions,
)
from bgdefect_core.records.manifest import JOURNAL, ManifestLine, read_manifest, recorded_lines

from .test_dataset import PLAN, SETTINGS, contents, make_sample, write_plan

EXTRAS = "extras/nut/scratch"
ACCEPTED = [(0, 0), (1, 1), (3, 0)]
HEADER = "index,attempt,file,decision,reason,mended,date\n"


def decision(index: int, attempt: int, word: Word, reason: str = "") -> Decision:
    return Decision(index, attempt, f"{index}.png", word, reason)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    write_plan(tmp_path / "out", tmp_path / "in")
    return tmp_path / "out"


def decide(root: Path, *decisions: Decision) -> None:
    with DecisionLog(extras_folder(root, "nut", "scratch")) as log:
        for item in decisions:
            log.add(item)


def mend(root: Path, index: int, attempt: int) -> np.ndarray:
    """A label unlike the painted one."""
    mask = np.zeros((20, 24), bool)
    mask[15:18, 2:9] = True
    with DecisionLog(extras_folder(root, "nut", "scratch")) as log:
        log.mend(Decision(index, attempt, "", "undecided", mended=True), mask)
    return mask


def lines(root: Path) -> list[ManifestLine]:
    return read_manifest(root / EXTRAS / "manifest.jsonl")


def accepted(root: Path) -> list[tuple[int, int]]:
    return [line.key for line in lines(root) if line.accepted]


def data(root: Path) -> dict[str, bytes]:
    """All but the locks, the decisions, and what is kept beside."""
    besides = (REVIEW, ".lock", "mended/", "painted/")
    whole = contents(root)
    return {name: whole[name] for name in whole if not any(word in name for word in besides)}


def test_a_decision_is_one_row_and_the_last_counts(root: Path) -> None:
    decide(root, decision(1, 0, "accept"), decision(0, 0, "reject", 'too "faint",\nno edge\0'))
    decide(root, decision(1, 0, "undecided"))
    text = (root / EXTRAS / REVIEW).read_text()
    rows = text.splitlines()
    assert rows[0] + "\n" == HEADER and len(rows) == 4
    assert rows[2].startswith('0,0,0.png,reject,"too ""faint"", no edge",no,20')
    known = read_decisions(root / EXTRAS)
    assert known[1, 0].decision == "undecided" and known[0, 0].reason == 'too "faint", no edge'
    assert read_decisions(root) == {}


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_file_that_a_spreadsheet_saved_is_read(tmp_path: Path, end: str) -> None:
    row = decision(4, 2, "accept", "fine").to_row().strip()
    text = "\ufeff" + HEADER.strip() + (end or "\n") + row + end
    (tmp_path / REVIEW).write_bytes(text.encode())
    assert read_decisions(tmp_path)[4, 2].reason == "fine"
    with DecisionLog(tmp_path) as log:
        log.add(decision(5, 0, "reject"))
    assert sorted(read_decisions(tmp_path)) == [(4, 2), (5, 0)]


def test_torn_at_every_byte(tmp_path: Path) -> None:
    """The rows before the torn one stand, and the next decision follows them."""
    first, second = decision(0, 0, "reject", "ä").to_row(), decision(1, 0, "accept").to_row()
    whole = (HEADER + first + second).encode()
    for size in range(len(whole)):
        (tmp_path / REVIEW).write_bytes(whole[:size])
        count = (size >= len((HEADER + first).encode()) - 1) + (size >= len(whole) - 1)
        assert len(read_decisions(tmp_path)) == count, whole[:size]
        with DecisionLog(tmp_path) as log:
            log.add(decision(2, 0, "accept"))
        assert len(read_decisions(tmp_path)) == count + 1


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"index;attempt;file;decision;reason;mended;date\n",
        b"\x89PNG\r\n",
        HEADER.encode() + b"0,0,x,maybe,,no,2026-11-29T09:17:34Z\n",
        HEADER.encode() + b"-1,0,x,accept,,no,2026-11-29T09:17:34Z\n",
        HEADER.encode() + b"0,0,x,accept,,no,yesterday\n",
        HEADER.encode() + b"0,0,x,accept,,no\n",
        HEADER.encode() + b"\xff\xfe,0,x,accept,,no,2026-11-29T09:17:34Z\n",
    ],
)
def test_a_foreign_or_damaged_file_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    (tmp_path / REVIEW).write_bytes(content)
    for use in (read_decisions, DecisionLog):
        with pytest.raises(DataError, match=REVIEW):
            use(tmp_path)
    assert (tmp_path / REVIEW).read_bytes() == content


def test_words_and_reasons_have_limits() -> None:
    with pytest.raises(SettingError, match="'maybe'"):
        decision(0, 0, "maybe")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="501 characters"):
        decision(0, 0, "reject", "a" * 501)


def test_one_review_at_a_time(root: Path) -> None:
    with DecisionLog(root / EXTRAS):
        for use in (lambda: DecisionLog(root / EXTRAS), lambda: apply_decisions(root, *NAMES)):
            with pytest.raises(OutputError, match="in use by another process"):
                use()


NAMES = ("nut", "scratch")


def test_what_stands_before_anything_is_applied(root: Path) -> None:
    assert accepted(root) == ACCEPTED
    before = data(root)
    decide(root, decision(0, 0, "reject", "wrong place"), decision(2, 0, "accept"))
    mask = mend(root, 3, 0)
    assert accepted(root) == [(1, 1), (2, 0), (3, 0)] and data(root) == before
    stands = {line.key: line for line in lines(root)}
    assert stands[0, 0].review is not None and stands[0, 0].review["reason"] == "wrong place"
    assert stands[0, 0].accepted_by_verdict and not stands[2, 0].accepted_by_verdict
    assert np.array_equal(read_picture(root / stands[3, 0].label)[..., 0] > 127, mask)
    assert stands[1, 1] == recorded_lines(root / EXTRAS / "manifest.jsonl")[2]


def check_truth(root: Path) -> None:
    """The manifest names the files that are there, each in the place that its verdict gives it."""
    listed = set()
    for line in recorded_lines(root / EXTRAS / "manifest.jsonl"):
        assert is_complete(root, line)
        assert line.file.startswith("nut/test/" if line.accepted else f"{EXTRAS}/rejected/")
        listed |= set(line.files)
    ours = {name for name in data(root) if name.endswith(".png") and "/train/" not in name}
    assert ours == listed


def test_applied_and_taken_back(root: Path) -> None:
    before = data(root)
    painted = read_picture(root / "nut/ground_truth/scratch/00003_mask.png")
    decide(root, decision(0, 0, "reject"), decision(2, 0, "accept"))
    mask = mend(root, 3, 0)
    done = apply_decisions(root, *NAMES)
    assert (done.accepted, done.rejected, done.labels) == (1, 1, 1)
    check_truth(root)
    assert accepted(root) == [(1, 1), (2, 0), (3, 0)]
    moved = data(root)
    assert moved[f"{EXTRAS}/rejected/00000_0.png"] == before["nut/test/scratch/00000.png"]
    assert moved["nut/test/scratch/00002.png"] == before[f"{EXTRAS}/rejected/00002_0.png"]
    label = read_picture(root / "nut/ground_truth/scratch/00003_mask.png")
    assert np.array_equal(label[..., 0] > 127, mask)
    kept = read_picture(root / EXTRAS / "painted/00003_0_mask.png")
    assert np.array_equal(kept, painted)
    assert apply_decisions(root, *NAMES).rejected == 0 and data(root) == moved

    undo: list[Decision] = []
    for key in ((0, 0), (2, 0), (3, 0)):
        undo.append(decision(*key, "undecided"))
    decide(root, *undo)
    assert accepted(root) == ACCEPTED
    apply_decisions(root, *NAMES)
    assert data(root) == before


def test_a_label_mended_twice_and_rejected(root: Path) -> None:
    before = data(root)
    mend(root, 0, 0)
    apply_decisions(root, *NAMES)
    mask = np.zeros((20, 24), bool)
    mask[0:3] = True
    with DecisionLog(root / EXTRAS) as log:
        log.mend(Decision(0, 0, "", "reject", mended=True), mask)
    assert apply_decisions(root, *NAMES).labels == 1
    check_truth(root)
    label = read_picture(root / EXTRAS / "rejected/00000_0_mask.png")
    assert np.array_equal(label[..., 0] > 127, mask)
    decide(root, decision(0, 0, "accept"))
    apply_decisions(root, *NAMES)
    decide(root, decision(0, 0, "undecided"))
    apply_decisions(root, *NAMES)
    assert data(root) == before


def test_two_attempts_at_one_sample_both_stand(root: Path) -> None:
    """The second gets a number of its own: anomalib pairs pictures and labels by their order."""
    decide(root, decision(1, 0, "accept"))
    apply_decisions(root, *NAMES)
    check_truth(root)
    names = sorted(path.name for path in (root / "nut/test/scratch").iterdir())
    masks = sorted(path.name for path in (root / "nut/ground_truth/scratch").iterdir())
    assert names == ["00000.png", "00001.png", "00003.png", "99999.png"]
    assert masks == [name.replace(".", "_mask.") for name in names]
    decide(root, decision(1, 0, "reject"), decision(1, 1, "reject"))
    apply_decisions(root, *NAMES)
    decide(root, decision(1, 0, "accept"))
    apply_decisions(root, *NAMES)
    assert (root / "nut/test/scratch/00001.png").exists()
    check_truth(root)


def test_attempts_change_places(root: Path) -> None:
    """The place that the rejected one leaves is the accepted one's."""
    contents_of = {line.key: (root / line.file).read_bytes() for line in lines(root)}
    decide(root, decision(1, 0, "accept"), decision(1, 1, "reject"))
    apply_decisions(root, *NAMES)
    check_truth(root)
    assert (root / "nut/test/scratch/00001.png").read_bytes() == contents_of[1, 0]
    assert (root / f"{EXTRAS}/rejected/00001_1.png").read_bytes() == contents_of[1, 1]


def test_no_sample_is_accepted_without_a_label(root: Path) -> None:
    (line,) = [line for line in lines(root) if line.key == (2, 0)]
    from PIL import Image

    Image.new("L", (24, 20)).save(root / line.label)
    before = data(root)
    decide(root, decision(2, 0, "accept"), decision(0, 0, "reject"))
    with pytest.raises(DataError, match="sample 2, attempt 0 was accepted without a label"):
        apply_decisions(root, *NAMES)
    assert data(root) == before
    with DecisionLog(root / EXTRAS) as log:
        log.mend(Decision(2, 0, "", "accept", mended=True), np.eye(20, 24, dtype=bool))
    apply_decisions(root, *NAMES)
    check_truth(root)


def test_the_writer_goes_on_after_a_review(root: Path, tmp_path: Path) -> None:
    decide(root, decision(0, 0, "reject"), decision(2, 0, "accept"))
    apply_decisions(root, *NAMES)
    after = data(root)
    with DatasetWriter(root, *NAMES, SETTINGS) as writer:
        assert [line.key for line in writer.standing if line.accepted] == accepted(root)
        assert data(root) == after
        writer.add(make_sample(tmp_path / "in", 0, 1, True))
    check_truth(root)


KILLER = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from bgdefect_core.records.apply_decisions import apply_decisions
from pathlib import Path
replace, fsync, unlink, ticks = os.replace, os.fsync, Path.unlink, 0

def run(stop):
    def counted(function):
        def call(*args, **words):
            global ticks
            for moment in (0, 1):
                ticks += 1
                if ticks == stop:
                    os.kill(os.getpid(), signal.SIGKILL)
                if moment == 0:
                    function(*args, **words)
        return call
    os.replace, os.fsync, Path.unlink = counted(replace), counted(fsync), counted(unlink)
    apply_decisions(root, "nut", "scratch")

import shutil
for stop in range(1, 400):
    root = Path(sys.argv[2]) / f"{{stop}}"
    shutil.copytree(sys.argv[1], root)
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        run(stop)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        break
    if code != -signal.SIGKILL:
        sys.exit(f"moment {{stop}} ended with {{code}}, not killed")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_kill_9_at_every_moment_of_applying(root: Path, tmp_path: Path) -> None:
    """Killed before and after every rename, deletion and fsync. Readers refuse what is half done;
    the same command, or the writer of ``generate``, finishes it: the bytes of one unbroken call."""
    mend(root, 0, 0)
    apply_decisions(root, *NAMES)
    decide(
        root,
        decision(0, 0, "undecided"),
        decision(1, 0, "accept"),
        decision(1, 1, "reject"),
        decision(2, 0, "accept"),
    )
    mend(root, 3, 0)
    here = Path(__file__).resolve()
    script = KILLER.format(path=[str(here.parents[2])])
    command = [sys.executable, "-c", script, str(root), str(tmp_path / "killed")]
    subprocess.run(command, check=True, timeout=3600)
    before = lines(root)
    apply_decisions(root, *NAMES)
    expected = data(root)
    stops = sorted((tmp_path / "killed").iterdir(), key=lambda path: int(path.name))
    assert len(stops) > 50
    interrupted = 0
    for number, stop in enumerate(stops):
        if (stop / EXTRAS / JOURNAL).exists():
            interrupted += 1
            with pytest.raises(DataError, match="were being applied"):
                read_manifest(stop / EXTRAS / "manifest.jsonl")
            if number % 2:
                DatasetWriter(stop, *NAMES, SETTINGS).close()
        else:
            assert [line.key for line in lines(stop)] == [line.key for line in before]
            assert all(is_complete(stop, line) for line in lines(stop))
        apply_decisions(stop, *NAMES)
        left = {name: content for name, content in data(stop).items() if not name.endswith(".tmp")}
        assert left == expected, f"killed at moment {stop.name}"
    assert 20 < interrupted < len(stops)
    assert len(PLAN) == len(lines(root))


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/../../x", "", "a\\..\\x", "out/x"])
def test_no_file_outside_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "x.png").touch()
    if hasattr(os, "symlink"):
        (tmp_path / "data/out").symlink_to(tmp_path)
    with pytest.raises(DataError, match="leads out"):
        file_inside(tmp_path / "data", name)
    assert file_inside(tmp_path / "data", "a/b.png") == tmp_path / "data/a/b.png"


def test_a_hostile_manifest_moves_nothing_from_outside(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"mine")
    path = root / EXTRAS / "manifest.jsonl"
    path.write_text(path.read_text().replace("nut/test/scratch/00000.png", "../secret.png"))
    decide(root, decision(0, 0, "reject"))
    with pytest.raises(DataError, match="leads out"):
        apply_decisions(root, *NAMES)
    assert (tmp_path / "secret.png").read_bytes() == b"mine"
    assert not (root / EXTRAS / JOURNAL).exists()
