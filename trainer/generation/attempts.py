"""Which samples a run makes, and which attempts are painted together.

Batches have one size and are formed from sample numbers and verdicts alone. A resumed run therefore
forms the batches of an unbroken one, and equal batches give equal bits (docs/method.md, choice 13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from bgdefect_core.records.manifest import ManifestLine

Slot = tuple[int, int]
"""Index of a sample and number of an attempt at it."""
Verdicts = Callable[[int, int], "bool | None"]
"""(index, attempt) -> accepted; None where the attempt has not been made."""


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

    def is_final(self, verdicts: Sequence[bool], begun_anew: int = 0) -> bool:
        """Whether a sample needs no further attempt.

        Args:
            verdicts: of its attempts so far, True for an accepted one.
            begun_anew: the attempt with which a sample that a person rejected was begun anew.
        """
        return any(verdicts) or len(verdicts) > begun_anew + self.retries


@dataclass
class KnownVerdicts:
    """What is known of the attempts of earlier runs."""

    accepted: dict[int, dict[int, bool]] = field(default_factory=dict)
    """Index -> attempt -> whether no other attempt is needed."""
    begun_anew: dict[int, int] = field(default_factory=dict)
    """Index -> the first attempt after those that a person rejected."""

    @classmethod
    def of(cls, lines: Iterable[ManifestLine], replace_rejected: bool) -> KnownVerdicts:
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
            known.accepted.setdefault(line.index, {})[line.attempt] = counts
            if is_reviewed and replace_rejected:
                before = known.begun_anew.get(line.index, 0)
                known.begun_anew[line.index] = max(before, line.attempt + 1)
        return known

    def only(self, samples: Iterable[int]) -> KnownVerdicts:
        """What is known of some samples."""
        known = KnownVerdicts()
        for index in samples:
            if index in self.accepted:
                known.accepted[index] = dict(self.accepted[index])
            if index in self.begun_anew:
                known.begun_anew[index] = self.begun_anew[index]
        return known

    def is_final(self, plan: SamplePlan, index: int) -> bool:
        """Whether a sample needs no further attempt."""
        verdicts = list(self.accepted.get(index, {}).values())
        return plan.is_final(verdicts, self.begun_anew.get(index, 0))


def batches(
    samples: Sequence[int],
    size: int,
    retries: int,
    verdict: Verdicts,
    begun_anew: Mapping[int, int] | None = None,
) -> Iterator[list[Slot]]:
    """The batches of ``size`` slots that ``samples`` need, each painted before the next is taken.

    Rejected samples queue up again behind the others. Free slots of the last batches go to later
    attempts at the same samples; these count only where the attempts before were rejected.

    Args:
        samples: indices.
        size: slots of a batch.
        retries: attempts at a sample after the first.
        verdict: of the attempts made so far; asked again after each batch.
        begun_anew: index -> attempt with which a sample was begun anew (:class:`KnownVerdicts`).
    """
    last = {index: (begun_anew or {}).get(index, 0) + retries for index in samples}
    queue = dict.fromkeys(samples, 0)
    while queue:
        slots = _full_batch(dict(islice(queue.items(), size)), last, size, retries)
        yield slots
        for index, attempt in needed(slots, verdict):
            queue.pop(index, None)
            if not verdict(index, attempt) and attempt < last[index]:
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


def needed(slots: Sequence[Slot], verdict: Verdicts) -> Iterator[Slot]:
    """The slots that count: each once, and none after an accepted attempt at its sample."""
    passed: set[Slot] = set()
    for slot in slots:
        index, attempt = slot
        accepted = any(verdict(index, earlier) for earlier in range(attempt))
        if slot not in passed and not accepted:
            yield slot
        passed.add(slot)
