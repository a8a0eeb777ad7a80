"""One progress bar for a run that makes samples chunk by chunk."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bgdefect_core.method.inversion import StepCallback


class SampleBar:
    """Progress in samples, with the step at hand beside it."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._before = bar, 0

    def update(self, count: int) -> None:
        """So many samples of this chunk are final."""
        self._bar.update(self._before + count - self._bar.n)

    def done(self, count: int) -> None:
        """This chunk of so many samples is finished."""
        self.update(count)
        self._before += count

    def step(self, what: str) -> StepCallback:
        """A callback that shows DDIM steps."""

        def show(done: int, steps: int, latents: Tensor) -> None:
            self._bar.set_postfix_str(f"{what} {done}/{steps}", refresh=done == steps)
            self._bar.update(0)

        return show
