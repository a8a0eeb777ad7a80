"""Reverse distillation: what is lacking is named, and the training and scoring around anomalib's
network, on a small one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.evaluate.detectors.reverse_distillation import fit_student, score_maps, teach, to_input
from trainer.evaluate.measures import optional

WHAT = "reverse distillation"


def reason() -> str | None:
    """Why reverse distillation is skipped."""
    return next((skip.why for skip in optional.skips() if skip.what == WHAT), None)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Packages of the right names, empty, and the weights' file: only what they contain is
    wrong."""
    for name in (
        "torchvision",
        "anomalib",
        "anomalib/models",
        "anomalib/models/image",
        "anomalib/models/image/reverse_distillation",
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "anomalib/models/image/reverse_distillation/torch_model.py").touch()
    weights = tmp_path / "home/hub/checkpoints" / optional.REVERSE_DISTILLATION
    weights.parent.mkdir(parents=True)
    weights.touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "anomalib")]:
        monkeypatch.delitem(sys.modules, name)
    optional._broken.cache_clear()
    yield tmp_path
    optional._broken.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "anomalib")]:
        del sys.modules[name]


def test_nothing_is_skipped_where_all_is_there(planted: Path) -> None:
    assert reason() is None and optional.can(WHAT)


def test_missing_weights_are_named_and_nothing_is_imported(planted: Path) -> None:
    (planted / "home/hub/checkpoints" / optional.REVERSE_DISTILLATION).unlink()
    (planted / "torchvision/__init__.py").write_text("raise SystemExit('imported')")
    why = reason()
    assert why is not None and optional.REVERSE_DISTILLATION in why and "package" not in why


@pytest.mark.parametrize(
    "error",
    ["RuntimeError('operator torchvision::nms does not exist')", "OSError('libcudart.so.12')"],
)
def test_a_torchvision_of_another_torch_is_named(planted: Path, error: str) -> None:
    (planted / "torchvision/__init__.py").write_text(f"raise {error}")
    why = reason()
    assert (
        why is not None
        and "torchvision in a form that works with the installed torch" in why
        and error.split("'")[1] in why
    )


def test_an_anomalib_that_lacks_a_package_of_its_own_is_named(planted: Path) -> None:
    (planted / "anomalib/models/image/reverse_distillation/torch_model.py").write_text(
        "import no_such_package_as_this"
    )
    why = reason()
    assert why is not None and "anomalib in a form" in why and "no_such_package_as_this" in why


class Pair(nn.Module):
    """A frozen random teacher of two layers and a student that sees them through one narrow
    channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        for layer in (self.first, self.second):
            layer.requires_grad_(False)
        self.student = nn.Sequential(
            nn.Conv2d(8, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 8, 1)
        )

    def forward(self, x: Tensor) -> object:
        with torch.no_grad():
            features = self.second(torch.relu(self.first(x)))
        found = self.student(features)
        if self.training:
            return [features], [found]
        distance = (1 - F.cosine_similarity(features, found))[:, None]
        return SimpleNamespace(
            anomaly_map=F.interpolate(distance, x.shape[-2:], mode="bilinear", align_corners=False)
        )


def cosine(teacher: list[Tensor], student: list[Tensor]) -> Tensor:
    return sum(
        (1 - F.cosine_similarity(a, b)).mean() for a, b in zip(teacher, student, strict=True)
    )  # type: ignore[return-value]


def grain(rng: np.random.Generator) -> np.ndarray:
    return (120 + rng.normal(0, 6, (32, 32, 3))).clip(0, 255).astype(np.uint8)


def test_a_student_of_good_pictures_fails_on_a_foreign_patch() -> None:
    rng = np.random.default_rng(0)
    good, clean, foreign = [grain(rng) for _ in range(17)], grain(rng), grain(rng)
    foreign[8:20, 8:20] = (250, 10, 10)
    maps = []
    for _ in range(2):
        torch.manual_seed(0)
        net = Pair()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        fit_student(net, cosine, good, 80, 0)
        after = net.state_dict()
        assert all(
            torch.equal(before[name], after[name])
            for name in before
            if not name.startswith("student")
        )
        assert not torch.equal(before["student.0.weight"], after["student.0.weight"])
        maps.append(score_maps(net, [clean, foreign]))
    assert all(
        np.array_equal(one, two) for one, two in zip(*maps, strict=True)
    )  # the seed decides the order
    plain, found = maps[0]
    assert found.shape == (32, 32) and found.dtype == np.float32
    inside = found[10:18, 10:18].mean()
    assert inside > 3 * plain.mean() and inside > 3 * found[24:, 24:].mean()


def test_pictures_come_as_the_teacher_was_trained() -> None:
    white = to_input([np.full((4, 4, 3), 255, np.uint8)], torch.device("cpu"))
    assert white.shape == (1, 3, 4, 4) and white.is_contiguous()
    assert white[0, :, 0, 0].tolist() == pytest.approx(
        [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rel=1e-5
    )


def test_a_teacher_takes_its_layers_and_leaves_the_head() -> None:
    teacher = nn.ModuleDict({"layer1": nn.Linear(2, 2)})
    weights = {
        "layer1.weight": torch.eye(2),
        "layer1.bias": torch.ones(2),
        "fc.weight": torch.zeros(3, 2),
    }
    teach(teacher, weights)
    assert (
        torch.equal(teacher["layer1"].weight, torch.eye(2))
        and not teacher["layer1"].weight.requires_grad
    )
    with pytest.raises(RuntimeError, match="layer1.bias"):
        teach(teacher, {"layer1.weight": torch.eye(2)})
