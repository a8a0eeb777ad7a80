"""Settings of the detectors, of the unsupervised baselines and of the loss landscape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bgdefect_core.declarations import Choice, Doc, NotEmpty, Range
from bgdefect_core.errors import SettingError

from .arms import ARMS, USUAL_ARMS, ArmName
from .losses import LOSSES, LossName
from .networks import DEFAULT_NETWORK, NETWORKS, NetworkName
from .schedules import SCHEDULES, ScheduleName

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
    ] = USUAL_ARMS
    arm_generators: Annotated[
        tuple[str, ...],
        Doc(
            "Names of generation methods after the first that get a detection arm each, "
            '"real+NAME".'
        ),
    ] = ()
    seeds: Annotated[
        tuple[int, ...],
        Range(0, 2**31),
        NotEmpty(),
        Doc("Seeds of the detectors, for each draw of the known defects (shot_draws)."),
    ] = (0, 1)


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
    network: Annotated[
        NetworkName, Choice(NETWORKS), Doc(NETWORKS.help("Network of the detectors."))
    ] = DEFAULT_NETWORK
    width: Annotated[
        int, Range(2, 512), Doc("Base width of the network draem; 64 in the literature.")
    ] = 16
    detector_steps: Annotated[
        int,
        Range(1, 10_000_000),
        Doc(
            "Steps of a detector. The weights after the last one are tested: no real defects "
            "choose a checkpoint."
        ),
    ] = 360
    detector_batch: Annotated[int, Range(2, 1024), Doc("Crops per step.")] = 4
    detector_lr: Annotated[
        float | None,
        Range(1e-8, 1.0),
        Doc(
            "Highest learning rate of AdamW; it rises over a tenth of the steps and falls along a "
            "half cosine. Pretrained weights learn at a fifth of it. Default: the network's own."
        ),
    ] = None
    detector_loss: Annotated[
        LossName, Choice(LOSSES), Doc(LOSSES.help("Loss of the detectors."))
    ] = "focal"
    schedule: Annotated[
        ScheduleName,
        Choice(SCHEDULES),
        Doc(SCHEDULES.help("Order of defects in the arms that have real and synthetic ones.")),
    ] = "mixed"
    synthetic_share: Annotated[
        float,
        Range(0, 1),
        Doc("Share of synthetic defects among the defect draws of the schedule mixed."),
    ] = 0.25

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
class AlarmSettings:
    """How false alarms at the threshold that finds the known defects are measured."""

    alarm_parts: Annotated[
        int,
        Range(2, 1000),
        Doc(
            "Parts of the known real defects of which each is held out in turn where alarms are "
            "measured; as many as there are known defects: one by one. Each part is a class "
            "training, its samples and one detector an arm; the first seed alone."
        ),
    ] = 3


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
            "Epochs of reverse distillation with its own teacher, where its weights are on this "
            "machine; 200 in the literature."
        ),
    ] = 200


@dataclass(frozen=True)
class LiteBaselineSettings:
    """How the baselines on efficientnet-lite0 that learn by steps are trained."""

    simplenet_steps: Annotated[
        int, Range(1, 1_000_000), Doc("Steps of SimpleNet, four good pictures each.")
    ] = 300
    reverse_steps: Annotated[
        int,
        Range(1, 1_000_000),
        Doc("Steps of reverse distillation on efficientnet-lite0, eight good pictures each."),
    ] = 100


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
