"""The campaign on paper: cases that are worked by hand."""

from __future__ import annotations

import pytest

from trainer.campaign.simulation import Costs, simulate

FREE_HEAD = Costs(100, 1, 2, 0, 0, 0, 1e6, 0, 1e12)


def test_one_worker_does_one_after_the_other() -> None:
    result = simulate(FREE_HEAD, workers=1, classes=2, shards=3, samples=10)
    assert result.seconds == pytest.approx(2 * (100 + 3 * 10 + 3 * 20), rel=1e-3)
    assert result.busy == pytest.approx(1, abs=1e-3)


def test_many_workers_wait_for_the_longest_way_of_one_class() -> None:
    """Placing goes shard by shard, painting beside it."""
    result = simulate(FREE_HEAD, workers=50, classes=2, shards=3, samples=10)
    assert result.seconds == pytest.approx(100 + 3 * 10 + 20, rel=1e-3)


def test_a_slow_head_sets_the_pace_and_workers_that_write_do_not_need_it() -> None:
    """A second of the head for each of 1,000 samples is more than all workers need."""
    costs = Costs(0, 0, 1, 1, 0, 5, 0, 0, 1)
    slow = simulate(costs, workers=100, classes=10, shards=10, samples=10)
    assert slow.seconds == pytest.approx(10 + 1000 + 50)  # the first shard, all samples, the pages
    assert slow.head > 0.98
    fast = simulate(costs, workers=100, classes=10, shards=10, samples=10, at_workers=True)
    assert fast.seconds == pytest.approx(10 + 5)  # pages side by side


def test_the_network_counts_by_bytes() -> None:
    costs = Costs(0, 0, 0, 0, 0, 0, size=100, weights=0, network=10)
    assert simulate(costs, 1, 1, 1, samples=4).seconds == pytest.approx(40)
