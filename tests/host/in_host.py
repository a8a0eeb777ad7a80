"""Run a script of this folder inside ComfyUI's own Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .server import PACK


def run_in_host(script: str, host: Path, python: Path, base: Path, *arguments: str) -> str:
    """Run it to its end; what it prints to stderr is shown where it fails.

    Args:
        script: file name in this folder; its first import is `child`.
        base: the host's base directory, made where it is missing.

    Returns:
        What it printed to stdout.
    """
    base.mkdir(parents=True, exist_ok=True)
    command = [
        str(python),
        str(Path(__file__).parent / script),
        str(host),
        str(base),
        str(PACK),
        *arguments,
    ]
    done = subprocess.run(
        command,
        cwd=base,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, f"{host.name}\n{done.stderr[-6000:]}"
    return done.stdout
