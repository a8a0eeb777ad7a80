"""The printed Eq. 9: outside the mask ``eps_theta(z*_t, t, C_2)``. The background sees the defect
and drifts. For comparison."""

from __future__ import annotations

from torch import Tensor

from .background import Background


class LiteralBackground(Background):
    """Outside the mask the network's prediction for each sample; nothing is put back."""

    name = "literal"
    summary = "the paper's printed equation, whose background drifts; for comparison"
    per_pair = 1
    per_sample = 2
    exact = False
    allows_added_noise = False

    def seen(self, z: Tensor, m: Tensor) -> Tensor:
        """All of ``z_t``, the defect with it."""
        return z

    def put_back(self, z: Tensor, m: Tensor, background: Tensor) -> Tensor:
        """``z`` as the step left it."""
        return z
