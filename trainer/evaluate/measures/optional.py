"""FID, KID and LPIPS with their own networks, where weights lie on this machine; a named skip where
they do not.

Nothing is ever fetched: libraries that would download their weights are given a file that is there,
    or are not called.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bgdefect_core.pictures.files import Picture
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.pixels import to_pixels

from .distances import SUBSET_SIZE, SUBSETS, cluster_diversity
from .features import views

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
ALEXNET = "alexnet-owt-7be5be79.pth"
VISION = "torchvision"
"""All three libraries import it."""
_BATCH = 32
"""Pairs that LPIPS compares at once."""
REVERSE_DISTILLATION = "wide_resnet50_2-95faca4d.pth"


@dataclass(frozen=True)
class Skip:
    """What was not measured, and why."""

    what: str
    why: str


def weight_folder() -> Path:
    """Where the libraries look for weights: torch's cache, which the variable TORCH_HOME moves."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def skips() -> list[Skip]:
    """What cannot be measured on this machine."""
    folder = weight_folder()
    needs = (
        ("FID and KID (Inception-v3)", "torch_fidelity", INCEPTION),
        ("IC-LPIPS and off-mask LPIPS", "lpips", ALEXNET),
        (
            "reverse distillation",
            "anomalib.models.image.reverse_distillation.torch_model",
            REVERSE_DISTILLATION,
        ),
    )
    found = []
    for what, module, weights in needs:
        packages = (module.split(".")[0], VISION)
        lacking = [f"the package {name}" for name in packages if not importlib.util.find_spec(name)]
        lacking += (
            []
            if (folder / weights).is_file()
            else [f"the weights {weights} (in torch's cache, TORCH_HOME)"]
        )
        lacking += [
            problem for name in (VISION, module) if not lacking and (problem := _broken(name))
        ]
        if lacking:
            found.append(Skip(what, f"this machine lacks {' and '.join(lacking)}"))
    return found


@lru_cache
def _broken(module: str) -> str:
    """Why an installed module cannot be imported; empty where it can."""
    try:
        importlib.import_module(module)
    except (
        ImportError,
        RuntimeError,
        OSError,
    ) as reason:  # a torchvision of another torch fails in each of these ways
        words = " ".join(str(reason).split())
        return f"{module.split('.')[0]} in a form that works with the installed torch {torch.__version__} (importing it says: {words})"
    return ""


def can(what: str) -> bool:
    """Whether nothing is lacking for ``what`` (the start of a skip's name)."""
    return not any(skip.what.startswith(what) for skip in skips())


def inception_distances(
    real: Sequence[Picture], fake: Sequence[Picture], seed: int, device: torch.device
) -> dict[str, float]:
    """FID and KID (10 subsets of at most 50) by torchmetrics on torch-fidelity's Inception-v3,
    whole pictures.

    Args:
        real, fake: uint8 ``[H, W, 3]`` each, of one size.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
    from torchmetrics.image.kid import KernelInceptionDistance

    network = NoTrainInceptionV3(
        "inception-v3-compat",
        ["2048"],
        feature_extractor_weights_path=str(weight_folder() / INCEPTION),
    )
    network.num_features = 2048  # else torchmetrics asks a picture of noise
    size = min(SUBSET_SIZE, len(real), len(fake))
    fid: Any = FrechetInceptionDistance(feature=network).to(device)
    kid: Any = KernelInceptionDistance(feature=network, subsets=SUBSETS, subset_size=size).to(
        device
    )
    for pictures, is_real in ((real, True), (fake, False)):
        for first in range(0, len(pictures), 8):
            batch = torch.from_numpy(np.stack(pictures[first : first + 8])).permute(0, 3, 1, 2)
            for metric in (fid, kid):
                metric.update(batch.to(device), real=is_real)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {"FID": float(fid.compute()), "KID": float(kid.compute()[0])}


def lpips_metrics(
    fake: Sequence[Picture],
    fake_masks: Sequence[Mask],
    shots: Sequence[Picture],
    shot_masks: Sequence[Mask],
    device: torch.device,
) -> dict[str, float]:
    """IC-LPIPS (AlexNet) of the whole pictures at 224 pixels against the real defects that were
    learned from."""
    import lpips

    network = lpips.LPIPS(net="alex", verbose=False).eval().to(device)
    fakes, reals = (
        to_pixels(views(some, masks, "whole")).to(device)
        for some, masks in ((fake, fake_masks), (shots, shot_masks))
    )
    return {"IC-LPIPS (alex)": ic_lpips(network, fakes, reals)}


def ic_lpips(network: Any, fakes: torch.Tensor, reals: torch.Tensor) -> float:
    """IC-LPIPS with any network of two batches; fakes that share no nearest real one are never
    compared.

    Args:
        fakes, reals: ``[n, 3, H, W]`` in -1..1.
    """
    to_real = _distances(network, fakes, reals, list(np.ndindex(len(fakes), len(reals)))).reshape(
        len(fakes), len(reals)
    )
    nearest = to_real.argmin(1)
    pairs = [
        (int(i), int(j))
        for i, j in zip(*np.triu_indices(len(fakes), 1), strict=True)
        if nearest[i] == nearest[j]
    ]
    within = np.zeros((len(fakes), len(fakes)))
    for (i, j), distance in zip(pairs, _distances(network, fakes, fakes, pairs), strict=True):
        within[i, j] = within[j, i] = distance
    return cluster_diversity(to_real, within)


def off_mask_lpips(
    pairs: Sequence[tuple[Picture, Picture, Mask]], device: torch.device
) -> list[float]:
    """LPIPS between each good picture and its sample, with the masked pixels of both taken from the
    good one."""
    import lpips

    network = lpips.LPIPS(net="alex", verbose=False).eval().to(device)
    values = []
    for source, picture, mask in pairs:
        outside = np.where(mask[..., None], source, picture)
        good, sample = (to_pixels([one]).to(device) for one in (source, outside))
        values.append(float(_distances(network, good, sample, [(0, 0)])[0]))
    return values


@torch.no_grad()
def _distances(
    network: Any, some: torch.Tensor, others: torch.Tensor, pairs: Sequence[tuple[int, ...]]
) -> NDArray[Any]:
    """The distance of each pair (index of some, index of others), ``[n]``."""
    found = []
    for first in range(0, len(pairs), _BATCH):
        one, two = (list(indices) for indices in zip(*pairs[first : first + _BATCH], strict=True))
        found.append(network(some[one], others[two]).flatten())
    return np.asarray(torch.cat(found).cpu().numpy()) if found else np.empty(0)
