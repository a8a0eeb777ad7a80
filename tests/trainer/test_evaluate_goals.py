"""Goals and Markdown tables from planted rows: every number here can be checked by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")

from bgdefect_core.errors import DataError
from bgdefect_core.method.signals import SIGNALS
from trainer.evaluate.report.by_object import object_tables, write_object_tables
from trainer.evaluate.report.evidence import SummaryConfig, evaluate_summary
from trainer.evaluate.report.goals import DISTANCE, Goal, Measured, judge, naive_of, unweighted_of
from trainer.evaluate.report.metric_tables import (
    by_number,
    difference_table,
    metric_table,
    sections,
)
from trainer.evaluate.report.statistics import (
    LEAST_GAP,
    closed_gap,
    interval,
    minus,
    other_gaps,
    shares,
)
from trainer.evaluate.report.tables import figure, markdown, pivot
from trainer.evaluate.rows import Row
from trainer.evaluate.samples.methods import read_method

from .conftest import evaluation

GENERATORS = tuple(read_method(text) for text in ("ours", "three:steps=3", "naive:loss=naive"))
CALM = (-0.001, 0.0, 0.001)
"""What seeds change: 0 on average, half of its interval 0.0025."""


def detection(
    defect: str, k: int, arms: dict[str, float], noise: Sequence[float] = CALM
) -> list[Row]:
    """Pixel AP of some arms: real moves with the seed, every other arm moves by as much and by
    ``noise``."""
    rows = []
    for subject, value in arms.items():
        for seed, extra in enumerate(noise):
            moved = value + 0.02 * seed + (0 if subject == "real" else extra)
            rows.append(
                Row(
                    "detection",
                    "part",
                    defect,
                    0,
                    k,
                    0,
                    seed,
                    subject,
                    "pixel_ap",
                    moved,
                    9,
                    "held-out",
                    "split.json",
                )
            )
    return rows


def figures(
    part: str, defect: str, values: dict[tuple[str, str], float], fold: int = 0
) -> list[Row]:
    """(subject, metric) -> value."""
    return [
        Row(part, "part", defect, fold, 5, 0, 0, name, metric, value, 48, "ref", "s")
        for (name, metric), value in values.items()
    ]


def goals_of(rows: Sequence[Row]) -> dict[str, Goal]:
    """A word of each goal -> the goal."""
    goals = judge([Measured(GENERATORS, tuple(rows))]).goals
    words = (
        "disentangled",
        *(f"by {signal}" for signal in SIGNALS),
        "closes",
        "hurts",
        "CutPaste",
        "Perlin",
        OVER_REAL,
        OVER_PASTE,
        NOISE_OVER_REAL,
        "called defective",
    )
    assert len(goals) == len(words)
    return {word: next(goal for goal in goals if word in goal.text) for word in words}


OVER_REAL, OVER_PASTE = "real+ours over real,", "real+ours over real+paste"
NOISE_OVER_REAL = "real+from noise over real,"
GOOD = {
    "real": 0.3,
    "all real": 0.5,
    "real+ours": 0.42,
    "real+cutpaste": 0.35,
    "real+perlin": 0.34,
}


def test_without_rows_nothing_is_claimed() -> None:
    assert {goal.verdict for goal in goals_of([]).values()} == {"not measured"}
    assert judge([Measured(GENERATORS, ())]).tables == ()


def test_the_share_of_the_gap_is_that_of_all_wide_gaps_together() -> None:
    narrow = {"real": 0.3, "all real": 0.32, "real+ours": 0.3}  # 2 points: nothing to close
    wide = {"real": 0.3, "all real": 0.4, "real+ours": 0.35}
    goal = goals_of(detection("a", 5, GOOD) + detection("b", 5, narrow) + detection("b", 2, wide))[
        "closes"
    ]
    assert (
        goal.verdict == "met" and "in 2 of 3" in goal.numbers and "closed 57 ±" in goal.numbers
    )  # 12 + 5 of 20 + 10 points
    worse = goals_of(detection("a", 5, GOOD) + detection("b", 2, wide | {"real+ours": 0.32}))[
        "closes"
    ]
    assert worse.verdict == "missed" and "closed 47 ±" in worse.numbers  # 12 + 2 of 30
    assert (
        goals_of(detection("a", 5, GOOD, (0.0,)))["closes"].verdict == "not measured"
    )  # one seed: no other to take the gap from
    assert goals_of(detection("b", 5, narrow))["closes"].verdict == "not measured"
    assert (
        goals_of(detection("a", 20, GOOD))["closes"].verdict == "not measured"
    )  # shown, but not counted
    assert "no detectors" in goals_of(detection("a", 0, GOOD))["closes"].numbers


def test_a_generator_that_adds_nothing_closes_nothing() -> None:
    """Simulated: ours are drawn as real only is. With one mean of real only in the choice, the gap
    and the gain they seem to close some."""
    rng = np.random.default_rng(0)

    def noisy(mean: float) -> dict[tuple[int, int, int], float]:
        return {(0, 0, seed): mean + 0.08 * rng.normal() for seed in range(3)}

    kept, naive, full = [], [], []
    for _ in range(3000):
        real, ours, ceiling = noisy(0.3), noisy(0.3), noisy(0.32)
        full += [
            (ceiling[run] - real[run], gap) for run, gap in other_gaps(real, noisy(0.32)).items()
        ]  # as good as all real ones
        gaps, gains = other_gaps(real, ceiling), minus(ours, real)
        kept += [(gains[run], gap) for run, gap in gaps.items()]
        gap, gain = (interval(list(minus(one, real).values())).mean for one in (ceiling, ours))
        naive += [gain / gap] if gap > LEAST_GAP else []
    assert abs(interval(shares(*zip(*kept, strict=True))).mean) < 0.03
    assert interval(naive).mean > 0.3
    assert (
        0.1 < interval(shares(*zip(*full, strict=True))).mean < 0.9
    )  # among noisy gaps the wide ones are chosen: it leans low


def test_shares_by_hand() -> None:
    assert interval(shares([1.0, 3.0], [4.0, 4.0])).mean == 0.5 and shares(
        [1.0, 3.0], [4.0, 4.0]
    ) == [0.25, 0.75]
    real = {(0, 0, 0): 0.3, (0, 0, 1): 0.2, (1, 0, 0): 0.4}
    ceiling = {(0, 0, 0): 0.5, (0, 0, 1): 0.3, (1, 0, 0): 0.5}
    assert other_gaps(real, ceiling) == pytest.approx(
        {(0, 0, 0): 0.1, (0, 0, 1): 0.15, (1, 0, 0): 0.1}
    )  # seed 1 sees seed 0 in both folds
    arm = {(0, 0, 0): 0.35, (0, 0, 1): 0.2}
    assert interval(list(closed_gap(arm, real, ceiling).values())).mean == pytest.approx(
        0.05 / 0.25
    )
    assert closed_gap(arm, real, {run: value + 0.02 for run, value in real.items()}) == {}
    assert closed_gap({(0, 0, 0): 0.4}, {(0, 0, 0): 0.3}, {(0, 0, 0): 0.5}) == {}


def test_only_an_interval_below_nothing_is_harm_and_one_run_says_nothing() -> None:
    lower = GOOD | {"real+ours": 0.29}
    assert goals_of(detection("a", 5, GOOD))["hurts"].verdict == "met"
    assert (
        goals_of(detection("a", 5, GOOD) + detection("b", 5, lower))["hurts"].verdict == "missed"
    )  # -1 ± 0.25 points
    assert (
        goals_of(detection("b", 5, lower, (-0.1, 0.0, 0.1)))["hurts"].verdict == "not measured"
    )  # -1 ± 25 points
    assert (
        "± 24.8 points: a smaller harm cannot be told"
        in goals_of(detection("b", 5, lower, (-0.1, 0.0, 0.1)))["hurts"].numbers
    )
    assert goals_of(detection("b", 5, lower, (0.0,)))["hurts"].verdict == "not measured"
    lost = {
        name: value for name, value in GOOD.items() if name != "real+ours"
    }  # no sample was accepted
    goal = goals_of(detection("a", 5, GOOD) + detection("b", 5, lost))["hurts"]
    assert goal.verdict == "not measured" and "1 not measured" in goal.numbers


def test_means_over_the_cells_are_judged_by_their_intervals() -> None:
    """Gains of 12 points in three classes, of 2 in three, and of 12, 12 and -10."""

    def goal(word: str, *values: float) -> Goal:
        rows: list[Row] = []
        for number, value in enumerate(values):
            arms = {"real": 0.3, "real+ours": value, "real+paste": 0.3, "real+from noise": 0.29}
            rows += detection(f"class {number}", 5, arms)
        return goals_of(rows)[word]

    high = goal(OVER_REAL, 0.42, 0.42, 0.421)
    assert high.verdict == "met" and high.numbers == "+12.0 ± 0.1 points over 3 of 3"
    assert goal(OVER_REAL, 0.32, 0.32, 0.321).verdict == "missed"  # less than 5 points
    assert goal(OVER_PASTE, 0.32, 0.32, 0.321).verdict == "met"
    assert goal(OVER_REAL, 0.42, 0.42, 0.2).verdict == "missed"
    assert goal(OVER_REAL, 0.42).verdict == "not measured"
    assert goal(NOISE_OVER_REAL, 0.42, 0.42).verdict == "missed"


def test_rivals_are_judged_where_they_were_trained() -> None:
    without = {name: value for name, value in GOOD.items() if name != "real+perlin"}
    goals = goals_of(detection("a", 5, GOOD) + detection("a", 2, without | {"real+cutpaste": 0.43}))
    assert goals["CutPaste"].verdict == "missed" and "in 1 of 2" in goals["CutPaste"].numbers
    assert (
        goals["Perlin"].verdict == "met"
        and "in 1 of 1" in goals["Perlin"].numbers
        and "above 0 in 1" in goals["Perlin"].numbers
    )


def test_losses_are_compared_class_by_class_between_generators_that_differ_in_nothing_else() -> (
    None
):
    better = figures(
        "realism",
        "a",
        {("ours", DISTANCE): 0.1, ("naive", DISTANCE): 0.2, ("three", DISTANCE): 0.01},
    )
    worse = figures("realism", "b", {("ours", DISTANCE): 0.3, ("naive", DISTANCE): 0.2})
    assert goals_of(better)["disentangled"].verdict == "met"
    goal = goals_of(better + worse)["disentangled"]
    assert goal.verdict == "missed" and "in 1 of 2" in goal.numbers
    unmade = goals_of(better + figures("realism", "b", {("ours", DISTANCE): 0.1}))["disentangled"]
    assert unmade.verdict == "not measured" and "1 not measured" in unmade.numbers
    found = naive_of(GENERATORS)
    assert found is not None and found.name == "naive"
    assert naive_of([read_method("ours"), read_method("naive:loss=naive,steps=10")]) is None
    weighted = naive_of([read_method("ours:mask_weight=4"), read_method("naive:loss=naive")])
    assert weighted is not None


def test_the_losses_are_also_compared_at_one_weight_inside_the_mask() -> None:
    plain = read_method("plain:mask_weight=1")
    assert unweighted_of([read_method("ours"), read_method("naive:loss=naive"), plain]) == plain
    assert unweighted_of([read_method("ours"), read_method("plain:mask_weight=1,steps=10")]) is None
    rows = figures(
        "realism",
        "a",
        {("ours", DISTANCE): 0.1, ("naive", DISTANCE): 0.2, ("plain", DISTANCE): 0.15},
    )
    found = judge([Measured((*GENERATORS, plain), tuple(rows))])
    (table,) = (table for table in found.tables if table.title.startswith("Losses"))
    assert len(table.lines) == 1
    cells = dict(zip(table.columns, table.lines[0], strict=True))
    assert cells["disentangled, mask weight 1"].startswith("0.150") and cells[
        "naive minus disentangled, mask weight 1"
    ].startswith("0.050")


def test_masks_are_judged_signal_by_signal() -> None:
    def agreement(defect: str, gains: dict[str, float], fold: int) -> list[Row]:
        values = {("ours: requested", "iou"): 0.4}
        for signal, gain in gains.items():
            values |= {
                (f"ours: {signal}", "iou"): 0.4 + gain,
                (f"ours: {signal}", "iou minus requested"): gain,
            }
        return figures("masks on real defects", defect, values, fold)

    both = agreement("a", {"attention": 0.06, "likelihood": 0.2}, 0) + agreement(
        "a", {"attention": 0.16, "likelihood": 0.3}, 1
    )
    goals = goals_of(both)
    assert (
        goals["by attention"].verdict == goals["by likelihood"].verdict == "met"
    )  # 0.11 and 0.25 over two folds
    assert goals["by difference"].verdict == goals["by product"].verdict == "not measured"
    assert "in 1 of 1 classes; gains from +0.25 to +0.25" in goals["by likelihood"].numbers

    pair = both + agreement(
        "b", {"attention": 0.3, "likelihood": 0.05, "difference": 0.2, "product": 0.2}, 0
    )
    measured = judge([Measured(GENERATORS, tuple(pair))])
    verdicts = {
        goal.text.split(" ")[4]: goal.verdict
        for goal in measured.goals
        if "human mask" in goal.text
    }
    assert verdicts == {
        "attention": "met",
        "likelihood": "missed",
        "difference": "not measured",
        "product": "not measured",
    }
    table = next(table for table in measured.tables if "human mask" in table.title)
    assert (
        set(table.columns[2:-1]) == {f"{signal} minus requested" for signal in SIGNALS}
        and table.columns[1] == "requested"
    )
    column = table.columns.index("likelihood minus requested")
    assert [line[column] for line in table.lines] == ["0.250 (0.200, 0.300) (n = 2)", "0.050"]
    assert {line[-1] for line in table.lines} == {"difference"}


def test_figures_by_hand() -> None:
    three = [(0, 0, seed) for seed in range(3)]
    runs = {(0, 0, 0): 31.0, (0, 0, 1): 33.0}
    assert (
        figure({}, 2) == ""
        and figure({(0, 0, 0): 0.5}, 2) == "0.50"
        and figure({(0, 0, 1): 0.2, (0, 0, 0): 0.1}, 2, 100) == "15.00 (10.00, 20.00)"
    )
    assert (
        figure(dict(zip(three, (0.29, 0.3, 0.31), strict=True)), 1, 100, sign=True) == "+30.0 ± 2.5"
    )  # t(2) = 4.303, deviation 1: 4.303 / sqrt(3)
    table = pivot(
        "t",
        {
            ("a", "x"): runs,
            ("a", "y"): {},
            ("b", "x"): {(0, 0, 0): 0.5},
        },
    )
    assert table is not None and table.columns == ("class", "x")
    assert (
        table.lines == (("a", "32.0 (31.0, 33.0)"), ("b", "0.5 (n = 1)"))
        and "n = 2 runs" in table.note
    )
    assert pivot("t", {("a", "x"): {}}) is None
    rows = detection("a", 5, GOOD)
    values, differences = (
        metric_table(rows, "detection", "pixel_ap", scale=100),
        difference_table(rows, "pixel_ap"),
    )
    assert values is not None and values.lines[0][:2] == (
        "part / a, k = 5",
        "32.0 ± 5.0",
    )  # 30, 32, 34
    assert differences is not None and "real" not in differences.columns
    assert differences.lines[0][differences.columns.index("real+ours")] == "+12.0 ± 0.2"
    assert "| part / a, k = 5 | +20.0 ± 0.2 |" in markdown(differences)


def test_the_table_along_k_holds_what_each_number_has() -> None:
    few = detection("a", 5, {"real": 0.3, "real+ours": 0.4, "real+perlin": 0.1})
    other_fold = [replace(row, fold=1, value=0.9) for row in few]
    fewer = detection("a", 2, {"real": 0.2, "real+ours": 0.25})
    lonely = detection("b", 5, {"real": 0.3})
    along = by_number([*few, *other_fold, *fewer, *lonely])
    assert {(row.defect, row.fold, row.subject) for row in along} == {
        ("a", 0, "real"),
        ("a", 0, "real+ours"),
    }
    assert [row.k for row in along] == sorted(row.k for row in along) and by_number(
        few + lonely
    ) == []
    tables = {
        table.title: table for table in sections([*few, *other_fold, *fewer, *lonely])["Detection"]
    }
    (values,) = (
        table
        for title, table in tables.items()
        if title == "pixel_ap, against the number of real defects, fold 0"
    )
    assert values.columns == ("class", "real", "real+ours")
    assert [line[0] for line in values.lines] == ["part / a, k = 2", "part / a, k = 5"]
    assert values.lines[0][1].startswith("22.0") and values.lines[1][1].startswith(
        "32.0"
    )  # not fold 1's 90
    (gains,) = (
        table
        for title, table in tables.items()
        if title.startswith("pixel_ap: difference") and "number" in title
    )
    assert [line[1].split()[0] for line in gains.lines] == ["+5.0", "+10.0"]


def write_results(folder: Path, rows: Sequence[Row]) -> Path:
    record = evaluation(folder, generators=("ours", "naive:loss=naive")).record()
    document = {
        "config": record,
        "base": "mini",
        "skipped": [{"what": "FID", "why": "no weights"}],
        "rows": [asdict(row) for row in rows],
    }
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(document))
    return folder


def test_the_summary_of_several_folders(tmp_path: Path) -> None:
    first = write_results(tmp_path / "first", detection("a", 5, GOOD))
    shots = write_results(
        tmp_path / "shots", detection("a", 2, GOOD) + detection("a", 5, {"real": 0.3})
    )
    chosen = write_results(tmp_path / "chosen", detection("z", 5, GOOD | {"real+ours": 0.1}))
    text = evaluate_summary(
        SummaryConfig(
            (first, shots), (chosen,), tmp_path / "out" / "evidence.md", tmp_path / "records"
        )
    )
    kept = json.loads((tmp_path / "records" / "shots.json").read_text())
    assert kept["rows"] == json.loads((shots / "results.json").read_text())["rows"]
    assert (
        str(tmp_path) not in json.dumps(kept) and len(list((tmp_path / "records").iterdir())) == 3
    )
    assert (tmp_path / "out" / "evidence.md").read_text() == text
    assert text.index("### Evaluations") < text.index("### Detection") < text.index("### Goals")
    assert "FID (no weights)" in text and "Judged on: first, shots." in text
    goals = text[text.index("### Goals") :]
    assert (
        "part / a, k = 2" in goals and "part / z" not in goals
    )  # what chose the defaults is shown, not judged
    assert (
        "part / z, k = 5" in text and goals.count("| met |") == 5
    )  # over real in the mean, closes, hurts, CutPaste, Perlin
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert tables and all(len({line.count("|") for line in table}) == 1 for table in tables)

    records = [tmp_path / "records" / f"{name}.json" for name in ("first", "shots", "chosen")]
    plot = tmp_path / "out" / "gains.png"
    again = evaluate_summary(SummaryConfig((*records[:2],), (records[2],), plot=plot))
    assert again == text  # records of earlier evaluations serve as their folders do
    with Image.open(plot) as picture:
        assert picture.format == "PNG" and min(picture.size) > 200
    bare = write_results(tmp_path / "bare", [])
    with pytest.raises(DataError, match="evaluations without detectors"):
        evaluate_summary(SummaryConfig((bare,), plot=plot))

    other = write_results(tmp_path / "other", detection("a", 5, GOOD | {"real": 0.31}))
    with pytest.raises(
        DataError, match="first and other differ in part / a, k = 5, fold 0, real: pixel_ap"
    ):
        evaluate_summary(SummaryConfig((first, other)))
    for folders in ((), (tmp_path,)):
        with pytest.raises(DataError):
            evaluate_summary(SummaryConfig(folders))


def test_tables_by_object_take_the_mean_over_classes_then_over_objects(tmp_path: Path) -> None:
    def rows(object: str, defect: str, values: dict[str, float], k: int = 0) -> list[Row]:
        return [
            Row(
                "detection",
                object,
                defect,
                0,
                k,
                0,
                seed,
                arm,
                "pixel_ap",
                value + 0.1 * seed,
                9,
                "r",
                "s",
            )
            for arm, value in values.items()
            for seed in (0, 1)
        ]

    many = rows("cup", "dent", {"real": 0.2, "ours": 0.4}) + rows(
        "cup", "hole", {"real": 0.4, "ours": 0.6}
    )
    assert object_tables(many) == [] and write_object_tables(tmp_path / "none.md", many) == []
    many += rows("nut", "bent", {"real": 0.7})  # ours made nothing here
    overall, detail = object_tables(many)
    assert detail.columns == ("object", "real", "ours")
    lines = {line[0]: line[1:] for line in detail.lines}
    assert lines["cup"] == ("35.0 (30.0, 40.0)", "55.0 (50.0, 60.0)")
    assert lines["nut"] == ("75.0 (70.0, 80.0)", "")
    assert lines["mean"] == (
        "55.0 (50.0, 60.0)",
        "55.0 (50.0, 60.0) (2 of 3 classes)",
    )  # of the objects, not of the three classes
    assert overall.lines == (
        ("real", "55.0 (50.0, 60.0)"),
        ("ours", "55.0 (50.0, 60.0) (2 of 3 classes)"),
    )
    fewer = [row for row in many if (row.subject, row.defect) != ("ours", "hole")]
    assert object_tables(fewer)[1].lines[0][2] == "45.0 (40.0, 50.0) (1 of 2 classes)"
    write_object_tables(tmp_path / "tables.md", many)
    assert "| mean | 55.0 (50.0, 60.0) |" in (tmp_path / "tables.md").read_text()
    assert not (tmp_path / "none.md").exists()
    more = object_tables(
        many + rows("cup", "dent", {"real": 0.1}, k=2) + rows("nut", "bent", {"real": 0.3}, k=2)
    )
    assert [table.title for table in more if "mean over all" in table.title] == [
        "Detection, mean over all objects, k = all",
        "Detection, mean over all objects, k = 2",
    ]
