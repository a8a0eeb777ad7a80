"""Seeds, batches, stock samplers, refusals, Cancel, and a MODEL that stays as it was, inside the host's own process."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import HOSTS
from .in_host import run_in_host


@pytest.mark.parametrize(("host", "python"), HOSTS, ids=[host.name for host, _ in HOSTS])
def test_the_model_side_keeps_its_promises(host: Path, python: Path, tmp_path: Path) -> None:
    run_in_host("sampling_child.py", host, python, tmp_path)
