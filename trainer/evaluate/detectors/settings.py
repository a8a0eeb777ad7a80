"""Settings of the detectors, of the unsupervised baselines and of the loss landscape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bgdefect_core.declarations import Choice, Doc, NotEmpty, Range
from bgdefect_core.errors import SettingError

from .arms import ARMS, ArmName

_SIDE = Range(32, 4096)
_STRIDE = 32


@dataclass(frozen=True)
class ArmSettings:
    """Which detectors are trained."""

    arms: Annotated[
        tuple[ArmName, ...],
        Choice(ARMS),
        NotEmpty(),
        Doc(ARMS.help("What the detectors are trained on, one detector each:")),
    ] = tuple(ARMS)
    arm_generators: Annotated[
        tuple[str, ...],
        Doc(
            "Names of generation methods after the first that get a detection arm each: "
            '"real+NAME refined".'
        ),
    ] = ()
    seeds: Annotated[
        tuple[int, ...],
        Range(0, 2**31),
        NotEmpty(),
        Doc("Seeds of the detectors; a meaningful interval needs three or more."),
    ] = (0, 1, 2)


@dataclass(frozen=True)
class DetectorSettings:
    """How one detector is trained."""

    resolution: Annotated[
        int, _SIDE, Doc("Side in pixels to which the detector's pictures are resized.")
    ] = 256
    crop: Annotated[
        int,
        _SIDE,
        Doc(
            "Side in pixels of the crops that the detector trains on; it is tested on whole "
            "pictures."
        ),
    ] = 128
    width: Annotated[
        int, Range(2, 512), Doc("Base width of the detector; 64 in the literature.")
    ] = 16
    epochs: Annotated[
        int, Range(1, 10_000), Doc("Epochs of the detector; 200 in the literature.")
    ] = 6
    draws: Annotated[int, Range(1, 1_000_000), Doc("Crops per epoch; 500 in the literature.")] = 320
    detector_batch: Annotated[int, Range(2, 1024), Doc("Crops per step.")] = 8
    detector_lr: Annotated[
        float,
        Range(1e-8, 1.0),
        Doc(
            "Learning rate of Adam; 1e-4 in the literature, for 200 epochs. It is multiplied by "
            "0.2 after 80 % and after 90 % of the steps."
        ),
    ] = 1e-3
    synthetic_share: Annotated[
        float,
        Range(0, 1),
        Doc("Share of synthetic defects among the defect draws of the arms that have both kinds."),
    ] = 0.5

    def check(self) -> None:
        """Raise SettingError where the sizes do not fit each other or the networks."""
        if self.crop > self.resolution:
            came = f"crop is {self.crop} at a resolution of {self.resolution}"
            raise SettingError(came, "a crop no larger", "lower it")
        for name, side in (("resolution", self.resolution), ("crop", self.crop)):
            if side % _STRIDE:
                do = "the networks halve it up to five times"
                raise SettingError(f"{name} is {side}", f"a multiple of {_STRIDE}", do)


@dataclass(frozen=True)
class PatchCoreSettings:
    """How PatchCore is trained."""

    patchcore_share: Annotated[
        float, Range(0.001, 1), Doc("Share of the patches that PatchCore keeps.")
    ] = 0.1


@dataclass(frozen=True)
class ReverseDistillationSettings:
    """How reverse distillation is trained."""

    reverse_epochs: Annotated[
        int,
        Range(1, 10_000),
        Doc(
            "Epochs of reverse distillation, where its weights are on this machine; 200 in the "
            "literature."
        ),
    ] = 200


@dataclass(frozen=True)
class LandscapeSettings:
    """How the loss landscape is measured."""

    landscape_points: Annotated[
        int, Range(3, 101), Doc("Points per side of the loss landscape.")
    ] = 11
    landscape_crops: Annotated[
        int,
        Range(8, 10_000),
        Doc("Crops of the test side that the landscape is measured on, in batches of 8."),
    ] = 32
