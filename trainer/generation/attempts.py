"""Which samples a run makes, and which attempts are painted together.

Batches have one size and are formed from sample numbers and outcomes alone. A resumed run therefore
forms the batches of an unbroken one, and equal batches give equal bits (docs/method.md, choice 13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from bgdefect_core.copies import COPY
from bgdefect_core.records.manifest import ManifestLine

Slot = tuple[int, int]
"""Index of a sample and number of an attempt at it."""
Outcome = Literal["good", "copy", "rejected"]
"""What came of an attempt: no other is needed; a copy of its real defect; rejected otherwise."""
Outcomes = Callable[[int, int], "Outcome | None"]
"""(index, attempt) -> what came of it; None where it has not been made."""


CHUNK = 8
"""Batches of first attempts in a chunk. Retries fill up only the last batches of a chunk with
attempts that may turn out unneeded: with 15 % rejected, 1 of 10 calls in place of 1 of 3."""


@dataclass(frozen=True)
class SamplePlan:
    """The samples of a run. Sample i is variant ``i % variants`` of pair ``i // variants``.

    The work goes in chunks, which the pair's number fixes: rejected samples of a chunk are tried
    again together, so that their batches are full.
    """

    count: int
    """Samples of the run."""
    variants: int
    """Samples of a pair."""
    batch: int
    """Samples in a call of the U-Net."""
    retries: int
    """Attempts at a sample after the first."""

    @property
    def pairs(self) -> int:
        """Pairs that the run needs."""
        return -(-self.count // self.variants)

    @property
    def inversion_batch(self) -> int:
        """Pairs that are inverted in one call: as many as a batch of samples needs."""
        return -(-self.batch // self.variants)

    @property
    def chunk_pairs(self) -> int:
        """Pairs of a chunk: a whole number of inversion batches."""
        return CHUNK * self.inversion_batch

    def samples_of(self, pair: int) -> range:
        """Indices of the samples of a pair."""
        return range(pair * self.variants, min((pair + 1) * self.variants, self.count))

    def pair_of(self, index: int) -> int:
        """The pair of a sample."""
        return index // self.variants

    def chunk_of(self, index: int) -> int:
        """The chunk in which a sample is painted."""
        return self.pair_of(index) // self.chunk_pairs

    def chunks(self) -> Iterator[range]:
        """The pairs of each chunk."""
        for first in range(0, self.pairs, self.chunk_pairs):
            yield range(first, min(first + self.chunk_pairs, self.pairs))

    def is_final(self, outcomes: Sequence[Outcome], begun_anew: int = 0) -> bool:
        """Whether a sample needs no further attempt.

        Args:
            outcomes: of its attempts so far.
            begun_anew: the attempt with which a sample that a person rejected was begun anew.
        """
        return "good" in outcomes or len(outcomes) > begun_anew + self.retries


def outcome_of(accepted: bool, verdict: str) -> Outcome:
    """What came of an attempt, from its entries in a manifest."""
    if accepted:
        return "good"
    return "copy" if verdict == COPY else "rejected"


@dataclass
class KnownOutcomes:
    """What is known of the attempts of earlier runs."""

    outcomes: dict[int, dict[int, Outcome]] = field(default_factory=dict)
    """Index -> attempt -> what came of it."""
    begun_anew: dict[int, int] = field(default_factory=dict)
    """Index -> the first attempt after those that a person rejected."""

    @classmethod
    def of(cls, lines: Iterable[ManifestLine], replace_rejected: bool) -> KnownOutcomes:
        """From the attempts of earlier runs.

        A sample that a person rejected is as good as made, unless it is to be replaced: then it is
        begun anew, with as many attempts as a new sample gets.

        Args:
            lines: what stands of the manifest.
            replace_rejected: whether samples that a person rejected are made anew.
        """
        known = cls()
        for line in lines:
            is_reviewed = line.review is not None and line.review["decision"] == "reject"
            counts = line.accepted or (line.accepted_by_verdict and not replace_rejected)
            known.add(line.index, line.attempt, outcome_of(counts, line.verdict))
            if is_reviewed and replace_rejected:
                before = known.begun_anew.get(line.index, 0)
                known.begun_anew[line.index] = max(before, line.attempt + 1)
        return known

    def add(self, index: int, attempt: int, outcome: Outcome) -> None:
        """Take what came of an attempt."""
        self.outcomes.setdefault(index, {})[attempt] = outcome

    def outcome(self, index: int, attempt: int) -> Outcome | None:
        """What came of an attempt; None where it has not been made."""
        return self.outcomes.get(index, {}).get(attempt)

    def history(self, index: int, attempt: int, painted_with: int) -> tuple[int, int]:
        """How many attempts at a sample went before one, and how many of these were copies; those
        before the sample was begun anew do not count.

        Args:
            painted_with: the first attempt of the batch at this sample; what comes of that and of
                later ones is not known when the batch is painted, and counts as no copy.
        """
        begun = self.begun_anew.get(index, 0)
        first = begun if attempt >= begun else 0
        copies = 0
        for earlier in range(first, painted_with):
            copies += self.outcome(index, earlier) == "copy"
        return attempt - first, copies

    def only(self, samples: Iterable[int]) -> KnownOutcomes:
        """What is known of some samples."""
        known = KnownOutcomes()
        for index in samples:
            if index in self.outcomes:
                known.outcomes[index] = dict(self.outcomes[index])
            if index in self.begun_anew:
                known.begun_anew[index] = self.begun_anew[index]
        return known

    def is_final(self, plan: SamplePlan, index: int) -> bool:
        """Whether a sample needs no further attempt."""
        outcomes = list(self.outcomes.get(index, {}).values())
        return plan.is_final(outcomes, self.begun_anew.get(index, 0))


def batches(
    samples: Sequence[int],
    size: int,
    retries: int,
    outcome: Outcomes,
    begun_anew: Mapping[int, int] | None = None,
) -> Iterator[list[Slot]]:
    """The batches of ``size`` slots that ``samples`` need, each painted before the next is taken.

    Rejected samples queue up again behind the others. Free slots of the last batches go to later
    attempts at the same samples; these count only where the attempts before were rejected, and as
    no copies, after which an attempt starts at another level.

    Args:
        samples: indices.
        size: slots of a batch.
        retries: attempts at a sample after the first.
        outcome: of the attempts made so far; asked again after each batch.
        begun_anew: index -> attempt with which a sample was begun anew (:class:`KnownOutcomes`).
    """
    last = {index: (begun_anew or {}).get(index, 0) + retries for index in samples}
    queue = dict.fromkeys(samples, 0)
    while queue:
        slots = _full_batch(dict(islice(queue.items(), size)), last, size, retries)
        yield slots
        for index, attempt in needed(slots, outcome):
            queue.pop(index, None)
            if outcome(index, attempt) != "good" and attempt < last[index]:
                queue[index] = attempt + 1


def _full_batch(
    following: Mapping[int, int], last: Mapping[int, int], size: int, ahead: int
) -> list[Slot]:
    """The next attempts at some samples; free slots take attempts after these, the nearest first,
    then copies of the first slot.

    Args:
        following, last: index -> number of its next attempt, and of the last that it may get.
        ahead: attempts at a sample after its next one, at most.
    """
    slots = list(following.items())
    for further in range(1, ahead + 1):
        for index, attempt in following.items():
            if attempt + further <= last[index]:
                slots.append((index, attempt + further))
    slots += slots[:1] * (size - len(slots))
    return slots[:size]


def first_attempts(slots: Sequence[Slot]) -> dict[int, int]:
    """Index -> the first attempt at that sample in a batch."""
    first: dict[int, int] = {}
    for index, attempt in slots:
        first[index] = min(attempt, first.get(index, attempt))
    return first


def needed(slots: Sequence[Slot], outcome: Outcomes) -> Iterator[Slot]:
    """The slots that count, each once: those of samples without an accepted attempt before. After a
    copy in the same batch an attempt does not count: it was painted at the level that follows a
    rejection. Outcomes may become known between one slot and the next.
    """
    first = first_attempts(slots)
    for index, attempt in dict.fromkeys(slots):
        before = [outcome(index, earlier) for earlier in range(attempt)]
        painted_together = before[first[index] :]
        if "good" not in before and "copy" not in painted_together:
            yield index, attempt
