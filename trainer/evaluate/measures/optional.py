"""FID, KID and LPIPS with their own networks, where the weights are on this machine; a named skip
where they are not.

Nothing is ever downloaded: libraries that would download their weights get a file that is there, or
are not called.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.pixels import to_pixels

from ..rows import Skip
from .distances import SUBSET_SIZE, SUBSETS, cluster_diversity
from .features import views

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
ALEXNET = "alexnet-owt-7be5be79.pth"
REVERSE_DISTILLATION = "wide_resnet50_2-95faca4d.pth"
VISION = "torchvision"
"""All three libraries import it."""
_NEEDS = (
    ("FID and KID (Inception-v3)", "torch_fidelity", INCEPTION),
    ("IC-LPIPS and off-mask LPIPS", "lpips", ALEXNET),
    (
        "reverse distillation",
        "anomalib.models.image.reverse_distillation.torch_model",
        REVERSE_DISTILLATION,
    ),
)
"""What is measured, the module and the weights that it needs."""
_PAIRS = 32
"""Pairs that LPIPS compares at once."""
_PICTURES = 8
"""Pictures that Inception sees at once."""


def weight_folder() -> Path:
    """Where the libraries look for weights: torch's cache, which the variable TORCH_HOME moves."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def skips() -> list[Skip]:
    """What cannot be measured on this machine."""
    skipped = []
    for what, module, weights in _NEEDS:
        missing = _missing(module, weights)
        if missing:
            skipped.append(Skip(what, f"this machine lacks {' and '.join(missing)}"))
    return skipped


def can(what: str) -> bool:
    """Whether nothing is missing for ``what`` (the beginning of a skip's name)."""
    return not any(skip.what.startswith(what) for skip in skips())


def _missing(module: str, weights: str) -> list[str]:
    """Packages and weights that a measurement lacks; broken packages where all are there."""
    missing = []
    for package in (module.split(".")[0], VISION):
        if importlib.util.find_spec(package) is None:
            missing.append(f"the package {package}")
    if not (weight_folder() / weights).is_file():
        missing.append(f"the weights {weights} (in torch's cache, TORCH_HOME)")
    if missing:
        return missing
    return list(filter(None, (_broken(VISION), _broken(module))))


@lru_cache
def _broken(module: str) -> str:
    """Why an installed module cannot be imported; empty where it can."""
    try:
        importlib.import_module(module)
    # A torchvision that was built for another torch fails in each of these ways.
    except (ImportError, RuntimeError, OSError) as reason:
        package = module.split(".")[0]
        words = " ".join(str(reason).split())
        return (
            f"{package} in a form that works with the installed torch {torch.__version__} "
            f"(importing it says: {words})"
        )
    return ""


def inception_distances(
    real: Sequence[Pixels], fake: Sequence[Pixels], seed: int, device: torch.device
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
    network.num_features = 2048  # otherwise torchmetrics runs the network on noise
    size = min(SUBSET_SIZE, len(real), len(fake))
    fid: Any = FrechetInceptionDistance(feature=network).to(device)
    kid: Any = KernelInceptionDistance(feature=network, subsets=SUBSETS, subset_size=size)
    kid = kid.to(device)
    for pictures, is_real in ((real, True), (fake, False)):
        for first in range(0, len(pictures), _PICTURES):
            stacked = torch.from_numpy(np.stack(pictures[first : first + _PICTURES]))
            batch = stacked.permute(0, 3, 1, 2).to(device)
            fid.update(batch, real=is_real)
            kid.update(batch, real=is_real)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return {"FID": float(fid.compute()), "KID": float(kid.compute()[0])}


def lpips_metrics(
    fake: Sequence[Pixels],
    fake_masks: Sequence[Mask],
    shots: Sequence[Pixels],
    shot_masks: Sequence[Mask],
    device: torch.device,
) -> dict[str, float]:
    """IC-LPIPS (AlexNet) of the whole pictures at 224 pixels against the real defects that were
    learned from."""
    fakes = to_pixels(views(fake, fake_masks, "whole")).to(device)
    reals = to_pixels(views(shots, shot_masks, "whole")).to(device)
    return {"IC-LPIPS (alex)": ic_lpips(_lpips_network(device), fakes, reals)}


def _lpips_network(device: torch.device) -> Any:
    import lpips

    return lpips.LPIPS(net="alex", verbose=False).eval().to(device)


def ic_lpips(network: Any, fakes: torch.Tensor, reals: torch.Tensor) -> float:
    """IC-LPIPS with any network of two batches. Only fakes that share their nearest real picture
    are compared.

    Args:
        fakes, reals: ``[n, 3, H, W]`` in -1..1.
    """
    shape = (len(fakes), len(reals))
    to_real = _distances(network, fakes, reals, list(np.ndindex(*shape))).reshape(shape)
    nearest = to_real.argmin(1)
    pairs = []
    for pair in combinations(range(len(fakes)), 2):
        if nearest[pair[0]] == nearest[pair[1]]:
            pairs.append(pair)
    within = np.zeros((len(fakes), len(fakes)))
    for (i, j), distance in zip(pairs, _distances(network, fakes, fakes, pairs), strict=True):
        within[i, j] = within[j, i] = distance
    return cluster_diversity(to_real, within)


def off_mask_lpips(
    pairs: Sequence[tuple[Pixels, Pixels, Mask]], device: torch.device
) -> list[float]:
    """LPIPS between each good picture and its sample, with the masked pixels of both taken from the
    good picture."""
    network = _lpips_network(device)
    values = []
    for source, picture, mask in pairs:
        outside = np.where(mask[..., None], source, picture)
        good = to_pixels([source]).to(device)
        sample = to_pixels([outside]).to(device)
        values.append(float(_distances(network, good, sample, [(0, 0)])[0]))
    return values


@torch.no_grad()
def _distances(
    network: Any, left: torch.Tensor, right: torch.Tensor, pairs: Sequence[tuple[int, ...]]
) -> NDArray[Any]:
    """The distance of each pair (index on the left, index on the right), ``[n]``."""
    if not pairs:
        return np.empty(0)
    parts = []
    for first in range(0, len(pairs), _PAIRS):
        of_left, of_right = zip(*pairs[first : first + _PAIRS], strict=True)
        parts.append(network(left[list(of_left)], right[list(of_right)]).flatten())
    return np.asarray(torch.cat(parts).cpu().numpy())
