"""A tiny random base in Stable Diffusion's form, and a small drawn data set in MVTec AD layout."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from bgdefect_core.declarations import replace_options
from bgdefect_core.paths import ASSETS
from bgdefect_core.pictures.listing import report_once
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.weights.files import ClassWeightsInfo, save_weights
from trainer.bases.load import load_base
from trainer.cli import app as cli
from trainer.cli import output
from trainer.evaluate.config import EvaluateConfig
from trainer.evaluate.plan.settings import PlanSettings

from ..core.conftest import tiny_sdxl_unet

TOKENIZER = ASSETS / "bgdefect-mini" / "tokenizer"
RESOLUTION = 32
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def everything_is_said_anew() -> None:
    """What is logged once a process is logged once a test."""
    report_once.cache_clear()


def save_tiny_base(folder: Path, seed: int = 0) -> Path:
    """A diffusers folder of a few MB: 32 px, factor 2, two levels, text of width 16."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=RESOLUTION // 2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(32, 32),
            layers_per_block=1,
            cross_attention_dim=16,
            attention_head_dim=2,
        )
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(32, 32),
            layers_per_block=1,
            latent_channels=4,
            sample_size=RESOLUTION,
            scaling_factor=1.5,
        )
        tokenizer = CLIPTokenizer.from_pretrained(TOKENIZER)
        config = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            projection_dim=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=77,
        )
        text_encoder = CLIPTextModel(config)
    for name, part in (("unet", unet), ("vae", vae), ("text_encoder", text_encoder)):
        part.save_pretrained(folder / name, safe_serialization=True)
    shutil.copytree(
        TOKENIZER, folder / "tokenizer"
    )  # saved anew it takes three times as long to load
    DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
    return folder


def save_tiny_sdxl_base(folder: Path, seed: int = 0) -> Path:
    """A diffusers folder in SDXL's form of a few MB: 128 px, factor 8, text of width 16 + 24."""
    with torch.random.fork_rng(devices=[]):
        unet = tiny_sdxl_unet(seed, 40, 256, 24)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(32,) * 4,
            layers_per_block=1,
            latent_channels=4,
            sample_size=128,
            scaling_factor=0.13025,
        )
        text_encoder = CLIPTextModel(_text_config(16, "quick_gelu"))
        text_encoder_2 = CLIPTextModelWithProjection(_text_config(24, "gelu"))
    parts = {"unet": unet, "vae": vae, "text_encoder": text_encoder}
    for name, part in {**parts, "text_encoder_2": text_encoder_2}.items():
        part.save_pretrained(folder / name, safe_serialization=True)
    shutil.copytree(TOKENIZER, folder / "tokenizer")
    second = CLIPTokenizer.from_pretrained(TOKENIZER, pad_token="!")
    second.save_pretrained(folder / "tokenizer_2")
    shutil.copytree(ASSETS / "configs" / "sdxl" / "scheduler", folder / "scheduler")
    return folder


def _text_config(width: int, activation: str) -> CLIPTextConfig:
    """Three layers of SDXL's text encoders, narrow; the last one's output is not read."""
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=32,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=77,
        hidden_act=activation,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )


def files_of(root: Path) -> dict[str, bytes]:
    """Relative name -> bytes of every file below ``root`` but the lock."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name != ".lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def evaluation(data: Path, output: Path = Path("runs/evaluate"), **options: Any) -> EvaluateConfig:
    """Settings of an evaluation by the flat names of its options; one draw unless they say more."""
    config = EvaluateConfig(PlanSettings(data, shot_draws=1), output)
    return replace_options(config, **options)


def nudge(weights: Path) -> None:
    """Change one tensor of a safetensors file."""
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("bias"))
    save_file(tensors | {name: tensors[name] + 0.1}, weights, {"format": "pt"})


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny random base; not to be written to."""
    return save_tiny_base(tmp_path_factory.mktemp("tiny-base"))


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random base in SDXL's form; not to be written to."""
    return save_tiny_sdxl_base(tmp_path_factory.mktemp("tiny-sdxl"))


@pytest.fixture(scope="session")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object ``plate`` in MVTec AD layout: 6 pictures of ``spot``, 2 of ``cut``, 3 good ones, 40
    x 48 pixels."""
    root = tmp_path_factory.mktemp("data") / "plate"
    rng = np.random.default_rng(7)

    def plain() -> np.ndarray:
        ground = 110 + 20 * np.sin(np.arange(48) / 5)[None, :, None] + rng.normal(0, 4, (40, 48, 3))
        return ground.clip(0, 255).astype(np.uint8)

    for index in range(3):
        write_picture(root / f"train/good/{index:03d}.png", plain())
    for defect, count in (("spot", 6), ("cut", 2)):
        for index in range(count):
            picture, mask = plain(), np.zeros((40, 48), bool)
            top, left = int(rng.integers(4, 28)), int(rng.integers(4, 36))
            mask[top : top + 6, left : left + (8 if defect == "spot" else 3)] = True
            picture[mask] = (220, 40, 40)
            write_picture(root / f"test/{defect}/{index:03d}.png", picture)
            write_mask(root / f"ground_truth/{defect}/{index:03d}_mask.png", mask)
    return root


@pytest.fixture(scope="session")
def weights(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class file that holds the tiny base's own U-Net."""
    base = load_base(tiny_base)
    info = ClassWeightsInfo(
        kind="full",
        object="plate",
        defect="spot",
        background_prompt="a photo of a plate",
        defect_prompt="a spot defect on a plate",
        mask_prompt="mask",
        base_name=base.name,
        base_fingerprint=base.fingerprint,
        base_licence="unknown",
        prediction_type="epsilon",
        resolution=32,
        zoom="defect",
        steps=1,
        loss="disentangled",
        seed=0,
        date="2026-11-23T00:00:00+00:00",
        architecture=base.architecture,
    )
    path = tmp_path_factory.mktemp("weights") / "spot.safetensors"
    save_weights(path, base.unet.state_dict(), info)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """``main`` in this process: exit code, stdout, stderr."""
    for name in output._QUIET:
        monkeypatch.setenv(name, os.environ.get(name, "error" if "VERBOSITY" in name else "1"))
    logger, levels = (
        logging.getLogger(),
        {name: logging.getLogger(name).level for name in ("", "trainer", "bgdefect_core")},
    )
    handlers = list(logger.handlers)
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with warnings.catch_warnings():
            try:
                code = cli.main([str(item) for item in arguments])
            except SystemExit as ended:
                code = int(ended.code or 0)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    yield call
    logger.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
