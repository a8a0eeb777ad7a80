"""What precision "auto" comes to, and that a run keeps to the one in which it began."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import OtherRunError
from bgdefect_core.records.manifest import read_manifest
from bgdefect_core.records.run_record import read_record
from trainer.bases import precision
from trainer.bases.load import Base, load_base
from trainer.bases.precision import choose_precision, has_bf16
from trainer.generation.config import GenerateConfig
from trainer.generation.generate import generate
from trainer.training.config import TrainConfig
from trainer.training.train import train

CPU = torch.device("cpu")


def capabilities(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the processor have these instructions and no others."""
    present = dict.fromkeys(names, True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: present, raising=False)


def measured(monkeypatch: pytest.MonkeyPatch, base: Base, difference: float) -> None:
    monkeypatch.setattr(precision, "GRAY_LEVELS", {base.fingerprint: difference})


@pytest.fixture
def base(tiny_base: Path) -> Base:
    return load_base(tiny_base)


def test_the_embedded_base_was_measured() -> None:
    """A base that is trained anew has another fingerprint, and needs its own figure."""
    difference = precision.GRAY_LEVELS[load_base().fingerprint]
    assert 0 < difference <= precision.MOST_GRAY_LEVELS


@pytest.mark.parametrize(
    ("instructions", "difference", "expected"),
    [
        (("avx512_bf16",), 2.0, "bf16"),
        (("amx_bf16",), 0.5, "bf16"),
        (("avx512_bf16",), 2.1, "fp32"),
        (("avx512_f", "avx2"), 0.5, "fp32"),
        ((), 0.5, "fp32"),
    ],
)
def test_auto_needs_instructions_and_a_small_difference(
    monkeypatch: pytest.MonkeyPatch,
    base: Base,
    instructions: tuple[str, ...],
    difference: float,
    expected: str,
) -> None:
    capabilities(monkeypatch, *instructions)
    measured(monkeypatch, base, difference)
    assert choose_precision("auto", base, CPU) == expected


def test_a_base_that_was_not_measured_is_painted_in_fp32(
    monkeypatch: pytest.MonkeyPatch, base: Base, caplog: pytest.LogCaptureFixture
) -> None:
    capabilities(monkeypatch, "amx_bf16")
    with caplog.at_level("INFO"):
        assert choose_precision("auto", base, CPU) == "fp32"
    assert "not measured" in caplog.text


def test_what_is_set_is_taken_with_a_warning_where_it_is_slow(
    monkeypatch: pytest.MonkeyPatch, base: Base, caplog: pytest.LogCaptureFixture
) -> None:
    capabilities(monkeypatch)
    assert choose_precision("bf16", base, CPU) == "bf16"
    assert "imitated" in caplog.text
    assert choose_precision("fp32", base, CPU) == "fp32"
    assert not has_bf16(torch.device("mps"))


def test_bf16_reaches_unet_and_vae_and_leaves_the_text_encoder(base: Base) -> None:
    base.to_precision("bf16")
    types = {name: next(network.parameters()).dtype for name, network in base.networks.items()}
    assert types["unet"] == types["vae"] == torch.bfloat16
    assert types["text encoder"] == torch.float32
    latents = base.encode(torch.zeros(1, 3, 32, 32))
    assert latents.dtype == torch.float32 == base.decode(latents).dtype
    base.to_precision("fp16")
    assert next(base.vae.parameters()).dtype == torch.float32


@pytest.fixture
def painting(weights: Path, tiny_base: Path, plates: Path, tmp_path: Path) -> GenerateConfig:
    config = GenerateConfig(weights, plates, tmp_path / "out", base=str(tiny_base))
    return replace_options(config, count=1, batch=1, steps=2, retries=0)


def test_a_run_records_what_auto_came_to_and_is_refused_in_another(
    monkeypatch: pytest.MonkeyPatch, painting: GenerateConfig
) -> None:
    capabilities(monkeypatch)
    generate(painting)
    lines = read_manifest(painting.output / "extras" / "plate" / "spot" / "manifest.jsonl")
    assert lines[0].settings["precision"] == "fp32"
    generate(replace_options(painting, precision="fp32", count=2))  # the same by its name
    with pytest.raises(OtherRunError, match="precision was fp32, now bf16"):
        generate(replace_options(painting, precision="bf16"))
    capabilities(monkeypatch, "amx_bf16")
    measured(monkeypatch, load_base(painting.base), 0.1)
    with pytest.raises(OtherRunError, match="precision was fp32, now bf16"):
        generate(painting)


def test_training_too(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    capabilities(monkeypatch)
    options: dict[str, Any] = {"steps": 1, "views": 1, "batch": 1, "shots": 1}
    config = TrainConfig(
        plates, tmp_path / "class.safetensors", "plate", "spot", str(tiny_base), **options
    )
    train(config)
    record = read_record(tmp_path / "class.run" / "run.json")
    assert record["settings"]["precision"] == "fp32"
    with pytest.raises(OtherRunError, match="precision was fp32, now bf16"):
        train(dataclasses.replace(config, precision="bf16"))
