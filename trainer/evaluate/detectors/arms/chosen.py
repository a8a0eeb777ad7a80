"""The arms of one evaluation."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from ...rows import Skip
from . import ARMS
from .arm import Arm
from .generated import candidate_arms, method_arm


def chosen_arms(
    names: Iterable[str], first: str, methods: Iterable[str], candidates: Iterable[str]
) -> list[Arm]:
    """All arms of an evaluation, in the order of the tables.

    Args:
        names: of registered arms. first: the generation method of the arms that name none.
            methods: the other methods that get an arm. candidates: names of candidate data sets.

    Raises:
        SettingError: there is no arm of a name.
    """
    arms = []
    for name in names:
        arm = ARMS.named(name)
        is_first = arm.samples == "method" and not arm.source
        arms.append(replace(arm, source=first) if is_first else arm)
    for method in methods:
        arms.append(method_arm(method))
    for candidate in candidates:
        arms += candidate_arms(candidate)
    return arms


def present(arms: Iterable[Arm], methods: Collection[str]) -> tuple[list[Arm], list[Skip]]:
    """The arms that can be trained, and a word on each whose method is not among the settings.

    Args:
        methods: names of the generation methods of the settings.
    """
    trained: list[Arm] = []
    skips: list[Skip] = []
    for arm in arms:
        if arm.samples == "method" and arm.source not in methods:
            why = f"the generators hold no method {arm.source!r} (--generators)"
            skips.append(Skip(f"the arm {arm.name}", why))
        else:
            trained.append(arm)
    return trained, skips
