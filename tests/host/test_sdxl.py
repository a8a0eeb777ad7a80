"""SDXL on the real host: region prompts by both text encoders are what the host's own encoder node
gives, the pooled text with them; a class file's names and shapes are those of its converter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from bgdefect_core.paths import ASSETS
from bgdefect_core.weights.files import architecture_of
from trainer.bases.families import FAMILIES
from trainer.training.tuning import class_tensors, make_trainable

from .conftest import HOSTS
from .in_host import run_in_host

pytestmark = pytest.mark.parametrize(
    ("host", "python"), HOSTS, ids=[host.name for host, _ in HOSTS]
)


@pytest.mark.slow
def test_region_prompts_of_sdxl(host: Path, python: Path, tmp_path: Path) -> None:
    run_in_host("sdxl_child.py", host, python, tmp_path)


@pytest.mark.slow
def test_a_class_on_sdxl_has_the_hosts_names(host: Path, python: Path, tmp_path: Path) -> None:
    config = json.loads((ASSETS / "configs/sdxl/unet/config.json").read_text())
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
    shapes = {
        "rank": 4,
        "architecture": architecture_of(unet.config),
        "unet": {name: list(tensor.shape) for name, tensor in class_tensors(unet, 0).items()},
    }
    with torch.device("meta"):
        make_trainable(unet, FAMILIES["sdxl"].lora_modules, 4, 0)
    lora = class_tensors(unet, 4)
    shapes["lora"] = {name: list(tensor.shape) for name, tensor in lora.items()}
    path = tmp_path / "shapes.json"
    path.write_text(json.dumps(shapes))
    run_in_host("sdxl_names_child.py", host, python, tmp_path, str(path))
