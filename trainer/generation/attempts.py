"""Which attempts are painted together: batches of one size, formed from sample numbers and verdicts
alone.

A resumed run therefore forms the very batches of an unbroken one, and equal batches give equal bits
(docs/method.md, choice 13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Slot = tuple[int, int]
"""A sample's index and the number of the attempt at it."""
Verdicts = Callable[[int, int], "bool | None"]
"""(index, attempt) -> accepted, or None where it has not been made."""


def attempt_seed(seed: int, index: int, attempt: int) -> int:
    """Seed of one attempt, 0 .. 2^63 - 1: a function of these three numbers alone."""
    return int(
        np.random.SeedSequence((seed, index, attempt)).generate_state(1, np.uint64)[0]
        >> np.uint64(1)
    )


def batches(
    samples: Sequence[int], size: int, retries: int, verdict: Verdicts
) -> Iterator[list[Slot]]:
    """The batches of ``size`` slots that ``samples`` need, one by one; each is painted before the
    next is asked for.

    Rejected samples queue up again behind the others. Free slots of the last batches go to later
    attempts at the same samples; what they give counts only where the attempts before were
    rejected.

    Args:
        samples: indices.
        size: slots a batch.
        retries: attempts a sample after the first.
        verdict: of the attempts made so far; asked again after each batch.
    """
    queue = dict.fromkeys(samples, 0)
    while queue:
        chosen = list(queue)[:size]
        slots = [(index, queue[index]) for index in chosen]
        more = [
            (i, queue[i] + ahead)
            for ahead in range(1, retries + 1)
            for i in chosen
            if queue[i] + ahead <= retries
        ]
        slots += more[: size - len(slots)]
        slots += [slots[0]] * (size - len(slots))
        yield slots
        for index, attempt in needed(slots, verdict):
            queue.pop(index, None)
            if not verdict(index, attempt) and attempt < retries:
                queue[index] = attempt + 1


def needed(slots: Sequence[Slot], verdict: Verdicts) -> Iterator[Slot]:
    """Those of ``slots`` that count: each once, and none after an accepted attempt at the same
    sample."""
    seen: set[Slot] = set()
    for slot in slots:
        index, attempt = slot
        if slot not in seen and not any(verdict(index, earlier) for earlier in range(attempt)):
            yield slot
        seen.add(slot)
