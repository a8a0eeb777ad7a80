"""Bases in SDXL's form: two text encoders, pooled text, sizes, a single file, and every command
that learns or paints a class on one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from bgdefect_core.errors import WeightsError
from bgdefect_core.method.predictor import picture_sizes, unet_predictor
from bgdefect_core.paths import ASSETS
from bgdefect_core.pictures.writing import write_picture
from bgdefect_core.records.manifest import read_manifest
from bgdefect_core.weights.files import read_info
from bgdefect_core.weights.lora_names import from_host_names
from trainer.bases import base as base_module
from trainer.bases.apply import load_trained
from trainer.bases.families import FAMILIES, family
from trainer.bases.load import Base, load_base
from trainer.evaluate.run import evaluate
from trainer.lab.bench_sampling import BenchSamplingConfig, bench_sampling
from trainer.lab.bench_train import BenchTrainConfig, bench_train
from trainer.training.tuning import class_tensors, make_trainable

from . import single_file_writer as writer
from .conftest import Run, evaluation
from .test_weight_files import change_config

CONFIGS = ASSETS / "configs" / "sdxl"
TEXTS = ("a photo of a plate", "a spot defect on a plate", "mask")


@pytest.fixture(scope="module")
def base(tiny_sdxl: Path) -> Base:
    return load_base(tiny_sdxl)


def test_texts_and_sizes_are_those_of_diffusers_own_pipeline(base: Base) -> None:
    """The pooled text is the background's; sizes follow from the latents, height first."""
    pipeline = StableDiffusionXLPipeline(
        vae=base.vae,
        text_encoder=base.text_encoders[0],
        text_encoder_2=base.text_encoders[1],
        tokenizer=base.tokenizers[0],
        tokenizer_2=base.tokenizers[1],
        unet=base.unet,
        scheduler=DDIMScheduler(),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    prompts = base.prompts(TEXTS[0], [TEXTS[1]], TEXTS[2])
    assert prompts.empty is not None
    ours = (prompts.background, prompts.defects[0], prompts.placeholder, prompts.empty)
    for text, tokens in zip((*TEXTS, ""), ours, strict=True):
        with torch.no_grad():
            theirs, _, pooled, _ = pipeline.encode_prompt(text, do_classifier_free_guidance=False)
        torch.testing.assert_close(tokens, theirs)
        same = torch.allclose(prompts.added["text_embeds"], pooled, atol=1e-5)
        assert same == (text == TEXTS[0])
    sizes = pipeline._get_add_time_ids((64, 96), (0, 0), (64, 96), torch.float32, 24)
    assert torch.equal(picture_sizes(torch.zeros(1, 4, 8, 12)), sizes)


def test_the_unet_reads_the_sizes_of_its_latents(base: Base) -> None:
    """Given by hand they are the same; other sizes, and another pooled text, change the noise."""
    prompts = base.prompts(*TEXTS[:1], [TEXTS[1]], TEXTS[2])
    z = torch.randn(2, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    regions = torch.zeros(2, 8, 12, dtype=torch.long)
    regions[:, 2:5, 3:6] = 1
    noises = []
    with torch.no_grad(), unet_predictor(base.unet, base.schedule) as predict:
        for added in (
            {},
            {"time_ids": torch.tensor([[64.0, 96, 0, 0, 64, 96]])},
            {"time_ids": torch.tensor([[96.0, 64, 0, 0, 96, 64]])},
            {"text_embeds": -prompts.added["text_embeds"]},
        ):
            context = replace(prompts, added={**prompts.added, **added}).defect_context()
            noises.append(predict(z, 500, context, regions))
    assert torch.equal(noises[0], noises[1])
    assert not torch.allclose(noises[0], noises[2], atol=1e-4)
    assert not torch.allclose(noises[0], noises[3], atol=1e-4)


def test_parts_that_do_not_belong_together_are_named(tiny_sdxl: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_sdxl, tmp_path / "copy")
    (copy / "text_encoder_2").rename(copy / "away")
    with pytest.raises(WeightsError, match="lacks text_encoder_2"):
        load_base(copy)
    (copy / "away").rename(copy / "text_encoder_2")
    change_config(copy / "unet", addition_time_embed_dim=128)
    with pytest.raises(WeightsError, match="conditions of width 1560; expected 792.*refiner"):
        load_base(copy)
    change_config(copy / "unet", addition_time_embed_dim=256, cross_attention_dim=16)
    with pytest.raises(WeightsError, match="shape"):
        load_base(copy)


# --- a single file
# ------------------------------------------------------------------------------------------


SMALL = {
    "unet": {
        "block_out_channels": [32, 32, 32],
        "attention_head_dim": [2, 2, 2],
        "transformer_layers_per_block": [1, 1, 2],
        "cross_attention_dim": 40,
        "projection_class_embeddings_input_dim": 24 + 6 * 256,
    },
    "vae": {"block_out_channels": [32, 32, 32, 32]},
    "text_encoder": {"hidden_size": 16, "projection_dim": 16},
    "text_encoder_2": {"hidden_size": 24, "projection_dim": 24},
}
SHORT = {"num_hidden_layers": 2, "intermediate_size": 32, "num_attention_heads": 2}


def read_config(part: str) -> dict[str, Any]:
    values = json.loads((CONFIGS / part / "config.json").read_text())
    return {key: value for key, value in values.items() if not key.startswith("_")}


def networks(changes: dict[str, dict[str, Any]]) -> dict[str, torch.nn.Module]:
    """SDXL's four networks by our configurations, with changed values."""
    values = {part: read_config(part) | changes.get(part, {}) for part in SMALL}
    return {
        "unet": UNet2DConditionModel(**values["unet"]),
        "vae": AutoencoderKL(**values["vae"]),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**values["text_encoder"])),
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**values["text_encoder_2"])),
    }


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.nn.Module]:
    """Our configurations with all widths shrunk, in force, and networks of them."""
    assets = tmp_path / "assets"
    shutil.copytree(CONFIGS, assets / "configs" / "sdxl")
    changes = {}
    for part, values in SMALL.items():
        changes[part] = values | (SHORT if part.startswith("text") else {})
        change_config(assets / "configs" / "sdxl" / part, **changes[part])
    monkeypatch.setattr(family, "ASSETS", assets)
    return networks(changes)


