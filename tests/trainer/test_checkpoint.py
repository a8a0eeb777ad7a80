"""A run that is killed goes on and ends with the same bits; a full disk or Ctrl-C leaves the last
good checkpoint."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from bgdefect_core.errors import OutputError, SettingError, WeightsError
from bgdefect_core.method.randomness import generator
from trainer.training import checkpoint, train
from trainer.training.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from trainer.training.train import TrainConfig

from .kill_runs import MOMENTS, settings

WEIGHTS = "plate-spot.safetensors"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The killed runs have one thread: bits compare only between equals."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def runs(plates: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One uninterrupted run, and one killed and resumed for each moment; see kill_runs.py."""
    folder = tmp_path_factory.mktemp("runs")
    script = Path(__file__).with_name("kill_runs.py")
    environment = {**os.environ, "PYTHONPATH": str(script.parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(plates), str(tiny_base), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((folder / "codes.json").read_text())["never"] == [0], done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_resumed_ends_with_the_same_bits(runs: Path, moment: str) -> None:
    killed, had_weights, resumed = json.loads((runs / "codes.json").read_text())[moment]
    assert (killed, had_weights, resumed) == (-signal.SIGKILL, 0, 0)
    one, two = load_file(runs / "never" / WEIGHTS), load_file(runs / moment / WEIGHTS)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    logs = [(runs / name / "plate-spot.run" / "log.csv").read_text() for name in ("never", moment)]
    assert logs[0] == logs[1]  # no line missing, none doubled
    assert len(logs[0].splitlines()) == 1 + 8
    assert len(list((runs / moment / "plate-spot.run" / "checkpoints").glob("step-*"))) == 2


def interrupted(
    config: TrainConfig,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    count: int,
    error: BaseException,
) -> None:
    original, calls = getattr(module, name), 0

    def failing(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            raise error
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, failing)
        train.train(config)


def test_full_disk_and_ctrl_c_leave_the_last_good_checkpoint(
    runs: Path, plates: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = settings(str(plates), str(tiny_base), tmp_path)
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OutputError, match="No space left"):
        interrupted(mine, monkeypatch, checkpoint, "save", 2, full)
    folder = tmp_path / "plate-spot.run" / "checkpoints"
    assert [path.name for path in folder.iterdir()] == ["step-000002.safetensors"]
    with pytest.raises(KeyboardInterrupt):
        interrupted(
            mine, monkeypatch, train, "iteration", 4, KeyboardInterrupt()
        )  # iterations 3, 4, 5, then the key
    assert sorted(path.name for path in folder.iterdir()) == [
        "step-000002.safetensors",
        "step-000004.safetensors",
    ]
    one, two = load_file(runs / "never" / WEIGHTS), load_file(train.train(mine))
    assert all(torch.equal(one[name], two[name]) for name in one)


# --- the file itself
# --------------------------------------------------------------------------------------------------


def trained(steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    module.bias.requires_grad_(False)
    optimizer = torch.optim.AdamW([module.weight], lr=0.1)
    for step in range(steps):
        module(torch.randn(4, 3, generator=generator(1, step))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return module, optimizer


def test_round_trip_keeps_two_and_skips_the_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for steps in (1, 2, 3):
        module, optimizer = trained(steps)
        save_checkpoint(tmp_path, steps, {"net": module}, optimizer, {"note": [1, None]})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000002.safetensors",
        "step-000003.safetensors",
    ]
    newest = latest_checkpoint(tmp_path)
    assert newest is not None and newest.name == "step-000003.safetensors"
    fresh, empty = trained(0)
    assert load_checkpoint(newest, {"net": fresh}, empty) == (3, {"note": [1, None]})
    assert torch.equal(fresh.weight, module.weight)
    ours, theirs = empty.state_dict()["state"][0], optimizer.state_dict()["state"][0]
    assert all(torch.equal(ours[key], theirs[key]) for key in ("step", "exp_avg", "exp_avg_sq"))
    newest.write_bytes(newest.read_bytes()[:100])
    found = latest_checkpoint(tmp_path)
    assert found is not None and found.name == "step-000002.safetensors"
    assert "step-000003.safetensors: is truncated" in caplog.text
    assert "passed over" in caplog.text
    with pytest.raises(WeightsError, match="expected a whole checkpoint"):
        load_checkpoint(newest, {"net": fresh}, empty)


def test_frozen_parameters_are_not_kept(tmp_path: Path) -> None:
    module, optimizer = trained(1)
    with safe_open(
        save_checkpoint(tmp_path, 1, {"net": module}, optimizer), framework="pt"
    ) as file:
        names = set(file.keys())
    assert "net/weight" in names and "net/bias" not in names


def test_random_streams_are_functions_of_seed_and_step() -> None:
    draws = {
        key: tuple(torch.randn(3, generator=generator(*key)).tolist())
        for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    }
    assert len(set(draws.values())) == 4
    assert draws[0, 1, 0] == tuple(torch.randn(3, generator=generator(0, 1)).tolist())


@pytest.mark.parametrize(
    "text",
    ["{", "{}", "[]", '{"step": "x", "extra": {}, "numbers": {}, "groups": []}', "[" * 100_000],
)
def test_a_checkpoint_with_damaged_metadata_is_passed_over(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = nn.Linear(2, 2)
    whole = save_checkpoint(tmp_path, 1, {"model": model}, torch.optim.AdamW(model.parameters()))
    save_file(
        {"x": torch.zeros(1)},
        tmp_path / "step-000002.safetensors",
        metadata={"bgdefect_checkpoint": text},
    )
    assert latest_checkpoint(tmp_path) == whole
    assert "step-000002.safetensors: its metadata" in caplog.text and "passed over" in caplog.text


def stopped(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was stopped before its weights; its folder."""

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "finish", stop)
        train.train(config)
    return config.output / "plate-spot.run"


def test_a_run_with_a_damaged_log_goes_on(
    plates: Path,
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = replace(settings(str(plates), str(tiny_base), tmp_path / "out"), steps=3, early_stop=0)
    log = stopped(config, monkeypatch) / "log.csv"
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b"\n2,", b"\n\xff\xfe2\x00,") + b"4")
    train.train(config)
    lines = whole.decode().splitlines(keepends=True)
    assert log.read_text() == "".join(line for line in lines if not line.startswith("2,"))
    assert "log.csv: 1 damaged lines are dropped" in caplog.text


@pytest.mark.parametrize(
    "text", ['{"started": "x", "settings": 3}', '{"started": 3}', "[]", "3", "{"]
)
def test_a_damaged_record_of_a_run_is_named(
    plates: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    config = replace(settings(str(plates), str(tiny_base), tmp_path / "out"), steps=1)
    folder = config.output / "plate-spot.run"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(text)
    with pytest.raises(OutputError, match="run.json (is damaged|cannot be read)"):
        train.train(config)


def test_a_checkpoint_of_something_else_is_named(
    plates: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(settings(str(plates), str(tiny_base), tmp_path / "out"), steps=1)
    place = stopped(config, monkeypatch) / "checkpoints" / "step-000001.safetensors"
    meta = {"step": 1, "extra": {}, "numbers": {}, "groups": []}
    save_file(load_file(place), place, metadata={"bgdefect_checkpoint": json.dumps(meta)})
    with pytest.raises(
        WeightsError, match="step-000001.safetensors does not fit the run .*; delete it"
    ):
        train.train(config)


def test_an_error_in_training_leaves_no_open_bar(
    plates: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = []

    class Noted(train.tqdm):  # type: ignore[misc]
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            bars.append(self)

    def broken(*arguments: Any) -> None:
        raise SettingError("the loss is nan")

    monkeypatch.setattr(train, "tqdm", Noted)
    monkeypatch.setattr(train, "iteration", broken)
    with pytest.raises(SettingError, match="nan"):
        train.train(replace(settings(str(plates), str(tiny_base), tmp_path / "out"), steps=1))
    assert len(bars) == 2  # training, and the validation before it
    assert not any(bar in Noted._instances for bar in bars)
