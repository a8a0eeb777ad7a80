"""``bgdefect results`` and ``bgdefect demo`` to their ends on the tiny base: real trainings and
samples, small numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import OtherRunError, SettingError
from trainer.lab import results as module
from trainer.lab.results import ResultsConfig, results
from trainer.recipes.demo import demo
from trainer.recipes.demo_config import DemoConfig

from .conftest import files_of

MODES = ("noised", "literal")
"""Two of the four background modes, for time."""


@pytest.fixture
def config(
    plates: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ResultsConfig:
    torch.set_num_threads(1)
    whole = module._generation_config
    monkeypatch.setattr(module, "MODES", MODES)
    monkeypatch.setattr(
        module, "_generation_config", lambda *given: replace_options(whole(*given), steps=2)
    )
    return ResultsConfig(
        (plates,), tmp_path / "out", steps=1, count=2, batch=2, base=str(tiny_base)
    )


def cells(table: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith("| plate")
    ]


def test_results_to_the_end_and_again_after_a_kill(
    config: ResultsConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, seconds: float | None) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "_note", killed)  # cut is trained, its time is not yet written
        results(config)
    rows = cells(results(config))
    assert [row[:2] for row in rows[:2]] == [["plate", "cut"], ["plate", "spot"]]
    assert rows[0][-1] == "-" and float(rows[1][-1]) >= 0, "a time that nobody knows is no figure"
    assert [row[1:3] for row in rows[2:]] == [
        [defect, mode] for defect in ("cut", "spot") for mode in MODES
    ]
    assert all(row[3] == "2" and float(row[-1]) >= 0 for row in rows[2:])
    before = files_of(config.output)
    assert cells(results(config)) == rows and files_of(config.output) == before
    longer = cells(results(dataclasses.replace(config, count=3)))
    assert [(row[3], row[-1]) for row in longer[2:]] == [("3", "-")] * 4


@pytest.mark.parametrize("changes", [{"steps": 2}, {"seed": 1}])
def test_results_of_other_settings_are_not_shown(
    config: ResultsConfig, changes: dict[str, Any]
) -> None:
    module.train(module._training_config(config, config.data[0], "plate", "cut"))
    before = files_of(config.output)
    with pytest.raises(OtherRunError, match=f"another run: {next(iter(changes))} was"):
        results(dataclasses.replace(config, **changes))
    assert files_of(config.output) == before


@pytest.mark.parametrize("changes", [{"count": 0}, {"batch": 0}, {"steps": 0}])
def test_results_refuse_before_they_train(config: ResultsConfig, changes: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(changes))} is 0"):
        results(dataclasses.replace(config, **changes))
    assert not config.output.exists()


@pytest.fixture
def small(plates: Path, tiny_base: Path, tmp_path: Path) -> DemoConfig:
    torch.set_num_threads(1)
    return DemoConfig(
        plates,
        defect="spot",
        output=tmp_path / "out",
        count=2,
        shots=3,
        train_steps=1,
        steps=2,
        base=str(tiny_base),
    )


def test_demo_to_the_end(small: DemoConfig) -> None:
    summary = demo(small)
    assert summary.wanted == 2 and summary.page is not None and summary.page.is_file()
    before = files_of(small.output)
    again = demo(small)
    assert (again.accepted, again.rejected) == (summary.accepted, summary.rejected) and files_of(
        small.output
    ) == before
    fresh = demo(dataclasses.replace(small, seed=1, fresh=True))
    assert fresh.wanted == 2 and files_of(small.output) != before


@pytest.mark.parametrize(
    "changes",
    [{"count": 0}, {"steps": 0}, {"steps": 1000}, {"train_steps": 0}, {"shots": 0}, {"seed": -1}],
)
def test_demo_refuses_before_it_trains(small: DemoConfig, changes: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        demo(dataclasses.replace(small, **changes))
    assert not small.output.exists()
