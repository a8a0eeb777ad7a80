"""The loss landscape of a detector (Eq. 33) and the top eigenvalue of its Hessian: how flat the
minimum is.

``g(a, b) = L(theta + a d1 + b d2)`` with the focal loss over fixed crops. The random directions are
scaled filter by filter to the weights' norms (Li et al. 2018), without which two networks cannot be
compared; biases and norms stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from .network import SegmentationNet, focal_loss

REACH = 1.0
"""The landscape spans -1..1 in both directions."""
PRODUCTS, RESTARTS, TOLERANCE = 20, 20, 1e-3
"""Hessian-vector products of the first Lanczos run, which is mostly enough; how often it is
restarted at most; relative error."""


def random_direction(net: SegmentationNet, seed: int) -> list[Tensor]:
    """One direction a parameter; each filter has the norm of the net's own, vectors are 0."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for parameter in net.parameters():
        direction = torch.randn(parameter.shape, generator=generator).to(parameter)
        if parameter.ndim > 1:
            norms = (one.detach().flatten(1).norm(dim=1) for one in (parameter, direction))
            own, drawn = norms
            direction *= (own / drawn.clamp_min(1e-12)).view(-1, *[1] * (parameter.ndim - 1))
        else:
            direction.zero_()
        found.append(direction)
    return found


@torch.no_grad()
def landscape(
    net: SegmentationNet, batches: Sequence[tuple[Tensor, Tensor]], points: int, seed: int
) -> NDArray[np.float64]:
    """Eq. 33 on a grid: ``[points, points]``, rows a = -1..1, columns b = -1..1. The net is left as
    it was."""
    net.eval()
    parameters = list(net.parameters())
    start = [parameter.detach().clone() for parameter in parameters]
    first, second = (random_direction(net, seed + number) for number in range(2))
    places = np.linspace(-REACH, REACH, points)
    values = np.empty((points, points))
    try:
        for row, a in enumerate(places):
            for column, b in enumerate(places):
                for parameter, origin, d1, d2 in zip(parameters, start, first, second, strict=True):
                    parameter.copy_(origin + float(a) * d1 + float(b) * d2)
                values[row, column] = float(
                    np.mean([float(focal_loss(net(x), y)) for x, y in batches])
                )
    finally:
        for parameter, origin in zip(parameters, start, strict=True):
            parameter.copy_(origin)
    return values


def top_eigenvalue(
    net: SegmentationNet,
    batches: Sequence[tuple[Tensor, Tensor]],
    seed: int,
    tolerance: float = TOLERANCE,
) -> float | None:
    """The Hessian's largest eigenvalue, by Lanczos on Hessian-vector products; batch norms are
    fixed.

    Args:
        seed: of the start. tolerance: relative error of the eigenvalue.

    Returns:
        None where it was not found to the tolerance within ``RESTARTS``.
    """
    net.eval()
    parameters = [parameter.requires_grad_(True) for parameter in net.parameters()]
    size = sum(parameter.numel() for parameter in parameters)

    def product(flat: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = torch.from_numpy(flat.ravel()).split(
            [parameter.numel() for parameter in parameters]
        )
        vector = [
            part.view(like.shape).to(like) for part, like in zip(parts, parameters, strict=True)
        ]
        found = torch.cat(
            [one.flatten() for one in _hessian_vector(net, batches, parameters, vector)]
        )
        return found.to("cpu", torch.float64).numpy()

    hessian = LinearOperator((size, size), matvec=product, dtype=np.float64)
    start = np.random.default_rng(seed).standard_normal(size)
    try:
        found = eigsh(
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
    return float(found[0])


def _hessian_vector(
    net: SegmentationNet,
    batches: Sequence[tuple[Tensor, Tensor]],
    parameters: Sequence[Tensor],
    vector: Sequence[Tensor],
) -> list[Tensor]:
    """``H v`` of the mean loss over the batches."""
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for pictures, truth in batches:
        gradients = torch.autograd.grad(
            focal_loss(net(pictures), truth), parameters, create_graph=True
        )
        dot = torch.stack([(g * v).sum() for g, v in zip(gradients, vector, strict=True)]).sum()
        for one, part in zip(total, torch.autograd.grad(dot, parameters), strict=True):
            one += part / len(batches)
    return total
