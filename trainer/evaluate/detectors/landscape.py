"""The loss landscape of a detector (Eq. 33) and the top eigenvalue of its Hessian: how flat the
minimum is.

``g(a, b) = L(theta + a d1 + b d2)`` with the focal loss over fixed crops. Each filter of a random
direction is scaled to the norm of the network's filter (Li et al. 2018); without it two networks
cannot be compared. Biases and norms stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn

from .losses import focal_loss

REACH = 1.0
"""The landscape spans -1..1 in both directions."""
PRODUCTS = 20
"""Hessian-vector products of the first Lanczos run, which is mostly enough."""
RESTARTS = 20
"""Maximum number of restarts of the Lanczos run."""
TOLERANCE = 1e-3
"""Relative error of the eigenvalue."""
Batches = Sequence[tuple[Tensor, Tensor]]
"""Pictures ``[B, 3, c, c]`` in 0..1 and truths ``[B, c, c]``."""


def random_direction(net: nn.Module, seed: int) -> list[Tensor]:
    """One direction a parameter. Each filter has the norm of the network's filter; vectors are
    0."""
    generator = torch.Generator().manual_seed(seed)
    directions = []
    for parameter in net.parameters():
        direction = torch.randn(parameter.shape, generator=generator).to(parameter)
        if parameter.ndim > 1:
            scale = _filter_norms(parameter) / _filter_norms(direction).clamp_min(1e-12)
            direction *= scale.view(-1, *[1] * (parameter.ndim - 1))
        else:
            direction.zero_()
        directions.append(direction)
    return directions


def _filter_norms(weights: Tensor) -> Tensor:
    return weights.detach().flatten(1).norm(dim=1)


@torch.no_grad()
def landscape(net: nn.Module, batches: Batches, points: int, seed: int) -> NDArray[np.float64]:
    """Eq. 33 on a grid: ``[points, points]``, rows a = -1..1, columns b = -1..1. The network is
    left unchanged."""
    net.eval()
    parameters = list(net.parameters())
    start = [parameter.detach().clone() for parameter in parameters]
    first, second = random_direction(net, seed), random_direction(net, seed + 1)
    steps = np.linspace(-REACH, REACH, points)
    values = np.empty((points, points))
    try:
        for row, a in enumerate(steps):
            for column, b in enumerate(steps):
                for parameter, origin, d1, d2 in zip(parameters, start, first, second, strict=True):
                    parameter.copy_(origin + float(a) * d1 + float(b) * d2)
                losses = []
                for pictures, truth in batches:
                    losses.append(float(focal_loss(net(pictures), truth)))
                values[row, column] = float(np.mean(losses))
    finally:
        for parameter, origin in zip(parameters, start, strict=True):
            parameter.copy_(origin)
    return values


def top_eigenvalue(
    net: nn.Module, batches: Batches, seed: int, tolerance: float = TOLERANCE
) -> float | None:
    """The Hessian's largest eigenvalue, by Lanczos on Hessian-vector products; batch norms are
    fixed.

    Args:
        seed: of the start vector. tolerance: relative error of the eigenvalue.

    Returns:
        None where ``RESTARTS`` do not reach the tolerance.
    """
    net.eval()
    net.requires_grad_(True)
    parameters = list(net.parameters())
    sizes = [parameter.numel() for parameter in parameters]

    def product(flat: NDArray[np.float64]) -> NDArray[np.float64]:
        vector = []
        parts = torch.from_numpy(flat.ravel()).split(sizes)
        for part, parameter in zip(parts, parameters, strict=True):
            vector.append(part.view(parameter.shape).to(parameter))
        products = _hessian_vector(net, batches, parameters, vector)
        joined = torch.cat([part.flatten() for part in products])
        return joined.to("cpu", torch.float64).numpy()

    hessian = LinearOperator((sum(sizes), sum(sizes)), matvec=product, dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(sum(sizes))
    try:
        values = eigsh(
            hessian,
            k=1,
            which="LA",
            v0=start,
            maxiter=RESTARTS,
            tol=tolerance,
            return_eigenvectors=False,
        )
    except ArpackNoConvergence:
        return None
    return float(values[0])


def _hessian_vector(
    net: nn.Module, batches: Batches, parameters: Sequence[Tensor], vector: Sequence[Tensor]
) -> list[Tensor]:
    """``H v`` of the mean loss over the batches, one tensor a parameter."""
    products = list(map(torch.zeros_like, parameters))
    for pictures, truth in batches:
        loss = focal_loss(net(pictures), truth)
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        terms = [(g * v).sum() for g, v in zip(gradients, vector, strict=True)]
        parts = torch.autograd.grad(torch.stack(terms).sum(), parameters)
        for total, part in zip(products, parts, strict=True):
            total += part / len(batches)
    return products
