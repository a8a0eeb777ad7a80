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


def with_either_detail(
    painted: NDArray[np.float32],
    good: tuple[NDArray[np.float32], NDArray[np.float32]],
    pasted: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """As :func:`with_detail`, with the detail of the picture with a real defect pasted in where the
    sample stayed near that (docs/method.md, choice 15).

    Each of the two, decoded, differs from the sample by a distance ``d``, smoothed over 3 x 3
    pixels. Its detail counts by ``max(1 - d / DETAIL_GONE, 0)``; between the two it is shared by
    the inverse squares of their distances.

    Args:
        painted: float ``[H, W, 3]`` in 0..1, the decoded sample.
        good: the good picture's encoding, decoded, and the good picture itself, both as painted.
        pasted: the same of the pasted picture.

    Returns:
        float32 ``[H, W, 3]``, not cut off at 0 and 1.
    """
    squares: list[NDArray[np.float32]] = []
    details: list[NDArray[np.float32]] = []
    for decoded, picture in (good, pasted):
        apart = np.abs(painted - decoded).max(axis=2)
        distance = ndimage.uniform_filter(apart, 3, mode="nearest")[..., None]
        weight = np.clip(1 - distance / DETAIL_GONE, 0, 1)
        squares.append(np.asarray(np.square(distance) + 1e-6, np.float32))
        details.append((weight * (picture - decoded)).astype(np.float32))
    share = squares[0] / (squares[0] + squares[1])
    result = painted + share * details[1] + (1 - share) * details[0]
    return np.asarray(result, np.float32)
