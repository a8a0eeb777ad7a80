"""The same work on a CUDA device as on the CPU: latents, pictures, training, number formats.
Skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bgdefect_core.declarations import replace_options
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import sample
from bgdefect_core.pictures.mask_reading import read_mask
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.manifest import read_manifest
from trainer.bases.load import load_base
from trainer.generation.config import GenerateConfig
from trainer.generation.generate import generate
from trainer.training.config import TrainConfig
from trainer.training.train import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

ANYTHING = QualityLimits(0, 0, 0, 0, 255, 0, 0, class_share=0, shared=False)


@pytest.fixture
def full_fp32() -> Iterator[None]:
    """No TF32: what is left between the devices is the order of sums."""
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    yield
    torch.backends.cudnn.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])


def variants(device: str, mode: str) -> torch.Tensor:
    base = load_base(None).to(torch.device(device))
    z_0 = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0)).to(device)
    regions = torch.zeros(1, 32, 32, dtype=torch.long, device=device)
    regions[:, 10:20, 8:22] = 1
    prompts = base.prompts(
        "a photo of a metal plate", ["a scratch defect on a metal plate"], "mask"
    )
    levels = base.schedule.levels(10)
    with torch.no_grad(), unet_predictor(base.unet, base.schedule) as predict:
        background = BACKGROUNDS[mode].prepare(predict, z_0, regions, prompts, levels)
        batch = SampleBatch(regions.expand(3, -1, -1), range(3))
        return sample(predict, background.rows([0, 0, 0]), batch, prompts).cpu()


@pytest.mark.parametrize("mode", ["replay", "noised", "masked", "literal"])
def test_latents_are_the_cpus(mode: str, full_fp32: None) -> None:
    on_cpu, on_cuda = variants("cpu", mode), variants("cuda", mode)
    torch.testing.assert_close(on_cuda, on_cpu, atol=2e-3, rtol=1e-3)
    assert (on_cpu[0] - on_cpu[1]).abs().max() > 0.1, (
        "the seeds must differ for the comparison to say anything"
    )


def config(weights: Path, base: Path, plates: Path, output: Path) -> GenerateConfig:
    return replace_options(
        GenerateConfig(weights, plates, output),
        base=str(base),
        count=4,
        variants=2,
        batch=2,
        steps=5,
        limits=ANYTHING,
        device="cuda",
    )


def made(settings: GenerateConfig) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Result, requested mask and the good picture of every sample."""
    generate(settings)
    root = settings.output / "extras" / "plate" / "spot"
    rows = read_manifest(root / "manifest.jsonl")
    pictures = []
    for row in rows:
        result = read_picture(settings.output / row.file)
        pictures.append(
            (
                result,
                read_mask(settings.output / row.requested),
                read_picture(Path(row.source)),
            )
        )
    return pictures


@pytest.mark.parametrize(("precision", "worst"), [("fp32", 3), ("fp16", 6), ("bf16", 24)])
def test_pictures_are_the_cpus(
    weights: Path,
    tiny_base: Path,
    plates: Path,
    tmp_path: Path,
    precision: str,
    worst: int,
    full_fp32: None,
) -> None:
    """The largest difference in a pixel, of 255; the same masks at the same places; the background
    to the byte."""
    settings = config(weights, tiny_base, plates, tmp_path / "cuda")
    on_cuda = made(replace_options(settings, precision=precision))
    on_cpu = made(replace_options(settings, output=tmp_path / "cpu", device="cpu"))
    for (result, mask, good), (other, other_mask, _) in zip(on_cuda, on_cpu, strict=True):
        assert np.array_equal(mask, other_mask)
        assert int(np.abs(result.astype(int) - other).max()) <= worst
        assert np.abs(result.astype(int) - good)[mask].max() > 0, "nothing was painted"


def test_the_same_run_twice_gives_the_same_bytes(
    weights: Path, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    settings = config(weights, tiny_base, plates, tmp_path / "one")
    first, second = made(settings), made(replace_options(settings, output=tmp_path / "two"))
    for (result, _, _), (other, _, _) in zip(first, second, strict=True):
        assert np.array_equal(result, other)


@pytest.mark.parametrize("lora_rank", [0, 2])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_training_learns_what_the_cpu_learns(
    tiny_base: Path, plates: Path, tmp_path: Path, precision: str, lora_rank: int, full_fp32: None
) -> None:
    """The weights after a few steps, against how far the CPU's went from the start."""
    settings = TrainConfig(
        data=plates,
        output=tmp_path / "cpu.safetensors",
        defect="spot",
        base=str(tiny_base),
        shots=4,
        steps=6,
        batch=2,
        views=2,
        lr=1e-3,
        lora_rank=lora_rank,
        weights_precision="fp32",
        device="cpu",
    )
    train(settings)
    train(
        replace_options(
            settings, output=tmp_path / "cuda.safetensors", device="cuda", precision=precision
        )
    )
    on_cpu, on_cuda = (
        load_file(tmp_path / "cpu.safetensors"),
        load_file(tmp_path / "cuda.safetensors"),
    )
    assert on_cpu.keys() == on_cuda.keys()
    apart = torch.cat([(on_cuda[name] - on_cpu[name]).flatten().abs() for name in on_cpu])
    assert torch.isfinite(apart).all()
    # AdamW's steps are about lr whatever the gradient: where a gradient is nearly zero, its sign is
    # a matter of rounding.
    assert apart.median() < (2e-4 if precision == "fp32" else 2e-3)
    assert apart.max() <= 6 * 2 * 1e-3 * 1.1
