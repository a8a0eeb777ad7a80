"""``bgdefect misses``: turns without a leak, thresholds and miss rates by hand, the file, the
gate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bgdefect_core.errors import DataError
from bgdefect_core.pictures.picture import Picture
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.records.misses import read_misses
from bgdefect_core.records.sample import Sample, SampleFacts
from trainer.data.examples import Example
from trainer.evaluate.detectors.metrics import image_score, score_inside
from trainer.evaluate.detectors.settings import DetectorSettings
from trainer.evaluate.misses import scoring
from trainer.evaluate.misses.batch import read_batch
from trainer.evaluate.misses.run import Gate, exit_code, misses, tell
from trainer.evaluate.misses.scoring import Scores, TurnScores, threshold, turn_figures
from trainer.evaluate.misses.settings import MissesConfig
from trainer.evaluate.misses.turns import known_side, make_turns, mask_source

from .conftest import Run, files_of

TINY = DetectorSettings(
    network="draem", width=2, resolution=32, crop=32, detector_steps=2, detector_batch=2
)


def example(name: str, group: str = "", defect: str = "spot") -> Example:
    return Example(Path(f"/d/{name}.png"), (Path(f"/d/{name}_mask.png"),), "plate", defect, group)


def names(examples: tuple[Example, ...]) -> list[str]:
    return [member.image.stem for member in examples]


@pytest.fixture
def config(plates: Path, tmp_path: Path) -> MissesConfig:
    """Four spots are known, two held out."""
    torch.set_num_threads(1)
    split = {"train": [f"test/spot/{number:03d}.png" for number in range(4)]}
    split["held_out"] = ["test/spot/004.png", "test/spot/005.png"]
    (tmp_path / "split.json").write_text(json.dumps(split))
    return MissesConfig(
        plates,
        tmp_path / "split.json",
        tmp_path / "out",
        defect="spot",
        seeds=(0,),
        detector=TINY,
    )


# --- turns


def test_each_picture_is_held_out_once_and_groups_stay_together() -> None:
    known = [example("a", "1"), example("b", "1"), example("c", "2"), example("d", "3")]
    good = [example("g1", "2"), *(example(f"h{number}") for number in range(7))]
    turns = make_turns(known, good, 10, 0)
    assert sorted(sorted(names(turn.known)) for turn in turns) == [["a", "b"], ["c"], ["d"]]
    held_out = [name for turn in turns for name in names(turn.good)]
    assert sorted(held_out) == sorted(names(tuple(good)))
    (turn,) = [turn for turn in turns if "c" in names(turn.known)]
    assert "g1" in names(turn.good)  # a good picture of the same part
    assert make_turns(known, good, 10, 0) == turns
    assert len(make_turns(known, good, 2, 0)) == 2


def test_one_part_cannot_be_held_out_in_turn() -> None:
    known = [example("a", "1"), example("b", "1")]
    with pytest.raises(DataError, match="2 known defects on 1 part"):
        make_turns(known, [example("g"), example("h")], 10, 0)


def test_the_held_out_side_is_not_read(config: MissesConfig) -> None:
    side = known_side(config)
    assert names(side.known) == ["000", "001", "002", "003"]
    assert names(side.held_out) == ["004", "005"]
    for turn in side.turns:
        others = side.others(turn)
        assert len(others.known) == 3 and not set(others.known) & set(turn.known)
        assert not set(others.good) & set(turn.good)
        assert len(others.good) + len(turn.good) == 3


def test_a_mask_of_parts_is_named_by_its_folder() -> None:
    parts = (Path("/d/ground_truth/spot/007/000.png"), Path("/d/ground_truth/spot/007/001.png"))
    whole = Example(Path("/d/test/spot/007.png"), parts, "plate", "spot", "")
    assert mask_source(whole) == parts[0].parent
    assert mask_source(example("a")) == Path("/d/a_mask.png")


# --- figures


def test_the_threshold_by_hand() -> None:
    good = [0.1, 0.5, 0.3, 0.9]
    assert threshold(good, 0.0) == 0.9
    assert threshold(good, 0.25) == 0.5  # one of four may be above
    assert threshold(good, 0.49) == 0.5
    assert threshold([0.1] * 19 + [0.7], 0.05) == 0.1


def test_miss_rates_by_hand() -> None:
    """Two seeds, two turns. At no false alarm the thresholds are 0.4 and 0.2."""
    first = (TurnScores((0.5,), (0.1, 0.4), 0.5), TurnScores((0.4,), (0.3,), 0.7))
    second = (TurnScores((0.1,), (0.2,), 0.1), TurnScores((0.3,), (0.1,), 0.3))
    scores = Scores((first, second), 0.0)
    assert scores.thresholds == [0.4, 0.2]
    assert scores.misses == [[False, True], [True, False]]  # at the threshold: missed
    assert scores.found == 0.5
    assert scores.pixel_ap == pytest.approx(0.4)
    assert scores.each == [0.5, 0.7, 0.1, 0.3]


def test_a_defect_is_scored_at_its_place() -> None:
    """A false alarm elsewhere does not find the defect."""
    probability = np.zeros((64, 64), np.float32)
    probability[4:8, 4:8] = 1.0
    mask = np.zeros((64, 64), np.bool_)
    mask[50:54, 50:54] = True
    assert image_score(probability) == pytest.approx(16 / 441)
    assert score_inside(probability, mask) == 0
    assert score_inside(probability, mask[::-1, ::-1]) == pytest.approx(16 / 441)


class DarkIsDefect(torch.nn.Module):
    """P(defect) is near 1 where a picture is dark."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(40.0))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        logit = self.gain * (0.5 - pictures.mean(1, keepdim=True))
        return torch.cat([-logit, logit], 1)


