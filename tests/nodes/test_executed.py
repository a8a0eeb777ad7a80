"""Nodes that need no host, run as a graph would run them; folders that a workflow names."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from bgdefect_pack.bgdefect_core.errors import DataError, SettingError
from PIL import Image

from .conftest import NAME

libraries = import_module(f"{NAME}.nodes._libraries")
cropping = import_module(f"{NAME}.nodes.cropping")
prompts = import_module(f"{NAME}.nodes.prompts")
refinement = import_module(f"{NAME}.nodes.refinement")
guider = import_module(f"{NAME}.nodes.guider")
loaders = import_module(f"{NAME}.nodes.loaders")


def test_crop_refine_and_stitch_give_the_picture_back_outside_the_mask() -> None:
    image = torch.rand(1, 80, 100, 3)
    mask = torch.zeros(1, 80, 100)
    mask[:, 30:44, 40:60] = 1
    squares, square_masks, crop = cropping.CropToMask.execute(image, mask, 64, "defect", -1.0)
    assert squares.shape == (1, 64, 64, 3)
    painted = torch.where(square_masks[..., None] > 0, 1 - squares, squares)
    (again,) = cropping.CropMask.execute(crop, mask)
    assert torch.equal(again, square_masks)
    label, heat = refinement.RefineMask.execute(
        "difference", 0.3, painted=painted, normal=squares, crop=crop
    )
    assert label.shape == (1, 80, 100)
    assert heat.shape == (1, 80, 100, 3)
    assert bool((label <= mask).all())
    (result,) = cropping.Stitch.execute(crop, painted, True)
    far = torch.ones(80, 100, dtype=torch.bool)
    far[20:54, 30:70] = False
    assert torch.equal(result[0][far], image[0][far])
    assert not torch.allclose(result[0, 36, 50], image[0, 36, 50])


def test_prompts_from_conditioning_are_chained() -> None:
    tokens = [[torch.zeros(1, 5, 4), {}]]
    (graph,) = prompts.RegionPromptsNode.execute(tokens, tokens, tokens, 2)
    assert graph.prompts.empty is None
    node = {entry.define_schema().node_id: entry for entry in prompts.NODES}
    add = node["BGDefectAddDefectConditioning"]
    (two,) = add.execute(graph, tokens, torch.ones(1, 8, 8), 1)
    assert len(two.prompts.defects) == 2
    assert two.masks[0] is None


def test_noise_is_a_noise_of_the_host() -> None:
    (noise,) = guider.NoiseNode.execute(3)
    assert noise.seed == 3
    assert noise.generate_noise({"samples": torch.zeros(2, 4, 8, 8)}).shape == (2, 4, 8, 8)


def test_a_class_says_what_it_is() -> None:
    assert loaders.ApplyWeights.validate_inputs(None) is True


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An input folder with pictures, and a class in MVTec layout."""
    defect = tmp_path / "in" / "part" / "test" / "scratch"
    truth = tmp_path / "in" / "part" / "ground_truth" / "scratch"
    for folder in (defect, truth):
        folder.mkdir(parents=True)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20, 10:30] = 255
    for number in range(3):
        Image.fromarray(np.full((40, 40, 3), 90 + number, np.uint8)).save(defect / f"{number}.png")
        Image.fromarray(mask).save(truth / f"{number}_mask.png")
    return tmp_path / "in"


def test_pages_go_round_and_repeat_no_picture(base: Path) -> None:
    files = libraries.good_files("part/test/scratch", base)
    assert [path.name for path in files] == ["0.png", "1.png", "2.png"]
    assert [path.name for path in libraries.page_of(files, 1, 2)] == ["2.png", "0.png"]
    assert len(libraries.page_of(files, 5, 9)) == 3
    assert libraries.good_files("(shipped demo)", base)
    for name in ("../in", "/etc", "part/../.."):
        with pytest.raises(SettingError, match="below the host"):
            libraries.good_files(name, base)


def gray_file(path: Path, highest: int) -> None:
    """A gray picture in a file of 16 bits."""
    values = np.full((20, 24), highest // 2, np.uint16)
    values[:5] = highest
    Image.fromarray(values).save(path)


def test_a_dark_picture_has_the_white_level_of_its_folder(tmp_path: Path) -> None:
    """12 bits in files of 16; the dark picture alone would be taken for 8."""
    folder = tmp_path / "in" / "gray"
    folder.mkdir(parents=True)
    gray_file(folder / "0.png", 160)
    gray_file(folder / "1.png", 4000)
    files = libraries.good_files("gray", tmp_path / "in")
    ((dark,),) = libraries.good_batches(files, 0, 1)
    assert (int(dark.max()), int(dark.min())) == (160 >> 4, 80 >> 4)
    ((dark, light),) = libraries.good_batches(files, 0, 2)
    assert (int(dark.max()), int(light.max())) == (160 >> 4, 4000 >> 4)
    before = libraries.folder_state(files, 0, 1)
    assert libraries.folder_state(files, 0, 1) == before
    gray_file(folder / "1.png", 200)  # now all are of 8 bits
    assert libraries.folder_state(files, 0, 1) != before
    ((dark,),) = libraries.good_batches(files, 0, 1)
    assert int(dark.max()) == 160


def test_pictures_of_one_size_are_one_batch(base: Path) -> None:
    folder = base / "part" / "test" / "scratch"
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(folder / "1.png")
    batches = libraries.good_batches(libraries.good_files("part/test/scratch", base), 0, 3)
    sizes = [[picture.shape[:2] for picture in batch] for batch in batches]
    assert sizes == [[(40, 40), (40, 40)], [(20, 24)]]


def test_a_library_knows_the_pictures_beside_its_masks(base: Path) -> None:
    library = libraries.mask_library("part/ground_truth/scratch", None, base)
    assert len(library.patches) == 3
    assert any(mask.surroundings is not None for mask in library.masks)
    files = libraries.library_files("part/ground_truth/scratch", base)
    assert len(files) == 6
    assert libraries.mask_library("(shipped demo)", None, base).patches


def test_masks_come_from_one_place(base: Path) -> None:
    mask = torch.zeros(1, 20, 20)
    mask[:, 4:9, 4:9] = 1
    assert len(libraries.mask_library("(masks input)", mask, base).patches) == 1
    with pytest.raises(DataError, match="neither"):
        libraries.mask_library("(masks input)", None, base)
    with pytest.raises(DataError, match="chosen too"):
        libraries.mask_library("part/ground_truth/scratch", mask, base)


def test_a_link_out_of_the_input_folder_is_refused(base: Path) -> None:
    (base / "part" / "ground_truth" / "scratch" / "x_mask.png").symlink_to("/etc/hostname")
    with pytest.raises(SettingError, match="a link out"):
        libraries.mask_library("part/ground_truth/scratch", None, base)
