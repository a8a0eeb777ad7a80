"""Print how the host's previews turn the embedded base's latents to colours: the constants of
``nodes/_base.py``.

    python .ci/tools/preview_colours.py

Least squares from the latents of 24 drawn pictures to their means over 4 x 4 pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from bgdefect_pack.bgdefect_core.pictures.pixels import to_pixels

from bgdefect_trainer.bases.load import load_base
from bgdefect_trainer.drawing.draw import draw

FIRST_SEED = 50_000_000


def main() -> None:
    base = load_base(None)
    pixels = to_pixels([draw(FIRST_SEED + index, 128, 0.5).picture for index in range(24)])
    latents = base.encode(pixels).transpose(0, 1).flatten(1).T
    colours = F.avg_pool2d(pixels, 4).transpose(0, 1).flatten(1).T
    inputs = torch.cat([latents, torch.ones(len(latents), 1)], 1)
    solution = torch.linalg.lstsq(inputs, colours).solution
    left = (colours - inputs @ solution).std() / colours.std()
    rows: list[list[float]] = []
    for factors in solution.tolist():
        rows.append([round(factor, 4) for factor in factors])
    print(f"_RGB_FACTORS = {rows[:4]}\n_RGB_BIAS = {rows[4]}\nleft over: {left:.1%} of the spread")


if __name__ == "__main__":
    main()
