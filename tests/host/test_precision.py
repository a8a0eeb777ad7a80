"""The quick start in the host's other number formats: nearly the picture that fp32 gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .conftest import HOSTS, Figure
from .graph import change, ids, load, named, saving, to_api
from .server import PACK, Server, pixels, shown

FORMATS = {
    "bf16": (("--bf16-unet", "--bf16-vae", "--bf16-text-enc"), 0.05),
    "fp16": (("--fp16-unet", "--fp16-vae", "--fp16-text-enc"), 0.05),
    "fp8": (("--fp8_e4m3fn-unet", "--fp8_e4m3fn-text-enc"), 0.25),
}
"""The host's arguments, and the largest mean difference as a share of the defect's own strength."""


def painted(folder: Path, python: Path, base: Path, arguments: tuple[str, ...]) -> np.ndarray:
    """What the quick start paints at 10 steps: its first result, int16 [H, W, 3]."""
    with Server(folder, python, base, arguments) as server:
        workflow, known = load(named("1_")), server.get("/object_info")
        prompt = change(saving(to_api(workflow, known)), "BGDefectInversion", steps=10)
        run = server.run(prompt)
        assert run.status == "success", run.error
        [report] = run.outputs[ids(prompt, "PreviewAny")[0]]["text"]
        assert report.count("background psnr 100,") == 2
        return pixels(shown(server, run.outputs[ids(prompt, "SaveImage")[0]])[0]).astype(np.int16)


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "python"), HOSTS, ids=[folder.name for folder, _ in HOSTS])
def test_other_formats_paint_the_same_defect(
    folder: Path, python: Path, tmp_path: Path, figure: Figure
) -> None:
    full = painted(folder, python, tmp_path / "fp32", ())
    good = pixels(sorted((PACK / "bgdefect_core/assets/demo/good").iterdir())[0]).astype(np.int16)
    mask = (full != good).any(axis=2)
    strength = np.abs(full - good)[mask].mean()
    for name, (arguments, share) in FORMATS.items():
        difference = np.abs(painted(folder, python, tmp_path / name, arguments) - full)[mask].mean()
        figure(
            f"{name}: mean difference from fp32 where it painted, "
            f"levels of 255 (the defect itself: {strength:.1f})",
            f"{difference:.2f}",
        )
        assert difference < share * strength
