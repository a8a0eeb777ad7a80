"""The model side inside the host's own process: seeds, batches, samplers, refusals, Cancel, little
memory, a MODEL that stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import HOSTS, Figure
from .in_host import run_in_host

on_every_host = pytest.mark.parametrize(
    ("host", "python"), HOSTS, ids=[host.name for host, _ in HOSTS]
)


@on_every_host
def test_the_model_side_keeps_its_promises(host: Path, python: Path, tmp_path: Path) -> None:
    run_in_host("sampling_child.py", host, python, tmp_path)


@on_every_host
def test_a_model_loaded_in_part_paints_the_same(
    host: Path, python: Path, tmp_path: Path, figure: Figure
) -> None:
    for line in run_in_host("low_memory_child.py", host, python, tmp_path).splitlines():
        if "largest difference" in line:
            figure(host.name, line)


@pytest.mark.slow
@on_every_host
def test_every_stock_sampler_and_scheduler_paints(
    host: Path, python: Path, tmp_path: Path, figure: Figure
) -> None:
    figure(host.name, run_in_host("samplers_child.py", host, python, tmp_path).splitlines()[-1])
