"""Composited sampling (Theorem 3.2, Eq. 9): the defect is painted inside the mask while the
background stays as it was.

Four ways to hold the background (docs/method.md, choice 1):

``replay``   the inversion's own trajectory outside the mask: exact in the latents, no background evaluation while sampling;
``noised``   the forward process with one fixed noise a sample (Eq. 6): no inversion, exact in the latents. The default: a class is trained
             on it. The inverted trajectory holds less noise than its level says (``docs/evidence-choices.md``), and beside it defects
             come out smoother and fainter;
``masked``   the background branch of the proof (Eq. 28), ``eps_theta((1 - m) z*_t, t, C_2)``: it depends on neither the seed nor the
             defect, so it is computed once a (picture, mask);
``literal``  the printed Eq. 9, ``eps_theta(z*_t, t, C_2)``: the background sees the defect and drifts. For comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import SettingError
from .attention import MapRecorder
from .inversion import StepCallback, invert
from .predictor import Predictor
from .regions import RegionPrompts, union
from .schedule import Levels, NoiseSchedule, ddim_step
from .solvers import Solver, stepper

BackgroundMode = Literal["replay", "noised", "masked", "literal"]
BACKGROUND_MODES: tuple[str, ...] = get_args(BackgroundMode)
DEFAULT_BACKGROUND: BackgroundMode = "noised"
"""Chosen by measurement (``docs/evidence-choices.md``)."""
Background = Callable[[int], Tensor]
"""Level -> the background's latents ``[B, C, h, w]`` at that level."""


def seeded_noise(seeds: Sequence[int], shape: Sequence[int], stream: int = 0) -> Tensor:
    """Noise that depends on each sample's own seed alone (choice 13).

    Args:
        seeds: one a sample, 0 .. 2^63 - 1.
        shape: ``(C, h, w)`` of one latent.
        stream: 0 for the defect's noise, 1 for the background's (``noised``): independent draws
            from one seed.

    Returns:
        float32 ``[len(seeds), C, h, w]`` on the CPU.
    """
    samples = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(stream):
            torch.randn(tuple(shape), generator=generator)
        samples.append(torch.randn(tuple(shape), generator=generator))
    return torch.stack(samples)


@torch.no_grad()
def background_branch(
    predict: Predictor,
    trajectory: Sequence[Tensor],
    regions: Tensor,
    prompts: RegionPrompts,
    levels: Levels,
    callback: StepCallback | None = None,
) -> list[Tensor]:
    """Eq. 9 outside the mask in ``masked`` mode: DDIM down from ``z~_T^m`` on the background branch
    alone (choice 12).

    Arguments as in :func:`invert`; ``trajectory`` is its result, of which only the last level is
    read.

    Returns:
        ``steps + 1`` tensors ``[B, C, h, w]``, level 0 first, 0 inside the mask.
    """
    context, defect = prompts.background_context(), union(regions)
    m = (defect > 0)[:, None]
    descent = [trajectory[-1]]
    for level in range(levels.steps, 0, -1):
        eps = predict(descent[-1], levels.timesteps[level], context, defect).masked_fill(m, 0)
        descent.append(ddim_step(descent[-1], eps, levels.alphas[level], levels.alphas[level - 1]))
        if callback:
            callback(levels.steps - level + 1, levels.steps, descent[-1])
    return descent[::-1]


def background_levels(
    mode: BackgroundMode,
    predict: Predictor,
    z_0: Tensor,
    regions: Tensor,
    prompts: RegionPrompts,
    levels: Levels,
    callback: StepCallback | None = None,
) -> list[Tensor]:
    """What a (picture, mask) needs computed once for any number of samples, as ``steps + 1``
    latents ``[B, C, h, w]``.

    Network evaluations: ``replay`` and ``literal`` 50, ``masked`` 100, ``noised`` none (``z_0`` is
        repeated).

    Args:
        callback: called after each evaluation. It counts through to the mode's own total: ``steps``
            in ``replay`` and ``literal``, ``2 steps`` in ``masked`` (up, then down again); in
            ``noised`` there is nothing to do, and it is never called. The others as in
            :func:`invert`.

    Raises:
        SettingError: unknown mode.
    """
    if mode == "noised":
        return [z_0] * (levels.steps + 1)
    if mode not in BACKGROUND_MODES:
        raise SettingError(
            f"background is {mode!r}",
            f"one of {', '.join(BACKGROUND_MODES)}",
            f"{DEFAULT_BACKGROUND!r} is the default",
        )
    if mode != "masked":
        return invert(predict, z_0, regions, prompts, levels, callback)
    total = 2 * levels.steps
    trajectory = invert(predict, z_0, regions, prompts, levels, _part_of(callback, 0, total))
    return background_branch(
        predict, trajectory, regions, prompts, levels, _part_of(callback, levels.steps, total)
    )