def test_the_figures_of_a_turn() -> None:
    good = np.full((64, 64, 3), 230, np.uint8)
    mask = np.zeros((64, 64), np.bool_)
    mask[20:50, 20:50] = True
    shown, hidden = good.copy(), good.copy()
    shown[mask] = 20
    hidden[mask] = 240
    empty = np.zeros_like(mask)
    seen = turn_figures(DarkIsDefect(), [(shown, mask)], [(good, empty)])
    assert seen["defects"][0] > 0.99 and seen["good"][0] < 0.01
    assert seen["pixel_ap"] == pytest.approx(1)
    unseen = turn_figures(DarkIsDefect(), [(hidden, mask)], [(good, empty)])
    assert unseen["defects"][0] <= unseen["good"][0] and unseen["pixel_ap"] < 0.5


# --- the command


def test_misses_are_written_resumed_and_of_the_known_side(
    config: MissesConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = misses(config)
    report = read_misses(outcome.path)
    assert report == outcome.report and (report.object, report.defect) == ("plate", "spot")
    assert [known.mask for known in report.known] == [f"{n:03d}_mask.png" for n in range(4)]
    assert all(known.miss_rate in (0.0, 1.0) for known in report.known)
    limit = report.how["thresholds"][0]
    for known in report.known:
        assert known.miss_rate == float(known.scores[0] <= limit)
    assert report.how["turns"] == 4 and report.how["good_pictures"] == 3
    assert len(list((config.output / "units").iterdir())) == 4
    assert str(config.data.parent) not in outcome.path.read_text()

    def never(*arguments: Any) -> None:
        raise AssertionError("a finished detector is trained again")

    monkeypatch.setattr(scoring, "fit", never)
    before = files_of(config.output)
    misses(config)
    assert files_of(config.output) == before
    with pytest.raises(AssertionError, match="trained again"):
        misses(replace(config, seeds=(1,)))


def write_batch(root: Path, plates: Path, origins: dict[int, str], defect: str = "spot") -> Path:
    """A generated data set: sample i is made from the mask named, on good picture i modulo 3."""
    with DatasetWriter(root, "plate", "spot", {"made": "by hand"}) as writer:
        for index, name in origins.items():
            picture = np.full((40, 48, 3), 110, np.uint8)
            mask = np.zeros((40, 48), np.bool_)
            mask[8:16, 8 + index : 16 + index] = True
            picture[mask] = (220, 40, 40)
            file = str(plates / "ground_truth" / defect / name)
            kind = "placed" if name else "file"
            facts = SampleFacts(
                index=index,
                attempt=0,
                source=plates / f"train/good/{index % 3:03d}.png",
                mask_origin={"kind": kind, "made_from": name, "file": file},
                seed=index,
                quality={},
                verdict="good",
                accepted=True,
            )
            writer.add(Sample(facts, Picture(picture), mask, requested=mask, heatmap=None))
    return root


def test_a_turn_never_trains_on_samples_of_what_it_holds_out(
    config: MissesConfig, plates: Path, tmp_path: Path
) -> None:
    """Samples 0 to 3 are of masks 0 to 3, sample 4 of none (a ready mask)."""
    origins = {number: f"{number:03d}_mask.png" for number in range(4)} | {4: ""}
    root = write_batch(tmp_path / "batch", plates, origins)
    side = known_side(config)
    batch = read_batch(root, side, 64)
    for turn in side.turns:
        defects = {int(name) for name in names(turn.known)}
        goods = {int(name) for name in names(turn.good)}
        expected = [i for i in range(5) if i not in defects and i % 3 not in goods]
        lefts = [int(np.argwhere(mask)[:, 1].min()) for _, mask in batch.without(turn)]
        assert lefts == [round((8 + index) * 64 / 48) for index in expected]


@pytest.mark.parametrize(
    "name, defect, message",
    [
        ("004_mask.png", "spot", "made from 004_mask.png, which the split holds out"),
        ("000_mask.png", "cut", "made from 000_mask.png, which is not known"),
        ("strange.png", "spot", "made from strange.png, which is not known"),
    ],
)
def test_samples_of_other_defects_are_refused_by_name(
    config: MissesConfig, plates: Path, tmp_path: Path, name: str, defect: str, message: str
) -> None:
    root = write_batch(tmp_path / "batch", plates, {0: name}, defect)
    with pytest.raises(DataError, match=message):
        misses(replace(config, samples=root))
    assert not config.output.exists()


def test_a_folder_without_samples_is_refused(config: MissesConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no samples of plate / spot"):
        misses(replace(config, samples=tmp_path / "nothing"))


def scores_of(*values: float, found: bool = True) -> Scores:
    defect = 0.5 if found else 0.05
    return Scores((tuple(TurnScores((defect,), (0.1,), value) for value in values),), 0.0)


@pytest.mark.parametrize(
    "after, verdict, better",
    [((0.4, 0.6), "keep", 0), ((0.3, 0.8), "keep", 1), ((0.5, 0.4), "drop", 1)],
)
def test_the_gate_keeps_what_does_not_lower_the_mean(
    after: tuple[float, ...], verdict: str, better: int
) -> None:
    gate = Gate(Path("gate.json"), Path("batch"), scores_of(0.4, 0.6), scores_of(*after))
    assert (gate.verdict, gate.better) == (verdict, better)


def test_the_gate_drops_what_finds_fewer_defects() -> None:
    before, after = scores_of(0.4, 0.6), scores_of(0.5, 0.7, found=False)
    gate = Gate(Path("gate.json"), Path("batch"), before, after)
    assert gate.verdict == "drop" and gate.falls == ["the share that is found"]
    other = Gate(Path("gate.json"), Path("batch"), after, before)
    assert other.falls == ["pixel AP"]


def test_the_gate_gives_both_scores_and_deletes_nothing(
    config: MissesConfig, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origins = {number: f"{number:03d}_mask.png" for number in range(4)}
    root = write_batch(tmp_path / "batch", plates, origins)
    misses(config)
    first = (config.output / "misses.json").read_bytes()
    samples = files_of(root)
    judged = replace(config, samples=root, detector=replace(TINY, synthetic_share=0.5))
    synthetic: list[int] = []
    fit = scoring.fit

    def counted(data: Any, *arguments: Any) -> torch.nn.Module:
        synthetic.append(len(data.synthetic))
        return fit(data, *arguments)

    monkeypatch.setattr(scoring, "fit", counted)
    outcome = misses(judged)
    assert len(synthetic) == 4 and all(0 < count < 4 for count in synthetic)  # none anew without
    assert (config.output / "misses.json").read_bytes() == first
    assert files_of(root) == samples
    gate = outcome.gate
    assert gate is not None
    document = json.loads(gate.path.read_text())
    assert document["without"]["pixel_ap"] == np.mean(document["without"]["each"])
    assert document["with"]["pixel_ap"] == pytest.approx(np.mean(document["with"]["each"]))
    falls = any(
        document["with"][name] < document["without"][name] for name in ("pixel_ap", "found")
    )
    assert document["verdict"] == ("drop" if falls else "keep")
    assert exit_code(outcome) == int(falls)
    text = "\n".join(tell(outcome))
    assert f"verdict: {document['verdict']} {root}" in text and "; nothing was deleted" in text


def test_the_command_line(config: MissesConfig, run: Run) -> None:
    options = ["--network", "draem", "--width", 2, "--resolution", 32, "--crop", 32]
    options += ["--detector-steps", 1, "--detector-batch", 2, "--seeds", 0, "--turns", 2]
    places = ["--data", config.data, "--split-file", config.split_file, "--defect", "spot"]
    code, shown, _ = run("misses", *places, "--output", config.output, *options)
    assert code == 0 and f"missed defects: {config.output / 'misses.json'}" in shown
    code, _, complaint = run("misses", *places, "--turns", 1)
    assert code == 2 and "turns is 1" in complaint