def file_names(parts: dict[str, torch.nn.Module]) -> list[dict[str, torch.Tensor]]:
    states = {name: network.state_dict() for name, network in parts.items()}
    return [
        writer.unet_names(states["unet"]),
        writer.vae_names(states["vae"]),
        writer.clip_names(states["text_encoder"], "conditioner.embedders.0."),
        writer.open_clip_names(states["text_encoder_2"], "conditioner.embedders.1."),
    ]


def test_single_file_round_trip(small: dict[str, torch.nn.Module], tmp_path: Path) -> None:
    parts = file_names(small)
    base = load_base(writer.write_single_file(tmp_path / "some-xl.safetensors", *parts))
    ours = (base.unet, base.vae, *base.text_encoders)
    for network, (name, theirs) in zip(ours, small.items(), strict=True):
        state = network.state_dict()
        assert len(state) == len(theirs.state_dict())
        for key, tensor in theirs.state_dict().items():
            assert torch.equal(state[key], tensor), (name, key)
    assert (base.family.name, base.factor, base.resolution) == ("sdxl", 8, 1024)
    assert base.vae.config["scaling_factor"] == 0.13025
    assert base.licence == "CreativeML Open RAIL++-M (SDXL)"
    assert [tokenizer.pad_token_id for tokenizer in base.tokenizers] == [49407, 0]
    assert base.prompts("a", ["b"], "c").background.shape == (1, 77, 40)
    assert base.schedule.prediction_type == "epsilon"
    signs = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    base = load_base(writer.write_single_file(tmp_path / "v.safetensors", *parts, signs))
    assert base.schedule.prediction_type == "v_prediction"
    assert float(base.schedule.alphas_cumprod[-1]) < 1e-7


def test_single_files_that_lack_a_part(small: dict[str, torch.nn.Module], tmp_path: Path) -> None:
    unet, vae, text, text_2 = file_names(small)
    path = tmp_path / "model.safetensors"
    for parts, message in (
        ((unet, vae), "holds no text encoder"),
        ((unet, vae, text), "cannot be loaded"),
        ((unet, text, text_2), "holds no VAE"),
        ((unet | {family.FIRST: torch.zeros(32, 9, 3, 3)}, vae, text, text_2), "inpainting"),
    ):
        with pytest.raises(WeightsError, match=message):
            load_base(writer.write_single_file(path, *parts))
    del text_2["conditioner.embedders.1.model.text_projection"]
    with pytest.raises(WeightsError, match="text encoder 2, first text_projection|cannot be"):
        load_base(writer.write_single_file(path, unet, vae, text, text_2))


def test_our_configurations_are_sdxls() -> None:
    """Published numbers of parameters, and the size of a LoRA of rank 8."""
    with torch.device("meta"):
        full = networks({})
    counts = {}
    for name, network in full.items():
        counts[name] = sum(parameter.numel() for parameter in network.parameters())
    assert counts == {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    }
    names = list(full["unet"].state_dict())
    make_trainable(full["unet"], FAMILIES["sdxl"].lora_modules, 8, 0)
    tensors = class_tensors(full["unet"], 8)
    assert len(tensors) == 3 * 4 * 2 * 70  # three a module; four modules, self and cross, 70 blocks
    wide = 4 * 2560 + 2 * 2560 + 2 * (2048 + 1280)  # of the 60 blocks of width 1280
    narrow = 4 * 1280 + 2 * 1280 + 2 * (2048 + 640)  # of the 10 of width 640
    assert sum(tensor.numel() for tensor in tensors.values()) == 8 * (60 * wide + 10 * narrow) + 560
    assert len(from_host_names(tensors, names)) == 2 * 560


# --- a class on SDXL
# ------------------------------------------------------------------------------------------


