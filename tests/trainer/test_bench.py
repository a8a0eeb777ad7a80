"""The benches of whole runs and of precision, on the tiny base."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bgdefect_core.errors import SettingError
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from trainer.bases.load import load_base
from trainer.cli.app import main
from trainer.lab import bench_generate, bench_precision
from trainer.lab.bench_generate import BenchGenerateConfig
from trainer.lab.bench_precision import Scenes, imitated_bf16, mean_difference


def scenes(count: int, size: int = 32) -> Scenes:
    """Gray noise with a square mask."""
    rng = np.random.default_rng(3)
    pictures: list[Pixels] = []
    masks: list[Mask] = []
    for _ in range(count):
        pictures.append(rng.integers(80, 120, (size, size, 3), dtype=np.uint8))
        mask = np.zeros((size, size), np.bool_)
        mask[12:20, 10:20] = True
        masks.append(mask)
    return Scenes(pictures, masks)


def test_products_are_imitated_to_the_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 8, 8, generator=generator).bfloat16()
    weight = torch.randn(4, 3, 3, 3, generator=generator).bfloat16()
    with torch.no_grad(), imitated_bf16():
        imitated = F.conv2d(x, weight)
        product = x[0, 0] @ x[0, 1]
    assert torch.equal(imitated, F.conv2d(x.float(), weight.float()).bfloat16())
    assert torch.equal(product, (x[0, 0].float() @ x[0, 1].float()).bfloat16())
    assert (F.conv2d(x.float(), weight.float()) != imitated.float()).any()


def test_the_difference_is_that_of_the_precision_alone(tiny_base: Path) -> None:
    exact, same = load_base(tiny_base), load_base(tiny_base)
    rounded = load_base(tiny_base).to_precision("bf16")
    with torch.no_grad():
        assert mean_difference(exact, same, scenes(2), imitated=False) == 0
        assert 0 < mean_difference(exact, rounded, scenes(2), imitated=True) < 50


def test_whole_runs_side_by_side(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs are the command's own; here in this process, which saves two starts."""
    lines: list[list[str]] = []

    def in_process(words: list[str], **options: Any) -> Any:
        assert words[1:3] == ["-m", "trainer"]
        lines.append(words[3:])
        return SimpleNamespace(returncode=main(words[3:]), stderr="")

    monkeypatch.setattr(subprocess, "run", in_process)
    monkeypatch.setattr(bench_generate, "_processor_seconds", time.process_time)
    monkeypatch.setattr(bench_generate, "draw_scenes", lambda count, size: scenes(count, size))
    config = BenchGenerateConfig(samples=2, repeats=1, base=str(tiny_base), device="cpu")
    shown = bench_generate.bench_generate(config).splitlines()
    assert [line.split("  ")[0] for line in shown[2:]] == ["first release", "defaults"]
    assert shown[2].split()[3:5] == ["1.00", "1.00"]  # over itself
    assert "50" in lines[0] and "50" not in lines[1]
    assert all("--count" in line for line in lines)


def test_weights_need_their_data(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="one of weights and data"):
        bench_generate.bench_generate(BenchGenerateConfig(weights=tmp_path / "w.safetensors"))
    with pytest.raises(SettingError, match="samples is 0"):
        bench_precision.bench_precision(bench_precision.BenchPrecisionConfig(samples=0))
