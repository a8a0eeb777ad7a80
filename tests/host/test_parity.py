"""The host's MODEL and diffusers give the same latents: inversion and sampling step by step, every
mode, texts, VAE, attention maps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from bgdefect_core.method.schedule import schedule_from_config
from bgdefect_core.paths import ASSETS
from bgdefect_core.weights.files import ClassWeightsInfo, save_weights
from bgdefect_core.weights.lora_names import to_host_names
from trainer.bases.apply import load_class
from trainer.bases.load import Base, load_base

from ..core.conftest import tiny_sdxl_unet
from ..trainer.conftest import save_tiny_base, save_tiny_sdxl_base
from .conftest import HOSTS, Figure
from .in_host import run_in_host
from .parity_reference import boxes, case_of_base, random_prompts, write_case

pytestmark = pytest.mark.slow  # minutes a host: make test-host
TOLERANCE = 1e-3
"""Of latents, text embeddings, attention shares and pictures, absolute."""
Case = Callable[[Path, Path], Path]
"""(base directory, case folder) -> case folder."""


def mini(base_directory: Path, folder: Path) -> Path:
    return case_of_base(folder, load_base(), {"kind": "base", "name": "mini"}, (64, 80), steps=4)


def two_defects(base_directory: Path, folder: Path) -> Path:
    return case_of_base(
        folder, load_base(), {"kind": "base", "name": "mini"}, defects=2, modes=("replay",)
    )


def v_prediction(base_directory: Path, folder: Path) -> Path:
    """SD 2's form, small: v-prediction, zero terminal SNR, linear projections, heads of one
    width."""
    model = save_tiny_base(base_directory / "models" / "diffusers" / "tiny", seed=3)
    torch.manual_seed(4)
    unet = UNet2DConditionModel(
        sample_size=16,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=2,
        cross_attention_dim=16,
        attention_head_dim=[2, 4],
        use_linear_projection=True,
    )
    unet.save_pretrained(model / "unet")
    text = (
        model / "text_encoder" / "model.safetensors"
    )  # the host keeps text encoders in fp16, as they are published
    save_file(
        {name: tensor.half() for name, tensor in load_file(text).items()}, text, {"format": "pt"}
    )
    scheduler = model / "scheduler" / "scheduler_config.json"
    config = json.loads(scheduler.read_text())
    scheduler.write_text(
        json.dumps({**config, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True})
    )
    (model / "model_index.json").write_text("{}")
    return case_of_base(folder, load_base(model), {"kind": "base", "name": "tiny"}, (32, 32))


def sdxl(base_directory: Path, folder: Path) -> Path:
    """SDXL's form, small: pooled text and picture sizes, two layers a block."""
    width, size_width, pooled = 24, 256, 40  # the host embeds sizes in 256 numbers each
    unet = tiny_sdxl_unet(5, width, size_width, pooled)
    folder.mkdir(parents=True)
    save_file(unet.state_dict(), folder / "unet.safetensors")
    source = {
        "kind": "sdxl",
        "path": str(folder / "unet.safetensors"),
        "unet": dict(unet.config),
        "adm": 6 * size_width + pooled,
    }
    prompts = random_prompts(width, 1, pooled)
    sizes = torch.tensor([[128.0, 128, 0, 0, 128, 128]])
    prompts = replace(prompts, added={**prompts.added, "time_ids": sizes})
    z_0 = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(6))
    return write_case(
        folder, unet, schedule_from_config(_SD), prompts, z_0, boxes(2, 128, 128, 1), source
    )


_SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def _info(base: Base, kind: str, **more: Any) -> ClassWeightsInfo:
    return ClassWeightsInfo(
        kind=kind,
        object="metal",
        defect="scratch",
        background_prompt="a photo of a metal",
        defect_prompt="a scratch defect on a metal",
        mask_prompt="mask",
        base_name=base.name,
        base_fingerprint=base.fingerprint,
        base_licence=base.licence,
        prediction_type="epsilon",
        resolution=128,
        zoom="defect",
        steps=1,
        loss="disentangled",
        seed=0,
        date="2026-01-01",
        architecture=base.architecture,
        **more,
    )


def _write_lora(base: Base, path: Path) -> None:
    """A LoRA of random matrices on all attention layers, as a class file; ``base`` carries it."""
    generator = torch.Generator().manual_seed(8)
    matrices = {}
    for name, weight in base.unet.state_dict().items():
        if name.endswith((".to_q.weight", ".to_k.weight", ".to_v.weight", ".to_out.0.weight")):
            module = name.removesuffix(".weight")
            matrices[f"{module}.lora_A.weight"] = (
                torch.randn(4, weight.shape[1], generator=generator) * 0.1
            )
            matrices[f"{module}.lora_B.weight"] = (
                torch.randn(weight.shape[0], 4, generator=generator) * 0.1
            )
    info = _info(base, "lora", lora_rank=4, lora_alpha=8.0)
    save_weights(path, to_host_names(matrices, 8), info)
    load_class(base, path)


def _with_lora(folder: Path, by: str, place: Path) -> Path:
    base = load_base()
    _write_lora(base, place / "lora.safetensors")
    source = {"kind": "base", "name": "mini", "weights": "lora.safetensors", "by": by}
    return case_of_base(folder, base, source, modes=("replay",))


