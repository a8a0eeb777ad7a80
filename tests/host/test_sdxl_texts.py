"""Region prompts by SDXL's two text encoders are what the host's own encoder node gives, the pooled
text with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import HOSTS
from .in_host import run_in_host


@pytest.mark.slow
@pytest.mark.parametrize(("host", "python"), HOSTS, ids=[host.name for host, _ in HOSTS])
def test_region_prompts_of_sdxl(host: Path, python: Path, tmp_path: Path) -> None:
    run_in_host("sdxl_child.py", host, python, tmp_path)
