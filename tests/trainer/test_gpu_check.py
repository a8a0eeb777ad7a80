"""``bench gpu``: every kind of measurement on small networks on the CPU, resume, the page, and the
skip without a GPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bgdefect_core.errors import DataError, SettingError
from trainer.lab import gpu_check as check
from trainer.lab import gpu_work
from trainer.lab.gpu_check import NAMES, PARTS, GpuCheckConfig, gpu_check, table
from trainer.lab.gpu_work import GpuResult, GpuTask, measure

CPU = torch.device("cpu")


def test_every_kind_of_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks of the same form; fp32 on the CPU agrees with itself to the bit."""
    monkeypatch.setattr(gpu_work, "_TURNS", 1)
    monkeypatch.setattr(gpu_work, "_WARM_UP", 0)
    plain = GpuTask("train", "sdxl", 64, "bf16", batch=2, lora_rank=2, tiny=True)
    for task in (plain, replace(plain, lora_rank=0, checkpointing=True)):
        assert measure(task, CPU).seconds
    for kind in ("paint", "code"):
        assert measure(replace(plain, kind=kind, precision="fp32"), CPU).seconds
    agree = replace(plain, kind="agree", lora_rank=0)
    for family in ("sd1", "sdxl"):
        exact = replace(agree, family=family, precision="fp32")
        assert measure(exact, CPU).difference == 0
    rounded = measure(agree, CPU).difference
    assert rounded is not None and 0 < rounded < 0.5


@pytest.mark.slow
def test_a_compiled_network_paints() -> None:
    task = GpuTask("paint", "sd1", 128, "fp32", compiled=True, tiny=True)
    assert measure(task, CPU).seconds


@pytest.mark.parametrize(
    ("error", "note"),
    [(torch.OutOfMemoryError(), "out of memory"), (RuntimeError(), "not compiled (RuntimeError)")],
)
def test_a_device_or_a_compiler_that_fails_is_a_result(
    monkeypatch: pytest.MonkeyPatch, error: RuntimeError, note: str
) -> None:
    def fails(task: GpuTask, device: torch.device) -> GpuResult:
        raise error

    monkeypatch.setattr(gpu_work, "KINDS", {"paint": fails})
    task = GpuTask("paint", "sd1", 64, "fp32", compiled=True, tiny=True)
    assert measure(task, CPU).note == note
    if not isinstance(error, torch.OutOfMemoryError):
        with pytest.raises(RuntimeError):
            measure(replace(task, compiled=False), CPU)


def test_a_run_resumes_and_its_time_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call stops after two measurements; the second repeats neither."""
    done: list[str] = []

    def counted(task: GpuTask, device: torch.device) -> GpuResult:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(task.name)
        return GpuResult(seconds=1.0)

    monkeypatch.setattr(check, "measure", counted)
    config = GpuCheckConfig(tmp_path, parts=("paint-sd1",), device="cpu", tiny=True)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        gpu_check(config, said.append)
    first = list(done)
    done.append("a third, so that the next call goes on")
    path = tmp_path / "results.json"
    assert gpu_check(config, said.append) == str(path)
    assert done[:2] == first and len(done) == len(set(done))
    assert sorted(json.loads(path.read_text())["rows"]) == sorted([*first, *done[3:]])
    assert len(done[3:]) > 2
    clock = iter(range(0, 100_000, 1_000))  # seconds: every look at the clock is after the deadline
    monkeypatch.setattr(check.time, "monotonic", lambda: next(clock))
    late = replace(config, output=tmp_path / "late")
    assert f"{len(first) + len(done[3:])} measurements are left" in gpu_check(late, said.append)
    path.write_text("[")
    with pytest.raises(DataError, match="delete it"):
        gpu_check(config, said.append)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_every_part_is_skipped_by_name(tmp_path: Path) -> None:
    said: list[str] = []
    assert gpu_check(GpuCheckConfig(tmp_path / "out"), said.append) == "nothing was measured"
    assert said == [f"{name}: skipped, no CUDA device" for name in NAMES]
    assert not (tmp_path / "out").exists()


def test_the_page_gets_what_was_measured(tmp_path: Path) -> None:
    tasks = PARTS["train-sdxl"]
    rows = {
        tasks[0].name: {"seconds": 0.25, "peak": 17.5, "difference": None, "note": ""},
        tasks[1].name: {"seconds": None, "peak": None, "difference": None, "note": "out of memory"},
        "tests": {"note": "17 passed"},
    }
    page = tmp_path / "gpu.md"
    page.write_text("before\n<!-- gpu-check -->\nold\n<!-- end of gpu-check -->\nafter\n")
    check._write_page(page, table("a GPU", rows))
    text = page.read_text()
    assert text.startswith("before\n<!-- gpu-check -->\na GPU.\n") and text.endswith("after\n")
    assert "| train, LoRA 8 | sdxl | 512 | fp32 | 1 | 0.25 | 17.5 |  |" in text
    assert "| bf16 | 1 | out of memory |" in text and "17 passed" in text and "old" not in text
    page.write_text("no markers")
    with pytest.raises(DataError, match="no markers"):
        check._write_page(page, [])


def test_settings_that_exclude_each_other() -> None:
    for config, message in (
        (GpuCheckConfig(parts=("x",)), "the part 'x'"),
        (GpuCheckConfig(device="cpu"), "add --tiny"),
        (GpuCheckConfig(tiny=True, page=Path("gpu.md")), "leave page out"),
    ):
        with pytest.raises(SettingError, match=message):
            gpu_check(config, print)


def test_all_tasks_have_names_of_their_own() -> None:
    names = [task.name for tasks in PARTS.values() for task in tasks]
    assert len(names) == len(set(names))
