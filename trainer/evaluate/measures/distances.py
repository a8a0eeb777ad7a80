"""Distances between two sets of features, and diversity within one set: the statistics of FID, KID
and IC-LPIPS on any features.

The features belong to the name of a distance: only those of Inception-v3 with FID's own weights
make an FID.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bgdefect_core.errors import DataError, SettingError

Rows = NDArray[Any]
SUBSETS, SUBSET_SIZE = 10, 50


class _Identity(nn.Module):
    """In place of the network that torchmetrics expects: the features are computed already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Rows, fake: Rows) -> float:
    """Frechet distance of two Gaussians: ``|mu_r - mu_f|^2 + Tr(S_r + S_f - 2 (S_r S_f)^(1/2))``
    (Heusel et al. 2017).

    With centred features A and B, ``S_r = A^T A`` and ``S_f = B^T B``, the last trace is the sum of
    the singular values of ``A B^T``: exact for fewer pictures than features, where the root of
    ``S_r S_f`` itself is not. It is biased upwards for few pictures; compare only equal numbers.

    Args:
        real, fake: float ``[n, d]``, at least 2 rows.

    Raises:
        DataError: fewer rows.
    """
    if min(len(real), len(fake)) < 2:
        raise DataError(
            f"{len(real)} real and {len(fake)} generated pictures",
            "at least 2 of each",
            "give more",
        )
    real_mean = real.mean(0, dtype=np.float64)
    fake_mean = fake.mean(0, dtype=np.float64)
    a = (real - real_mean) / np.sqrt(len(real) - 1)
    b = (fake - fake_mean) / np.sqrt(len(fake) - 1)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    means = real_mean - fake_mean
    return float(max((means**2).sum() + (a**2).sum() + (b**2).sum() - 2 * root, 0.0))


def kernel_distance(real: Rows, fake: Rows, seed: int) -> tuple[float, float]:
    """Mean and standard deviation of the unbiased kernel distance (KID's, cubic kernel) over 10
    subsets of at most 50.

    Raises:
        SettingError: torchmetrics is not installed.
    """
    try:
        from torchmetrics.image.kid import KernelInceptionDistance
    except ImportError as reason:
        raise SettingError(
            "torchmetrics is not installed", "it", "pip install 'bgdefect[evaluate]'"
        ) from reason
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)  # about the memory that features take
        torch.manual_seed(seed)  # torchmetrics draws its subsets from the global generator
        size = min(SUBSET_SIZE, len(real), len(fake))
        metric = KernelInceptionDistance(
            feature=_Identity(real.shape[1]), subsets=SUBSETS, subset_size=size
        )
        metric.update(torch.from_numpy(real).double(), real=True)
        metric.update(torch.from_numpy(fake).double(), real=False)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def pairwise(rows: Rows, others: Rows) -> Rows:
    """Cosine distances ``[n, m]``, 0 (same direction) to 2."""
    return np.asarray(1 - _unit(rows) @ _unit(others).T)


def _unit(rows: Rows) -> Rows:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def mean_distance(distances: Rows) -> float:
    """The mean over all pairs of a square matrix of distances; 0 for one picture alone."""
    n = len(distances)
    return float(distances[np.triu_indices(n, 1)].mean()) if n > 1 else 0.0


def cluster_diversity(to_real: Rows, within: Rows) -> float:
    """Intra-cluster diversity (Ojha et al. 2021; IC-LPIPS when the distances are LPIPS's).

    Each generated picture goes to its nearest real one; the mean pairwise distance in each cluster
    of two or more, averaged over these. Copies of the training pictures give 0. 0 where no cluster
    has two.

    Args:
        to_real: ``[fakes, reals]`` distances. within: ``[fakes, fakes]``.
    """
    nearest = to_real.argmin(1)
    means = []
    for real in np.unique(nearest):
        members = np.flatnonzero(nearest == real)
        if len(members) > 1:
            means.append(mean_distance(within[np.ix_(members, members)]))
    return float(np.mean(means)) if means else 0.0
