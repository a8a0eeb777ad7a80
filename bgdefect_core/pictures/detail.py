"""What the VAE loses of a picture, given back where little changed: an addition of ours to
docs/method.md, choice 5.

Inside the mask the decoder's picture shows, and with it the decoder's blur: on every pixel that no
defect came to, and on faint defects whose ground shows through. The same decoder made the good
picture's reconstruction, so that what it loses there is known exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

DETAIL_GONE = 0.5
"""The change (of 1) at which nothing of the old detail is left. Of the values tried on drawn
defects, whose true picture is known, the one nearest to the truth, on the defect and around it:
``bgdefect calibrate``."""


def with_detail(
    painted: NDArray[np.float32],
    normal: NDArray[np.float32],
    picture: NDArray[np.float32],
    gone: float = DETAIL_GONE,
) -> NDArray[np.float32]:
    """``painted + (1 - change / gone) (picture - normal)``, the weight cut off at 0.

    The change is that of the channel that changed most between ``normal`` and ``painted``, smoothed
    over 3 x 3 pixels. Where nothing changed the result is the picture itself; where the change is
    ``gone`` or more it is the decoder's.

    Args:
        painted: float ``[H, W, 3]`` in 0..1, the decoded sample.
        normal: the same of the good picture's encoding, decoded.
        picture: the same of the good picture itself.
        gone: above 0; infinity keeps all detail.

    Returns:
        float32 ``[H, W, 3]``, not cut off at 0 and 1.
    """
    change = ndimage.uniform_filter(np.abs(painted - normal).max(axis=2), 3, mode="nearest")
    weight: NDArray[np.float32] = np.clip(1 - change / gone, 0, 1)[..., None].astype(np.float32)
    return painted + weight * (picture - normal)
