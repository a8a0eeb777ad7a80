"""Folders that cannot be read and paths that cannot be any: typed errors, exit code 2, nothing left
behind."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import BGDefectError, DataError, OutputError, SettingError, WeightsError
from bgdefect_core.pictures.mask_files import masks_by_name, read_library
from bgdefect_core.pictures.reading import read_picture
from bgdefect_core.records.dataset import DatasetWriter
from bgdefect_core.weights.files import read_info
from trainer.bases.load import load_base
from trainer.data.layouts import find_examples, good_examples, good_pictures
from trainer.generation.config import GenerateConfig
from trainer.generation.generate import generate
from trainer.training.config import TrainConfig
from trainer.training.train import train

from .conftest import Run, files_of

LONG = "x" * 300


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a folder unreadable, for root too."""

    def lock(folder: Path) -> None:
        listed = Path.iterdir

        def iterdir(self: Path) -> Iterator[Path]:
            if self == folder:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
            return listed(self)

        monkeypatch.setattr(Path, "iterdir", iterdir)

    return lock


@pytest.mark.parametrize(
    ("part", "read", "error"),
    [
        ("", find_examples, DataError),
        ("test/spot", find_examples, DataError),
        ("ground_truth", find_examples, DataError),
        ("", good_pictures, DataError),
        ("train/good", lambda plate: good_examples(plate, "plate"), DataError),
        ("ground_truth/spot", lambda plate: read_library(plate / "ground_truth/spot"), DataError),
        (
            "ground_truth/spot",
            lambda plate: masks_by_name([], plate / "ground_truth/spot"),
            DataError,
        ),
    ],
)
def test_an_unreadable_folder_is_named(
    part: str,
    read: Callable[[Path], Any],
    error: type[BGDefectError],
    plates: Path,
    locked: Callable[[Path], None],
) -> None:
    locked(plates / part)
    with pytest.raises(error, match=f"{plates / part} cannot be used .Permission denied"):
        read(plates)


def test_an_unreadable_good_folder_in_generation(
    weights: Path, tiny_base: Path, plates: Path, tmp_path: Path, locked: Callable[[Path], None]
) -> None:
    locked(plates.parent)
    with pytest.raises(DataError, match="Permission denied"):
        generate(GenerateConfig(weights, plates.parent, tmp_path / "out", base=str(tiny_base)))


def test_an_unreadable_part_of_a_base(tiny_base: Path, locked: Callable[[Path], None]) -> None:
    locked(tiny_base)
    with pytest.raises(WeightsError, match="Permission denied"):
        load_base(tiny_base)


def test_a_name_too_long_is_no_traceback(tmp_path: Path) -> None:
    for read, error in (
        (read_picture, BGDefectError),
        (read_info, WeightsError),
        (find_examples, DataError),
        (load_base, WeightsError),
    ):
        with pytest.raises(error, match="File name too long"):
            read(tmp_path / LONG)
    table = tmp_path / "list.csv"
    table.write_text(f"image,mask,class,defect\n{LONG}.png,m.png,nut,cut\n")
    with pytest.raises(DataError, match="x... cannot be used .File name too long"):
        find_examples(table)


def test_an_output_with_a_name_too_long_leaves_nothing(
    weights: Path, tiny_base: Path, plates: Path, tmp_path: Path
) -> None:
    run = GenerateConfig(weights, plates, tmp_path / "out", base=str(tiny_base), count=1)
    run = replace_options(run, steps=1)
    training = TrainConfig(
        plates, tmp_path / "w.safetensors", defect="spot", base=str(tiny_base), steps=1
    )
    with pytest.raises(SettingError, match="a plain folder name of at most 200 bytes"):
        generate(dataclasses.replace(run, object=LONG))
    with pytest.raises(OutputError, match="a name of 300 bytes"):
        generate(dataclasses.replace(run, output=tmp_path / "new" / LONG / "out"))
    with pytest.raises(OutputError, match="a name of 262 bytes"):
        train(dataclasses.replace(training, output=tmp_path / "new" / f"{'x' * 245}.safetensors"))
    with pytest.raises(OutputError, match="File name too long"):
        DatasetWriter(tmp_path.joinpath(*["x" * 200] * 25), "nut", "cut", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "train --data {} --output {out}",
        "train --data {plates} --output {}",
        "train --data {plates} --output {out} --split-file {}",
        "train --data {plates} --output {out} --base {}",
        "generate --weights {} --good {plates} --output {out}",
        "generate --weights {weights} --good {} --output {out}",
        "generate --weights {weights} --good {plates} --output {}",
        "generate --weights {weights} --good {plates} --output {out} --masks {}",
        "generate --weights {weights} --good {plates} --output {out} --mask-library {}",
        "generate --weights {weights} --good {plates} --output {out} --mask-split {}",
        "inspect {}",
        "demo --output {}",
        "results --data {plates} {} --output {out}",
        "evaluate --data {} --output {out}",
        "pretrain --output {out} --tokenizer {}",
    ],
)
def test_every_path_option_too_long_exits_2(
    command: str, weights: Path, plates: Path, tmp_path: Path, run: Run
) -> None:
    before = files_of(plates)
    words = [
        word.format(tmp_path / LONG, out=tmp_path / "out", weights=weights, plates=plates)
        for word in command.split()
    ]
    code, _, error = run(*words)
    assert code == 2 and "a name of 300 bytes" in error and "Traceback" not in error
    assert list(tmp_path.iterdir()) == [] and files_of(plates) == before
