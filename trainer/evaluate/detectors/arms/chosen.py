"""The arms of one evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from . import ARMS
from .arm import Arm
from .generated import candidate_arms, method_arm


def chosen_arms(
    names: Iterable[str], first: str, methods: Iterable[str], candidates: Iterable[str]
) -> list[Arm]:
    """All arms of an evaluation, in the order of the tables.

    Args:
        names: of registered arms. first: the generation method whose samples those arms use.
            methods: the other methods that get an arm. candidates: names of candidate data sets.

    Raises:
        SettingError: there is no arm of a name.
    """
    arms = []
    for name in names:
        arm = ARMS.named(name)
        arms.append(replace(arm, source=first) if arm.samples == "generator" else arm)
    for method in methods:
        arms.append(method_arm(method))
    for candidate in candidates:
        arms += candidate_arms(candidate)
    return arms
