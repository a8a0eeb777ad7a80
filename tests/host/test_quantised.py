"""A U-Net that is quantised in its file paints what the same numbers paint when they are stored
plainly, also under a LoRA of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from bgdefect_core.paths import ASSETS
from bgdefect_core.weights.files import UNKNOWN, ClassWeightsInfo, save_weights
from bgdefect_core.weights.info import architecture_of
from bgdefect_core.weights.lora_names import to_host_names

from .conftest import HOSTS, Figure
from .in_host import run_in_host


def write_lora(path: Path, unet: UNet2DConditionModel) -> None:
    """A strong one on all attention layers."""
    generator, matrices = torch.Generator().manual_seed(8), {}
    for name, weight in unet.state_dict().items():
        if name.endswith((".to_q.weight", ".to_k.weight", ".to_v.weight", ".to_out.0.weight")):
            module = name.removesuffix(".weight")
            matrices[f"{module}.lora_A.weight"] = (
                torch.randn(4, weight.shape[1], generator=generator) * 0.05
            )
            matrices[f"{module}.lora_B.weight"] = (
                torch.randn(weight.shape[0], 4, generator=generator) * 0.05
            )
    texts = {
        "object": "metal",
        "defect": "scratch",
        "background_prompt": "a",
        "defect_prompt": "b",
        "mask_prompt": "mask",
    }
    base = {
        "base_name": "random",
        "base_fingerprint": UNKNOWN,
        "base_licence": "none",
        "architecture": architecture_of(unet.config),
    }
    run = {
        "prediction_type": "epsilon",
        "resolution": 128,
        "zoom": "defect",
        "steps": 1,
        "loss": "disentangled",
        "seed": 0,
    }
    info = ClassWeightsInfo(
        kind="lora", date="2026-01-01", lora_rank=4, lora_alpha=8.0, **texts, **base, **run
    )  # type: ignore[arg-type]
    save_weights(path, to_host_names(matrices, 8), info)


@pytest.mark.slow
@pytest.mark.parametrize(("host", "python"), HOSTS, ids=[host.name for host, _ in HOSTS])
def test_a_quantised_u_net_paints_what_its_numbers_paint(
    host: Path, python: Path, tmp_path: Path, figure: Figure
) -> None:
    torch.manual_seed(10)
    config = json.loads((ASSETS / "configs" / "sd1" / "unet" / "config.json").read_text())
    unet = UNet2DConditionModel.from_config(config).eval().requires_grad_(False)
    save_file(
        {name: weight.half().contiguous() for name, weight in unet.state_dict().items()},
        tmp_path / "unet.safetensors",
    )
    write_lora(tmp_path / "lora.safetensors", unet)
    del unet
    files = [str(tmp_path / name) for name in ("unet.safetensors", "lora.safetensors")]
    found = json.loads(
        run_in_host("quantised_child.py", host, python, tmp_path / "base", *files).splitlines()[-1]
    )
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()  # gigabytes
    figure(host.name, found)
    assert max(found["none"]) < 1e-3
    latents, maps = found["LoRA"]  # the hosts write the sum of weight and LoRA back as fp8
    assert latents < found["effect"] / 4 and maps < 1e-3
