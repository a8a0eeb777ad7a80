"""The inverted trajectory (Eq. 8) of the picture is put back outside the mask at every level.

Exact in the latents, without an evaluation of the background while sampling. The trajectory holds
less noise than its levels say (``docs/evidence-choices.md``), and beside it defects come out
smoother and fainter.
"""

from __future__ import annotations

from .background import Background


class ReplayBackground(Background):
    """Outside the mask ``z~_t^m``, the inversion's latents."""

    name = "replay"
    summary = (
        "the inversion, put back at every step; exact, costs as much again, and defects come out "
        "smoother and fainter"
    )
    per_pair = 1