def _sdxl_with_lora(folder: Path, by: str, place: Path) -> Path:
    """A whole small base in SDXL's form, a picture that is wider than high."""
    folder.mkdir(parents=True)
    model = save_tiny_sdxl_base(folder / "base", seed=12)
    for part in ("text_encoder", "text_encoder_2"):  # the host keeps them in fp16
        file = model / part / "model.safetensors"
        halved = {name: tensor.half() for name, tensor in load_file(file).items()}
        save_file(halved, file, {"format": "pt"})
    base = load_base(model)
    weights = f"{folder.name}.safetensors"
    _write_lora(base, place / weights)
    config = dict(base.unet.config)
    source = {
        "kind": "sdxl",
        "path": str(model / "unet" / "diffusion_pytorch_model.safetensors"),
        "unet": config,
        "adm": config["projection_class_embeddings_input_dim"],
        "folder": str(model),
        "weights": weights,
        "by": by,
    }
    return case_of_base(folder, base, source, (128, 192), modes=("replay", "noised"))


def sdxl_lora(base_directory: Path, folder: Path) -> Path:
    return _sdxl_with_lora(folder, "class weights", base_directory / "models" / "bgdefect")


def sdxl_lora_by_the_host(base_directory: Path, folder: Path) -> Path:
    return _sdxl_with_lora(folder, "the host's LoraLoader", base_directory / "models" / "loras")


def lora(base_directory: Path, folder: Path) -> Path:
    return _with_lora(folder, "class weights", base_directory / "models" / "bgdefect")


def lora_by_the_host(base_directory: Path, folder: Path) -> Path:
    return _with_lora(folder, "the host's LoraLoader", base_directory / "models" / "loras")


def full_unet(base_directory: Path, folder: Path) -> Path:
    base = load_base()
    generator = torch.Generator().manual_seed(9)
    changed = {
        name: weight * (1 + 0.05 * torch.randn(weight.shape, generator=generator))
        for name, weight in base.unet.state_dict().items()
    }
    path = base_directory / "models" / "bgdefect" / "full.safetensors"
    save_weights(path, changed, _info(base, "full"))
    load_class(base, path)
    source = {"kind": "base", "name": "mini", "weights": "full.safetensors", "by": "class weights"}
    return case_of_base(folder, base, source, modes=("replay",))


def _full_size(form: str, folder: Path) -> Path:
    """Stable Diffusion's own U-Net with random weights, rounded to fp16 as published files are."""
    torch.manual_seed(10)
    config = json.loads((ASSETS / "configs" / form / "unet" / "config.json").read_text())
    unet = UNet2DConditionModel.from_config(config).eval().requires_grad_(False)
    if form == "sd2":  # by this bias the host tells an SD 2 that predicts v
        torch.nn.init.normal_(
            unet.up_blocks[3].attentions[2].transformer_blocks[0].norm1.bias, std=0.2
        )
    halved = {name: weight.half() for name, weight in unet.state_dict().items()}
    unet.load_state_dict(halved)
    folder.mkdir(parents=True)
    save_file(halved, folder / "unet.safetensors")
    del halved
    schedule = schedule_from_config(
        {**_SD, "prediction_type": "v_prediction" if form == "sd2" else "epsilon"}
    )
    prompts = random_prompts(config["cross_attention_dim"], 1)
    z_0 = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(11))
    source = {"kind": "file", "path": str(folder / "unet.safetensors")}
    return write_case(
        folder,
        unet,
        schedule,
        prompts,
        z_0,
        boxes(1, 128, 128, 1),
        source,
        steps=3,
        modes=("replay",),
    )


def sd1_5(base_directory: Path, folder: Path) -> Path:
    return _full_size("sd1", folder)


def sd2(base_directory: Path, folder: Path) -> Path:
    return _full_size("sd2", folder)


CASES: list[Case] = [
    mini,
    two_defects,
    v_prediction,
    sdxl,
    sdxl_lora,
    sdxl_lora_by_the_host,
    lora,
    lora_by_the_host,
    full_unet,
]
Found = Mapping[tuple[str, str], Mapping[str, float]]


def _run(cases: Sequence[Case], root: Path) -> Found:
    """Every case on every host: (host, case) -> name of a comparison -> largest difference. One
    process a host: it starts slowly."""
    folders = {case.__name__: case(root / "base", root / case.__name__) for case in cases}
    found = {}
    for host, python in HOSTS:
        run_in_host("parity_child.py", host, python, root / "base", *map(str, folders.values()))
        found |= {
            (host.name, name): json.loads((folder / f"{host.name}.json").read_text())
            for name, folder in folders.items()
        }
    return found


def _check(found: Mapping[str, float], host: str, figure: Figure) -> None:
    assert len(found) > 4
    worst = max(found, key=lambda name: found[name])
    figure(f"{host}: largest difference", f"{found[worst]:.1e} in {worst}")
    assert not {name: value for name, value in found.items() if not value <= TOLERANCE}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return _run(CASES, tmp_path_factory.mktemp("parity"))


@pytest.mark.parametrize("host", [host.name for host, _ in HOSTS])
@pytest.mark.parametrize("case", [case.__name__ for case in CASES])
def test_the_host_gives_what_diffusers_gives(
    found: Found, host: str, case: str, figure: Figure
) -> None:
    _check(found[host, case], host, figure)


@pytest.mark.slow
@pytest.mark.parametrize("case", [sd1_5, sd2], ids=lambda case: case.__name__)
def test_full_size_networks_agree_too(case: Case, tmp_path: Path, figure: Figure) -> None:
    for (host, _), result in _run([case], tmp_path).items():
        _check(result, host, figure)
    shutil.rmtree(tmp_path / case.__name__)  # gigabytes
