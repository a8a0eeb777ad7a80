"""A small plan on the tiny base, and what a campaign writes, for the tests of campaigns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from trainer.bases.timing import NetworkTiming
from trainer.campaign.blobs import ContentStore
from trainer.campaign.board import Campaign
from trainer.campaign.classes import ClassFiles
from trainer.campaign.config import CampaignConfig
from trainer.campaign.measuring import Facts
from trainer.campaign.plan import Plan
from trainer.campaign.run import campaign
from trainer.campaign.shared import Shared

PLAN = """
output = "{output}"
base = "{base}"
tries = {tries}
{run}
[data]
source = "{data}"
defects = {defects}
[train]
steps = {steps}
batch = 1
views = 1
shots = {shots}
save_every = 1
validation_pictures = 1
[generate]
count = {count}
batch = 1
steps = 1
retries = 1
min_strength = 0
min_contrast = 0
min_fill = 0
min_background_psnr = 0
min_latent_background_psnr = 0
min_real_share = 0
class_share = 0
shared = false
"""
"""Chunks of 8 samples: two shards with the 10 that are asked for."""


def write_plan(folder: Path, base: Path, data: Path, **values: Any) -> CampaignConfig:
    """A plan in a folder; results go to ``out`` beside it."""
    known = {
        "output": "out",
        "base": base,
        "data": data,
        "defects": '["spot"]',
        "tries": 3,
        "shots": 2,
        "count": 10,
        "steps": 2,
        "run": "",
    }
    folder.mkdir(parents=True, exist_ok=True)
    more = values.pop("more", "")
    (folder / "plan.toml").write_text(PLAN.format(**{**known, **values}) + more)
    return CampaignConfig(folder / "plan.toml")


def shared_of(plan: Plan, folder: Path) -> Shared:
    """What the classes of a plan share, on a base that was never looked at."""
    facts = Facts("tiny", "0", {}, "cpu", "x86", "fp32", "fp32", 32, 2, 1000, NetworkTiming())
    return Shared(plan.run, ClassFiles(plan), ContentStore(folder), facts, None, folder)


def run_plan(config: CampaignConfig) -> dict[str, dict[str, Any]]:
    """The classes by defect, as the record has them."""
    result = campaign(config)
    assert isinstance(result, Campaign)
    return {entry["defect"]: dict(entry) for entry in result.classes}


def made(data: Path, weights: Path) -> dict[str, Any]:
    """What must be equal wherever a class was made: the bytes of all pictures, the manifest but for
    paths, dates and the digest of the weights' file, which holds a date; the tensors."""
    content: dict[str, Any] = {}
    for path in sorted(data.rglob("*.png")):
        content[path.relative_to(data).as_posix()] = path.read_bytes()
    for path in sorted(data.rglob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            line.pop("run", None)  # of pairs.jsonl: a digest of the settings
            line.get("settings", {}).pop("weights_sha256", None)
            made_with = line.get("made_with", {})
            for name in ("weights", "mask_split"):
                made_with.pop(name, None)
        content[path.relative_to(data).as_posix()] = lines
    for name, tensor in load_file(weights).items():
        content[f"weights: {name}"] = tensor.numpy().tobytes()
    return content
