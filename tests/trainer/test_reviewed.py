"""A review counts everywhere: in data sets that are read, and in what ``generate`` makes anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bgdefect_core.declarations import replace_options
from bgdefect_core.errors import DataError
from bgdefect_core.quality import QualityLimits
from bgdefect_core.records.apply_decisions import apply_decisions
from bgdefect_core.records.decisions import Decision, DecisionLog, Word
from bgdefect_core.records.manifest import ManifestLine, read_manifest
from trainer.data.layouts import find_examples
from trainer.evaluate.samples.sample_set import read_candidate, read_generated
from trainer.generation.attempts import KnownOutcomes, SamplePlan, batches, needed
from trainer.generation.config import GenerateConfig
from trainer.generation.generate import generate

from .conftest import files_of

ANYTHING = QualityLimits(0, 0, 0, 0, 255, 0, 0, class_share=0, shared=False)
EXTRAS = "extras/plate/spot"


@pytest.fixture
def config(weights: Path, tiny_base: Path, plates: Path, tmp_path: Path) -> GenerateConfig:
    torch.set_num_threads(1)
    return replace_options(
        GenerateConfig(weights, plates, tmp_path / "out"),
        base=str(tiny_base),
        count=3,
        batch=2,
        retries=1,
        steps=2,
        limits=ANYTHING,
    )


def decide(root: Path, index: int, attempt: int, word: Word, mended: bool = False) -> None:
    with DecisionLog(root / EXTRAS) as log:
        decision = Decision(index, attempt, "", word, mended=mended)
        if mended:
            mask = torch.zeros(40, 48, dtype=torch.bool).numpy()
            mask[3:9, 5:20] = True
            log.mend(decision, mask)
        else:
            log.add(decision)


def lines_of(root: Path) -> list[ManifestLine]:
    return read_manifest(root / EXTRAS / "manifest.jsonl")


def test_a_rejected_sample_is_read_by_nobody(config: GenerateConfig) -> None:
    root = config.output
    assert generate(config).accepted == 3
    decide(root, 1, 0, "reject")
    decide(root, 2, 0, "undecided", mended=True)
    for _ in range(2):
        names = [example.image.name for example in find_examples(root, "plate", "spot")]
        assert names == ["00000.png", "00002.png"]
        candidate = read_candidate("c", root, "plate", "spot")
        ours = read_generated("ours", root, "plate", "spot")
        for samples in (candidate, ours):
            assert len(samples.samples) == 2
            assert samples.samples[1].label.sum() == 6 * 15
        apply_decisions(root, "plate", "spot")
    decide(root, 0, 0, "reject")
    decide(root, 2, 0, "reject")
    with pytest.raises(DataError, match="every sample of spot was rejected"):
        find_examples(root)


def test_rejected_samples_are_made_anew_on_request_only(config: GenerateConfig) -> None:
    root = config.output
    generate(config)
    before = files_of(root)
    decide(root, 1, 0, "reject")
    summary = generate(config)
    assert (summary.accepted, len(summary.rejected)) == (2, 1)
    assert [line.key for line in lines_of(root)] == [(0, 0), (1, 0), (2, 0)]

    replacing = replace_options(config, replace_rejected=True)
    dry = generate(replace_options(replacing, dry_run=True))
    assert (dry.done, dry.accepted) == (2, 1)
    assert generate(replacing).accepted == 3
    lines = {line.key: line for line in lines_of(root)}
    assert set(lines) == {(0, 0), (1, 0), (2, 0), (1, 1)}
    assert lines[1, 1].accepted and not lines[1, 0].accepted
    assert lines[1, 1].file == "plate/test/spot/00001.png"
    after = files_of(root)
    assert after[lines[1, 0].file] == before["plate/test/spot/00001.png"]
    assert after["plate/test/spot/00001.png"] != before["plate/test/spot/00001.png"]
    assert after["plate/test/spot/00000.png"] == before["plate/test/spot/00000.png"]
    assert generate(replacing).accepted == 3 and len(lines_of(root)) == 4


def line(index: int, attempt: int, verdict: bool, word: str = "") -> ManifestLine:
    """A line as it stands after a decision."""
    accepted = verdict if not word else word == "accept"
    review = {"decision": word, "accepted": verdict} if word else None
    texts = ("", "", "", "", "", "")
    return ManifestLine(index, attempt, accepted, *texts, {}, 0, {}, {}, review=review)


def test_a_sample_that_is_begun_anew_gets_all_attempts() -> None:
    """Sample 0: rejected by hand at attempt 1 of 0..1. Anew: attempts 2 and 3, then it ends."""
    plan = SamplePlan(2, 1, 2, retries=1)
    lines = [line(0, 0, False), line(0, 1, True, "reject"), line(1, 0, True)]
    assert KnownOutcomes.of(lines, False).is_final(plan, 0)
    known = KnownOutcomes.of(lines, True)
    assert not known.is_final(plan, 0) and known.is_final(plan, 1)
    assert known.begun_anew == {0: 2}
    made: list[tuple[int, int]] = []

    for slots in batches([0, 1], 2, 1, known.outcome, known.begun_anew):
        for index, attempt in needed(slots, known.outcome):
            if known.outcome(index, attempt) is None:
                made.append((index, attempt))
                known.add(index, attempt, "rejected")
    assert made == [(0, 2), (0, 3)] and known.is_final(plan, 0)
    assert known.history(0, 2, 2) == (0, 0) and known.history(0, 3, 3) == (1, 0)
    known.add(0, 2, "copy")
    assert known.history(0, 3, 3) == (1, 1)
    assert known.history(0, 3, 2) == (1, 0)  # painted in one batch, before the copy was known


def test_what_a_person_accepted_needs_no_further_attempt() -> None:
    lines = [line(0, 0, False, "accept")]
    assert KnownOutcomes.of(lines, True).is_final(SamplePlan(1, 1, 1, retries=2), 0)
