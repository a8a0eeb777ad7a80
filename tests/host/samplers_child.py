"""Runs inside ComfyUI's own Python: every sampler and scheduler of the host through the guider, on
the embedded base.

`samplers_child.py HOST BASE_DIRECTORY PACK`
"""

import sys

from child import ours  # first: it finds the host

# isort: split
import comfy.samplers
import torch
from small_case import small_case

inversion_of, guider_of, core_randomness = (
    ours("nodes._inverting"),
    ours("nodes._guider"),
    ours("bgdefect_core.method.randomness"),
)
sigma_space, errors = ours("nodes._sigma_space"), ours("bgdefect_core.errors")
HELD, FREE = ("replay", "noised"), ("masked", "literal")


def paint(inversion, sampler, mode, sigmas, noise):
    """Painted inside the mask, finite, and in the held modes the background bit for bit."""
    guidance = 1.5 if "cfg_pp" in sampler else 1.0  # these samplers read what guidance added
    guider, latent = guider_of.DefectGuider(inversion, mode, guidance), inversion.latent
    painted = guider.sample(
        noise, latent, comfy.samplers.sampler_object(sampler), sigmas, seed=1, disable_pbar=True
    )
    m = (inversion.regions > 0)[:, None].expand_as(latent)
    case = (sampler, mode, sigmas.tolist())
    assert torch.isfinite(painted).all(), case
    assert (painted - latent)[m].abs().max() > 0.01, case
    assert mode in FREE or torch.equal(painted[~m], latent[~m]), case


def refused(inversion, sigmas, noise):
    """Sigmas that stop short of the noise are named, with what to do."""
    try:
        paint(inversion, "euler", "noised", sigmas, noise)
    except errors.SettingError as error:
        assert "more steps" in str(error), error
    else:
        raise AssertionError(sigmas.tolist())


def main():
    case, runs = small_case(), 0
    inversion = inversion_of.invert_latents(
        case.model, case.graph, case.latent[:1], case.mask, 3, False
    )
    noise = core_randomness.seeded_noise([1], case.latent.shape[1:])
    levels = case.model.get_model_object("model_sampling")
    for sampler in comfy.samplers.SAMPLER_NAMES:
        noisy = sigma_space.adds_noise(comfy.samplers.sampler_object(sampler))
        for mode in HELD if noisy else (*HELD, *FREE):
            paint(
                inversion,
                sampler,
                mode,
                comfy.samplers.calculate_sigmas(levels, "normal", 3),
                noise,
            )
            runs += 1
    for scheduler in comfy.samplers.SCHEDULER_NAMES:
        for steps in (3, 8):
            sigmas = comfy.samplers.calculate_sigmas(levels, scheduler, steps)
            if sigmas[0] < levels.sigma_max / 2:  # ddim_uniform of 3 steps
                refused(inversion, sigmas, noise)
                continue
            for mode in (*HELD, *FREE):
                paint(inversion, "euler", mode, sigmas, noise)
                runs += 1
    sys.stdout.write(
        f"{len(comfy.samplers.SAMPLER_NAMES)} samplers, "
        f"{len(comfy.samplers.SCHEDULER_NAMES)} schedulers, {runs} runs\n"
    )


with torch.inference_mode():
    main()
