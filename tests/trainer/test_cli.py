"""The command line: the whole way on a tiny base, exit codes, and every bad input by its own
message."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from bgdefect_core.method.loss import disentanglement_loss
from bgdefect_core.pictures.writing import write_mask, write_picture
from bgdefect_core.records.manifest import read_manifest
from bgdefect_core.weights.files import read_info
from trainer.bases import versions
from trainer.cli import inspect_file
from trainer.cli.commands import COMMANDS
from trainer.cli.inspect_file import licence_note
from trainer.cli.output import plain
from trainer.lab import bench_train
from trainer.training.tuning import make_optimizer

from .conftest import Run, files_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tiny_base: Path, plates: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class file trained for two iterations through ``python -m trainer``."""
    path = tmp_path_factory.mktemp("trained") / "spot.safetensors"
    options = [
        "--data",
        plates,
        "--output",
        path,
        "--object",
        "plate",
        "--defect",
        "spot",
        "--base",
        tiny_base,
    ]
    command("train", *options, "--steps", 2, "--views", 1, "--batch", 2, "--device", "cpu")
    return path


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """``python -m trainer ...`` in its own process, which must succeed."""
    line = [sys.executable, "-m", "trainer", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_train_generate_inspect(
    trained: Path, tiny_base: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    options = [
        "--weights",
        trained,
        "--good",
        plates,
        "--output",
        out,
        "--base",
        tiny_base,
        "--count",
        2,
        "--batch",
        2,
    ]
    easy = [
        "--min-strength",
        0,
        "--min-contrast",
        0,
        "--min-background-psnr",
        0,
        "--min-latent-background-psnr",
        0,
        "--class-share",
        0,
        "--no-shared",
    ]
    done = command(
        "generate",
        *options,
        *easy,
        "--steps",
        2,
        "--retries",
        0,
        "--max-background-max",
        255,
        "--min-fill",
        0,
    )
    records = read_manifest(out / "extras" / "plate" / "spot" / "manifest.jsonl")
    assert len(records) == 2 and "2 of 2 samples are good" in done.stdout
    assert not any(word in done.stderr for word in ("Warning", "Traceback", "Loading"))
    page = Path(
        next(line for line in done.stdout.splitlines() if line.startswith("page:")).split()[1]
    )
    assert page.is_file() and page.with_name("sheet.png").is_file()
    code, shown, _ = run("inspect", trained)
    info = read_info(trained)
    assert (
        code == 0
        and info.base_fingerprint in shown
        and "a spot defect on a plate" in shown
        and "licence" in shown
    )
    assert (
        info.validation_after is not None
        and f"validation after     {info.validation_after}" in shown
    )


def test_the_whole_way_on_the_embedded_base(plates: Path, tmp_path: Path, run: Run) -> None:
    weights, out = tmp_path / "spot.safetensors", tmp_path / "out"
    options = [
        "--data",
        plates,
        "--defect",
        "spot",
        "--output",
        weights,
        "--shots",
        2,
        "--views",
        1,
    ]
    code, shown, error = run(
        "train", *options, "--steps", 2, "--batch", 1, "--lora-rank", 2, "--device", "cpu"
    )
    assert code == 0 and f"weights: {weights}" in shown, error
    options = [
        "--weights",
        weights,
        "--good",
        plates,
        "--output",
        out,
        "--count",
        1,
        "--batch",
        1,
        "--retries",
        0,
        "--device",
        "cpu",
    ]
    code, shown, error = run(
        "generate",
        *options,
        "--steps",
        2,
        "--min-strength",
        0,
        "--min-contrast",
        0,
        "--min-real-share",
        0,
    )
    (record,) = read_manifest(out / "extras" / "plate" / "spot" / "manifest.jsonl")
    assert code == (not record.accepted) and "of 1 samples are good" in shown, error
    assert record.settings["base"] == "bgdefect-mini" and (out / record.file).is_file()
    code, shown, _ = run("inspect", weights)
    assert (
        code == 0 and "bgdefect-mini" in shown and "Apache-2.0: pass this file on freely" in shown
    )


def test_masks_that_fit_nowhere_are_listed(
    trained: Path, tiny_base: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    """Nothing could be made: exit code 1, and the masks by name; no page of nothing."""
    huge = np.zeros((300, 300), bool)
    huge[10:290, 10:290] = True
    write_mask(tmp_path / "masks" / "huge.png", huge)
    options = [
        "--weights",
        trained,
        "--good",
        plates,
        "--output",
        tmp_path / "out",
        "--base",
        tiny_base,
        "--count",
        2,
    ]
    code, shown, error = run(
        "generate", *options, "--mask-library", tmp_path / "masks", "--scale", 1, 1, "--tries", 1
    )
    assert code == 1 and "error" not in error
    assert (
        "2 samples have no mask" in shown
        and "masks that could not be placed:" in shown
        and "huge.png" in shown
    )
    assert "page:" not in shown and "manifest" not in shown


def test_overview_and_help(run: Run) -> None:
    code, shown, _ = run("--help")
    assert code == 0 and all(name in shown for name in COMMANDS)
    code, shown, _ = run("bench", "--help")
    assert code == 0 and "bench train" in shown and "pretrain" not in shown
    assert run()[0] == 2 and run("bench")[0] == 2
    code, shown, _ = run("generate", "--help")
    assert code == 0 and all(
        option in shown for option in ("--mask-library", "--rotate", "--min-strength", "--dry-run")
    )
    assert run("inspect", "--help")[0] == 0


def test_wrong_options_exit_2(run: Run) -> None:
    code, _, error = run("paint")
    assert code == 2 and "no command 'paint'" in error
    assert run("generate", "--weights", "a", "--good", "b")[0] == 2
    assert (
        run("generate", "--weights", "a", "--good", "b", "--output", "c", "--count", "many")[0] == 2
    )
    code, _, error = run(
        "generate", "--weights", "a", "--good", "b", "--output", "c", "--min-strength", 5
    )
    assert code == 2 and "min_strength is 5; expected 0 to 1" in error and "Traceback" not in error


@pytest.mark.parametrize(
    "torch, diffusers, transformers, match",
    [
        (
            "2.5.1",
            "0.41.0",
            "5.7.0",
            "diffusers 0.41.0 beside torch 2.5.1; expected diffusers before 0.41, or torch 2.6 or "
            "later",
        ),
        ("2.4.1+cu121", "0.37.0", "4.57.6", "pip install 'diffusers<0.37'"),
        ("2.4.1", "0.36.0", "5.8.0", "transformers 5.8.0 beside torch 2.4.1"),
        ("2.4.1", "0.36.0", "5.7.2", ""),
        ("2.5.1", "0.40.0", "5.20.2", ""),
        ("2.6.0", "0.42.1", "5.23.0", ""),
        ("2.13.0", "1.0.0.dev0", "6.0.0rc1", ""),
    ],
)
def test_releases_that_fail_together_are_named(
    torch: str,
    diffusers: str,
    transformers: str,
    match: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = {"torch": torch, "diffusers": diffusers, "transformers": transformers}
    monkeypatch.setattr(versions, "version", installed.__getitem__)
    code, _, error = run("train", "--data", "nowhere", "--output", "nowhere.safetensors")
    assert code == 2 and (match or "nowhere") in error and ("beside" in error) == bool(match)


def test_a_package_that_is_not_installed_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(versions, "version", lacking)
    code, _, error = run("generate", "--help")
    assert (
        code == 2
        and "torch is not installed; expected the extra 'train'; pip install 'bgdefect[train]'"
        in error
    )


def test_stopping_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(settings: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect_file, "inspect", stop)
    code, _, error = run("inspect", "x")
    assert code == 130 and "the same command resumes it" in error


def test_loading_bars_of_the_libraries_are_off_in_the_command_alone(
    run: Run, tmp_path: Path
) -> None:
    libraries = (diffusers_logging, transformers_logging)
    for library in libraries:
        library.enable_progress_bar()
    try:
        assert run("inspect", tmp_path / "none")[0] == 2
        assert all(library.is_progress_bar_enabled() for library in libraries)
        assert (
            run(
                "generate",
                "--weights",
                tmp_path / "none",
                "--good",
                tmp_path,
                "--output",
                tmp_path / "out",
            )[0]
            == 2
        )
        assert not any(library.is_progress_bar_enabled() for library in libraries)
    finally:
        for library in libraries:
            library.enable_progress_bar()


def test_bench_trains_with_the_optimizer_of_the_training(
    run: Run, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[torch.optim.Optimizer] = []

    def noted(*arguments: Any) -> torch.optim.Optimizer:
        made.append(make_optimizer(*arguments))
        return made[-1]

    weights = []

    def weighed(*arguments: Any) -> torch.Tensor:
        weights.append(arguments[3].mask)
        return disentanglement_loss(*arguments)

    monkeypatch.setattr(bench_train, "make_optimizer", noted)
    monkeypatch.setattr(bench_train, "disentanglement_loss", weighed)
    code, shown, _ = run(
        "bench", "train", "--base", tiny_base, "--repeats", 1, "--batch", 1, "--device", "cpu"
    )
    assert code == 0 and len(made) == 1 and made[0].defaults["fused"]
    assert [line.split()[0] for line in shown.splitlines()[-4:]] == ["bare", "loss", "whole", "the"]
    assert set(weights) == {4.0}  # a small base's default


def test_bench_samples_to_the_end(run: Run, tiny_base: Path) -> None:
    options = [
        "--base",
        tiny_base,
        "--repeats",
        1,
        "--variants",
        2,
        "--steps",
        2,
        "--device",
        "cpu",
    ]
    code, shown, error = run("bench", "sampling", *options)
    assert code == 0, error
    assert [line.split()[0] for line in shown.splitlines()] == [
        "generation,",
        "time",
        "bare,",
        "replay:",
        "noised:",
        "literal,",
    ] + [
        "replay",
        "noised",
        "VAE",
    ]


@pytest.mark.parametrize(
    "line, said",
    [
        ("bench train --resolution -8", "resolution is -8"),
        ("bench train --resolution 33", "resolution is 33; expected a multiple of 2"),
        ("bench train --lora-rank -8", "lora_rank is -8"),
        ("bench sampling --resolution 0", "resolution is 0"),
        ("bench sampling --resolution 7", "resolution is 7"),
        ("evaluate-base --pictures 0", "pictures is 0"),
        ("evaluate-base --pictures -2", "pictures is -2"),
        ("evaluate-base --crop 0", "crop is 0"),
        ("evaluate-base --crop 33", "crop is 33; expected a multiple of 2"),
        (
            "evaluate-base --pictures 1 --crop 64",
            "000.png is 48 x 40 pixels; expected at least the crop, 64",
        ),
    ],
)
def test_numbers_out_of_range(
    line: str, said: str, tiny_base: Path, plates: Path, run: Run
) -> None:
    words = line.split()
    more = ["--data", plates] if words[0] == "evaluate-base" else []
    code, shown, error = run(*words, *more, "--base", tiny_base)
    assert code == 2 and said in error and not shown and "Traceback" not in error


@pytest.mark.parametrize("encoding", ["cp1252:strict", "ascii:strict", "utf-8:strict"])
def test_no_encoding_stops_the_output(encoding: str, tmp_path: Path) -> None:
    """Letters that a console lacks are spelled out; undecodable bytes are replaced."""
    missing = os.fsencode(tmp_path) + "/한국".encode() + b"\xe9\x1b[2J"
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "inspect", missing],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2 and b"no such file" in done.stderr
    assert b"Traceback" not in done.stderr and b"\x1b" not in done.stderr
    letters = "한국" if encoding.startswith("utf-8") else "\\ud55c\\uad6d"
    assert letters.encode() in done.stderr


def test_output_spells_out_what_a_terminal_obeys() -> None:
    assert plain("a\x1b[2J\u202eb\udcffc\nd") == "a\\x1b[2J\\u202eb\ufffdc\nd"


def test_licences() -> None:
    assert "derivative" in licence_note("CreativeML OpenRAIL-M", "full")
    assert "LoRA" in licence_note("CreativeML OpenRAIL-M", "lora")
    assert "freely" in licence_note("Apache-2.0", "full")
    assert "Find out" in licence_note("unknown", "lora")
    for other in (
        "unknown (Not derived from Apache software.)",
        "unknown (house-RAIL)",
        "permitted",
    ):
        assert "Find out" in licence_note(other, "full")


def test_inspect_names_what_is_no_file(run: Run, tmp_path: Path) -> None:
    code, _, error = run("inspect", tmp_path)
    assert code == 2 and f"{tmp_path}: a folder; expected a class weights file" in error
    code, _, error = run("inspect", tmp_path / "none")
    assert code == 2 and "no such file" in error
    if Path("/dev/null").is_char_device():
        code, _, error = run("inspect", "/dev/null")
        assert code == 2 and "/dev/null: no plain file" in error


def rewritten(weights: Path, path: Path, **changes: Any) -> Path:
    """The weights with other metadata."""
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
    record = json.loads(metadata["bgdefect"]) | changes
    save_file(load_file(weights), path, metadata=metadata | {"bgdefect": json.dumps(record)})
    return path


def test_inspect_spells_out_what_a_terminal_would_obey(
    trained: Path, tmp_path: Path, run: Run
) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2Jred\rkind full\n\u202egnirts\x9b31m"
    names = {
        "object": hostile,
        "base_name": "Schraube ä 螺丝",
        "base_licence": hostile,
        "libraries": {hostile: hostile},
    }
    code, shown, _ = run("inspect", rewritten(trained, tmp_path / "x.safetensors", **names))
    assert (
        code == 0
        and "Schraube ä 螺丝" in shown
        and "\\x1b]0;owned\\x07" in shown
        and "\\u202e" in shown
    )
    assert all(letter == "\n" or letter.isprintable() for letter in shown)
    assert "\nkind full" not in shown


def test_a_resolution_that_the_base_cannot_paint_is_refused(
    trained: Path, tiny_base: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    path = rewritten(trained, tmp_path / "x.safetensors", resolution=33)
    code, _, error = run(
        "generate",
        "--weights",
        path,
        "--good",
        plates,
        "--output",
        tmp_path / "out",
        "--base",
        tiny_base,
    )
    assert (
        code == 2
        and "trained at 33 pixels; expected a multiple of 2" in error
        and not (tmp_path / "out").exists()
    )


# --- bad weights
# ----


def damaged(trained: Path, folder: Path, case: str) -> tuple[Path, str]:
    path = folder / "bad.safetensors"
    data = trained.read_bytes()
    if case == "missing":
        return path, "no such file"
    if case == "truncated":
        path.write_bytes(data[: len(data) // 2])
        return path, "truncated"
    if case == "pickle":
        path.write_bytes(b"\x80\x02}q\x00.")
        return path, "pickle"
    if case == "no safetensors":
        path.write_bytes(b"hello, world, this is text")
        return path, "not a safetensors file"
    tensors = load_file(trained)
    record = json.loads(
        json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]["bgdefect"]
    )
    if case == "NaN":
        tensors["conv_in.bias"] = torch.full_like(tensors["conv_in.bias"], torch.nan)
        message = "NaN or infinity"
    elif case == "architecture":
        record["architecture"]["block_out_channels"] = [64, 128]
        message = "block_out_channels"
    elif case == "another base":
        record["base_fingerprint"] = "f" * 64
        message = "--allow-other-base"
    elif case == "prediction type":
        record["prediction_type"] = "v_prediction"
        message = "predicts"
    elif case == "wrong lora":
        tensors = {
            f"lora_unet_x_to_q.{end}": torch.zeros(shape)
            for end, shape in (
                ("lora_down.weight", (2, 4)),
                ("lora_up.weight", (4, 2)),
                ("alpha", ()),
            )
        }
        record |= {"kind": "lora", "lora_rank": 2, "lora_alpha": 2.0}
        message = "lora"
    else:
        raise KeyError(case)
    metadata = {"format": "pt", "bgdefect": json.dumps(record), "tensors": str(len(tensors))}
    save_file(tensors, path, metadata=metadata)
    return path, message


@pytest.mark.parametrize(
    "case",
    [
        "missing",
        "truncated",
        "pickle",
        "no safetensors",
        "NaN",
        "architecture",
        "another base",
        "prediction type",
        "wrong lora",
    ],
)
def test_bad_weights(
    case: str, trained: Path, tiny_base: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    path, message = damaged(trained, tmp_path, case)
    out = tmp_path / "out"
    code, _, error = run(
        "generate", "--weights", path, "--good", plates, "--output", out, "--base", tiny_base
    )
    assert code == 2 and "bgdefect: error:" in error and message in error and not out.exists()
    if case in ("missing", "truncated", "pickle", "no safetensors"):
        code, _, error = run("inspect", path)
        assert code == 2 and message in error


# --- bad training data
# ----


def spoil(plate: Path, case: str) -> tuple[list[object], str]:
    """Break a copy of the plates; returns further options and what the message must say."""
    picture, mask = plate / "test/spot/001.png", plate / "ground_truth/spot/001_mask.png"
    array = np.zeros((40, 48), bool)
    array[3:9, 3:9] = True
    if case == "empty folder":
        shutil.rmtree(plate)
        plate.mkdir()
        return [], "is an empty folder"
    if case == "picture without mask":
        mask.unlink()
        return [], "001.png has no mask"
    if case == "mask without picture":
        picture.unlink()
        return [], "001_mask.png has no picture"
    if case == "mask of another size":
        write_mask(mask, array[:20])
        return [], "48 x 20"
    if case == "empty mask":
        write_mask(mask, np.zeros((40, 48), bool))
        return [], "is empty"
    if case == "full mask":
        write_mask(mask, np.ones((40, 48), bool))
        return [], "is full"
    if case == "no mask at all":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 48), np.uint8)).save(mask)
        return [], "is no mask"
    if case == "corrupt picture":
        picture.write_bytes(picture.read_bytes()[:60])
        return [], "001.png cannot be read"
    if case == "one pixel":
        write_picture(picture, np.zeros((1, 1, 3), np.uint8))
        return [], "1 x 1"
    if case == "output is a folder of a file":
        (plate.parent / "file").write_text("mine")
        return ["--output", plate.parent / "file" / "x.safetensors"], "file"
    if case == "output is a file":
        (plate.parent / "file").write_text("mine")
        return ["--output", plate.parent / "file"], "file is a file"
    if case == "output that nobody can write to":
        return [
            "--output",
            Path("/proc/nowhere/x.safetensors"),
        ], "/proc/nowhere/x.run cannot be written to"
    if case == "corrupt good picture for the sheet":
        (plate / "train/good/000.png").write_bytes(b"no picture")
        return ["--sample-every", 1], "000.png cannot be read"
    return {
        "unknown class": (["--defect", "rust"], "'rust'"),
        "early stop with nothing held out": (
            ["--shots", 6, "--early-stop", 1, "--validate-every", 1],
            "nothing held out",
        ),
        "zero shots": (["--shots", 0], "shots is 0"),
        "too many shots": (["--shots", 99], "99 shots"),
        "out of range": (["--steps", -5], "steps is -5"),
        "base that is nowhere": (["--base", plate / "nothing"], "does not exist"),
    }[case]


@pytest.mark.parametrize(
    "case",
    [
        "empty folder",
        "picture without mask",
        "mask without picture",
        "mask of another size",
        "empty mask",
        "full mask",
        "no mask at all",
        "corrupt picture",
        "one pixel",
        "output is a folder of a file",
        "output is a file",
        pytest.param(
            "output that nobody can write to",
            marks=pytest.mark.skipif(
                not Path("/proc/self").exists(), reason="needs /proc, not even root's"
            ),
        ),
        "corrupt good picture for the sheet",
        "early stop with nothing held out",
        "unknown class",
        "zero shots",
        "too many shots",
        "out of range",
        "base that is nowhere",
    ],
)
def test_bad_training_data(
    case: str, tiny_base: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    plate = tmp_path / "plate"
    shutil.copytree(plates, plate)
    more, message = spoil(plate, case)
    options: dict[object, object] = {
        "--data": plate,
        "--output": tmp_path / "out" / "w.safetensors",
        "--defect": "spot",
        "--base": tiny_base,
        "--steps": 1,
    }
    options |= dict(zip(more[::2], more[1::2], strict=True))
    before = files_of(tmp_path)
    code, _, error = run("train", *(item for pair in options.items() for item in pair))
    assert code == 2 and "bgdefect: error:" in error and message in error
    assert "Traceback" not in error and files_of(tmp_path) == before


def test_another_run_is_refused(trained: Path, tiny_base: Path, plates: Path, run: Run) -> None:
    before = files_of(trained.parent)
    options = [
        "--data",
        plates,
        "--output",
        trained,
        "--object",
        "plate",
        "--defect",
        "spot",
        "--base",
        tiny_base,
        "--steps",
        2,
    ]
    code, _, error = run(
        "train", *options, "--views", 1, "--batch", 2, "--device", "cpu", "--seed", 1
    )
    assert (
        code == 2
        and "holds another run: seed was 0, now 1" in error
        and "choose another output" in error
    )
    assert files_of(trained.parent) == before


def test_demo_refuses_a_csv_before_it_trains(
    plates: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(plates, tmp_path / "plate")
    rows = [
        f"plate/test/spot/00{i}.png,plate/ground_truth/spot/00{i}_mask.png,plate,spot"
        for i in range(4)
    ]
    table = tmp_path / "list.csv"
    table.write_text(
        "\n".join(["image,mask,class,defect", "plate/train/good/000.png,,plate,good", *rows])
    )
    monkeypatch.setenv("BGDEFECT_DATA", str(table))
    code, _, error = run("demo", "--shots", 4, "--output", tmp_path / "out")
    assert (
        code == 2 and "list.csv" in error and "expected MVTec layout; use bgdefect train" in error
    )
    assert not (tmp_path / "out").exists()


def test_demo_says_how_to_start_anew(
    trained: Path, tiny_base: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    place = tmp_path / "plate-spot"
    place.mkdir()
    shutil.copytree(trained.with_suffix(".run"), place / "plate-spot.run")
    code, _, error = run(
        "demo",
        "--data",
        plates,
        "--defect",
        "spot",
        "--shots",
        3,
        "--output",
        tmp_path,
        "--base",
        tiny_base,
    )
    assert (
        code == 2
        and "holds another run" in error
        and "start anew with --fresh (make demo ARGS=--fresh)" in error
    )


def test_demo_draws_its_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BGDEFECT_OBJECT", raising=False)
    monkeypatch.delenv("BGDEFECT_DEFECT", raising=False)
    from trainer.recipes.demo import choose_class, write_textures
    from trainer.recipes.demo_config import DemoConfig

    write_textures(tmp_path, 0)
    first = files_of(tmp_path)
    assert sum(name.startswith(os.path.join("brick", "test", "crack")) for name in first) == 16
    write_textures(tmp_path, 0)
    assert files_of(tmp_path) == first
    assert choose_class(tmp_path, DemoConfig()) == ("brick", "crack")
    assert choose_class(tmp_path, DemoConfig(object="gravel")) == ("gravel", "crack")


@pytest.mark.parametrize("words", ["--help", "data --help", "generate --help", "nonsense"])
def test_a_reader_that_has_read_enough_ends_a_command_quietly(words: str) -> None:
    """As ``| head -0`` does: the pipe is closed before the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "trainer", *words.split()],
        cwd=ROOT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    if words == "nonsense":
        assert done.returncode == 2 and "no command" in done.stderr
    else:
        assert done.returncode == 141 and done.stderr == ""
