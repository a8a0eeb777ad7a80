"""Fresh drawn pictures for pretraining: a sliding window over an endless, seeded sequence.

At step ``k`` the window holds the pictures ``k * fresh ... k * fresh + window - 1`` of the
sequence; each is drawn once, in worker processes, and used for about ``window / fresh`` steps. What
a step sees depends on ``(seed, k)`` alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from typing import Generic, TypeVar

import numpy as np
from torch import Tensor

from bgdefect_core.pictures.pixels import to_pixels

from ..drawing.draw import Drawn, draw

Item = TypeVar("Item")


class PictureWindow(Generic[Item]):
    """Iterate over windows of drawn pictures, each passed once through ``prepare``.

    Args:
        seed: of the sequence: picture ``i`` is drawn with ``seed + i``.
        size: pixels of a drawn picture's side.
        window: pictures held at a time.
        fresh: pictures that enter at every step.
        start: the step to begin at (resuming).
        prepare: what is kept of each picture (for example its latent).
        defect_share: share of pictures with a defect, 0..1.
        workers: drawing processes.
    """

    def __init__(
        self,
        seed: int,
        size: int,
        window: int,
        fresh: int,
        start: int,
        prepare: Callable[[Drawn], Item],
        defect_share: float,
        workers: int = 1,
    ) -> None:
        self.window, self.fresh, self.prepare = window, fresh, prepare
        self.first = seed + start * fresh
        self.task = partial(draw, size=size, defect_share=defect_share)
        self.workers = workers

    def __iter__(self) -> Iterator[deque[Item]]:
        with get_context("spawn").Pool(self.workers) as pool:
            # Bounded look-ahead: imap alone would draw without end and fill the memory.
            ahead = deque(
                pool.apply_async(self.task, (self.first + i,)) for i in range(self.window + 64)
            )
            upcoming = self.first + len(ahead)
            held: deque[Item] = deque(maxlen=self.window)
            missing = self.window
            while True:
                for _ in range(missing):
                    held.append(self.prepare(ahead.popleft().get()))
                    ahead.append(pool.apply_async(self.task, (upcoming,)))
                    upcoming += 1
                yield held
                missing = self.fresh


def picture_of(drawn: Drawn) -> np.ndarray:
    """The picture alone: a window's ``prepare`` for whoever needs no more."""
    return drawn.picture


def crops(pictures: deque[np.ndarray], count: int, size: int, seed: int, step: int) -> Tensor:
    """Random square crops of random pictures with random flips and quarter turns: ``[count, 3,
    size, size]`` in -1..1."""
    rng = np.random.default_rng((seed, step))
    batch = []
    for index in rng.choice(len(pictures), count, replace=False):
        picture = pictures[index]
        top, left = rng.integers(0, picture.shape[0] - size + 1, 2)
        crop = np.rot90(picture[top : top + size, left : left + size], int(rng.integers(4)))
        batch.append(np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop))
    return to_pixels(batch)
