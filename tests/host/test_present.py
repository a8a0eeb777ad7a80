import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import HOSTS, MISSING


def test_every_comfyui_is_there() -> None:
    if MISSING:
        left = (
            f"only {', '.join(folder.name for folder, _ in HOSTS)} is tested"
            if HOSTS
            else "the host tests are left out"
        )
        pytest.skip(
            f"no ComfyUI with a Python at {', '.join(map(str, MISSING))} "
            f"(COMFYUI_DIRS, COMFYUI_PYTHONS): {left}"
        )


def test_a_wrong_number_of_pythons_is_told() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--collect-only",
        "-p",
        "no:cacheprovider",
        str(Path(__file__)),
    ]
    environment = dict(os.environ) | {"COMFYUI_DIRS": "a:b:c", "COMFYUI_PYTHONS": "d:e"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert (
        done.returncode != 0
        and "COMFYUI_PYTHONS names 2 Pythons for the 3 folders of COMFYUI_DIRS"
        in done.stdout + done.stderr
    )