def _part_of(callback: StepCallback | None, before: int, total: int) -> StepCallback | None:
    """A callback for one stretch of a longer count."""
    if callback is None:
        return None
    whole = callback
    return lambda done, steps, latents: whole(before + done, total, latents)


@torch.no_grad()
def sample(
    predict: Predictor,
    mode: BackgroundMode,
    background: Sequence[Tensor],
    regions: Tensor,
    prompts: RegionPrompts,
    levels: Levels,
    seeds: Sequence[int],
    guidance: float | Sequence[float] = 1.0,
    recorder: MapRecorder | None = None,
    callback: StepCallback | None = None,
    solver: Solver = "ddim",
) -> Tensor:
    """Eq. 9: paint the defects of ``regions`` into the background, one sample a seed.

    Args:
        predict: the network.
        mode: how the background is held; the same as ``background`` was made with.
        background: result of :func:`background_levels`, ``[B, C, h, w]`` a level (one picture:
            expand it to the B seeds).
        regions: long ``[B, h, w]``, 0 = background, i = defect i.
        prompts: ``C_1`` of all defects; ``C_2`` in ``literal`` mode.
        levels: of the run.
        seeds: B of them, as many as ``background`` and ``regions`` hold.
        guidance: ``w`` of choice 7, inside the mask only, for all samples or one a sample; 1 =
            none.
        recorder: takes in the attention of the ``C_1`` pass.
        callback: called after each step, 1 .. ``steps`` in every mode.
        solver: of the defect's way down; the background's levels stay DDIM's, so that every mode
            puts back what it promises.

    Returns:
        ``z*_0`` ``[B, C, h, w]``; outside the mask equal to the background's level 0 (all modes but
        ``literal``).

    Raises:
        SettingError: background, regions, seeds and guidance are not equally many; guidance without
            an empty prompt; unknown solver.
    """
    if not len(seeds) == len(regions) == len(background[0]):
        came = f"{len(seeds)} seeds for {len(background[0])} backgrounds and {len(regions)} region maps"
        raise SettingError(
            came, "as many of each", "give one seed a sample, and expand what the samples share"
        )
    m = (regions > 0)[:, None]
    noise = seeded_noise(seeds, background[0].shape[1:]).to(background[0])
    at_level = _background(mode, background, predict.schedule, levels, seeds)
    c_2, defect = prompts.background_context(), union(regions)
    step = stepper(solver, levels)
    z = torch.where(m, noise, at_level(levels.steps))
    for level in range(levels.steps, 0, -1):
        t = levels.timesteps[level]
        eps = defect_eps(predict, z, t, regions, prompts, guidance, recorder)
        if mode == "literal":
            eps = torch.where(m, eps, predict(z, t, c_2, defect))
        z = step(z, eps, level)
        if mode != "literal":
            z = torch.where(m, z, at_level(level - 1))
        if callback:
            callback(levels.steps - level + 1, levels.steps, z)
    return z


def defect_eps(
    predict: Predictor,
    z: Tensor,
    t: int,
    regions: Tensor,
    prompts: RegionPrompts,
    guidance: float | Sequence[float] = 1.0,
    recorder: MapRecorder | None = None,
) -> Tensor:
    """``eps_theta(z_t, t, C_1)``, with guidance ``e_0 + w (e_C1 - e_0)`` inside the mask (choice
    7). Arguments as in :func:`sample`."""
    weights = [guidance] * len(z) if isinstance(guidance, int | float) else list(guidance)
    if len(weights) != len(z):
        raise SettingError(
            f"{len(weights)} values of guidance for {len(z)} samples",
            "one, or one a sample",
            "give as many",
        )
    c_0 = prompts.unguided_context() if any(weight != 1 for weight in weights) else None
    eps = predict(z, t, prompts.defect_context(), regions, recorder)
    if c_0 is None:
        return eps
    e_0 = predict(z, t, c_0, regions)
    guided = (
        torch.tensor([weight != 1 for weight in weights], device=z.device)[:, None, None, None]
        & (regions > 0)[:, None]
    )
    w = torch.tensor(weights, dtype=eps.dtype, device=z.device)[:, None, None, None]
    return torch.where(guided, e_0 + w * (eps - e_0), eps)


def _background(
    mode: BackgroundMode,
    background: Sequence[Tensor],
    schedule: NoiseSchedule,
    levels: Levels,
    seeds: Sequence[int],
) -> Background:
    if mode != "noised":
        return lambda level: background[level]
    z_0 = background[0]
    eps = seeded_noise(seeds, z_0.shape[1:], stream=1).to(z_0)

    def forward_process(level: int) -> Tensor:
        return schedule.noised(z_0, eps, levels.alphas[level]) if level else z_0

    return forward_process