def test_a_class_is_learned_painted_and_read_back(
    run: Run, base: Base, tiny_sdxl: Path, plates: Path, tmp_path: Path
) -> None:
    """LoRA by the command line at another resolution than the base's own, then samples."""
    weights = tmp_path / "spot.safetensors"
    small = ("--resolution", 64, "--steps", 2, "--batch", 1, "--views", 2, "--shots", 2)
    lora = ("--lora-rank", 2, "--lr", 0.01, "--device", "cpu", "--gradient-checkpointing")
    named = ("--data", plates, "--defect", "spot", "--base", tiny_sdxl)
    code, _, shown = run("train", *named, "--output", weights, *small, *lora)
    assert code == 0, shown
    info = read_info(weights)
    assert (info.kind, info.resolution, info.lora_rank) == ("lora", 64, 2)
    trained, _ = load_trained(tiny_sdxl, weights)
    before = base.unet.state_dict()
    for key, tensor in trained.unet.state_dict().items():
        attends = key.endswith(("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight"))
        assert torch.equal(tensor, before[key]) is not attends, key
    output = tmp_path / "set"
    painting = ("--count", 2, "--steps", 2, "--retries", 0, "--device", "cpu")
    anything = ("--min-background-psnr", 0, "--max-background-max", 255, "--no-shared")
    for name in ("strength", "contrast", "fill", "latent-background-psnr", "real-share"):
        anything += (f"--min-{name}", 0)
    code, _, shown = run(
        "generate",
        "--weights",
        weights,
        "--base",
        tiny_sdxl,
        "--good",
        plates / "train/good",
        "--mask-library",
        plates / "ground_truth/spot",
        "--output",
        output,
        *painting,
        *anything,
        "--class-share",
        0,
    )
    assert code == 0, shown
    assert read_manifest(output / "extras/plate/spot/manifest.jsonl")


def test_the_vae_codes_a_large_batch_in_parts(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """SDXL's pictures of 1024 pixels are coded two at a time; the parts are those of the whole."""
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = base.encode(pixels)
    pictures = base.decode(latents)
    assert [base_module._coded_at_once(side * side) for side in (512, 1024, 4096)] == [8, 2, 1]
    monkeypatch.setattr(base_module, "_MOST_PIXELS", 2 * 32 * 32)
    torch.testing.assert_close(base.encode(pixels), latents)
    torch.testing.assert_close(base.decode(latents), pictures)


@pytest.mark.slow
def test_benches_run_on_sdxl(tiny_sdxl: Path) -> None:
    small = {"base": str(tiny_sdxl), "resolution": 64, "repeats": 1, "device": "cpu"}
    assert "whole iteration" in bench_train(BenchTrainConfig(batch=1, **small))
    assert "literal" in bench_sampling(BenchSamplingConfig(variants=1, steps=2, **small))


@pytest.mark.slow
def test_an_evaluation_on_sdxl(tiny_sdxl: Path, plates: Path, tmp_path: Path) -> None:
    """A class as LoRA; the labels of its samples are measured."""
    anything = "min_strength=0,min_contrast=0,min_fill=0,min_background_psnr=0,class_share=0"
    anything += ",shared=false,max_background_max=255,min_latent_background_psnr=0,min_real_share=0"
    data = shutil.copytree(plates, tmp_path / "plate")
    rng = np.random.default_rng(0)
    for number in range(6):
        ground = rng.integers(90, 130, (40, 48, 3), dtype=np.uint8)
        write_picture(data / f"test/good/{number:03d}.png", ground)
    config = evaluation(
        data,
        tmp_path / "out",
        classes=("plate/spot",),
        folds=(0,),
        shots=(2,),
        validation=1,
        validation_good=1,
        parts=("masks",),
        generators=(f"ours:steps=2,lora_rank=2,{anything}",),
        samples=2,
        base=str(tiny_sdxl),
        train_steps=2,
        batch=2,
        device="cpu",
    )
    evaluate(config)
    files = (tmp_path / "out").rglob("*.safetensors")
    [weights] = [path for path in files if path.parent.name != "checkpoints"]
    info = read_info(weights)
    assert (info.kind, info.resolution, info.base_name) == ("lora", 128, tiny_sdxl.name)
    assert list((tmp_path / "out").rglob("masks-*.json"))


@pytest.mark.slow
def test_the_whole_unet_on_request(run: Run, tiny_sdxl: Path, plates: Path, tmp_path: Path) -> None:
    """All of the U-Net is trained, its layers for pooled text and sizes too, and read back."""
    weights = tmp_path / "spot.safetensors"
    small = ("--resolution", 64, "--steps", 2, "--batch", 1, "--views", 2, "--shots", 2)
    named = ("--data", plates, "--defect", "spot", "--base", tiny_sdxl, "--output", weights)
    code, _, shown = run("train", *named, *small, "--lr", 0.01, "--device", "cpu")
    assert code == 0, shown
    trained, info = load_trained(tiny_sdxl, weights)
    assert info.kind == "full"
    before = load_base(tiny_sdxl).unet.state_dict()
    for name, tensor in trained.unet.state_dict().items():
        if name.startswith(("add_embedding.", "mid_block.")):
            assert not torch.equal(tensor, before[name]), name
