"""Runs inside ComfyUI's own Python: what the model side of the nodes promises. `sampling_child.py HOST BASE_DIRECTORY PACK`"""

from contextlib import contextmanager

from child import ours, stock  # first: it finds the host

# isort: split
import comfy.model_management
import comfy.samplers
import torch

loaders, prompts_of, inversion_of = ours("nodes.loaders"), ours("nodes.prompts"), ours("nodes.inversion")
sampling, guider_of, types = ours("nodes.sampling"), ours("nodes.guider"), ours("nodes._types")
errors, core_sampling = ours("bgdefect_core.errors"), ours("bgdefect_core.sampling")


@contextmanager
def refused(*words):
    try:
        yield
    except errors.BGDefectError as error:
        assert all(word in str(error) for word in words), str(error)
    else:
        raise AssertionError(f"not refused: {words}")


def plain_run(model, clip, latent):
    """What a stock workflow makes of the MODEL."""
    text = stock.CLIPTextEncode().encode(clip, "a photo of a metal part")[0]
    return stock.KSampler().sample(model, 3, 2, 1.0, "euler", "normal", text, text, {"samples": latent}, denoise=1.0)[0]["samples"]


def a_stock_workflow_stays_as_it_was(model, clip, latent, before):
    assert torch.equal(before, plain_run(model, clip, latent))


def samples_depend_on_their_seed_alone(inversion):
    four, maps = sampling.sample_latents(inversion, 7, "replay", 1.0, 2, 8)
    assert four.shape[0] == 4 and len(maps.mask) == 4 and all(len(mean) == 4 for mean in maps.recorder.means.values())
    apart, split = sampling.sample_latents(inversion, 7, "replay", 1.0, 2, 3)
    assert torch.allclose(four, apart, atol=1e-4)
    assert all(torch.allclose(mean, split.recorder.means[grid], atol=1e-4) for grid, mean in maps.recorder.means.items())
    later, _ = sampling.sample_latents(inversion, 9, "replay", 1.0, 1, 2)
    assert torch.allclose(four[2:], later, atol=1e-4)  # samples 2 and 3 show pictures 0 and 1 again
    assert not torch.allclose(four[:2], four[2:], atol=1e-2)


def stock_samplers_keep_the_background(inversion, sigmas, latent):
    noise = core_sampling.seeded_noise([1, 2], latent.shape[1:])
    outside = (inversion.regions == 0)[:, None].expand_as(latent)
    karras = comfy.samplers.calculate_sigmas(inversion.model.get_model_object("model_sampling"), "karras", 3)
    for name, steps in (("dpmpp_2m", karras), ("euler_ancestral", sigmas), ("euler_cfg_pp", sigmas), ("uni_pc", karras), ("lcm", sigmas)):
        for mode in ("replay", "noised"):
            guider = guider_of.DefectGuider(inversion, mode, 1.0)
            painted = guider.sample(noise, latent, comfy.samplers.sampler_object(name), steps, seed=1)
            assert torch.equal(painted[outside], latent[outside]), (name, mode)
            assert torch.isfinite(painted).all() and (painted - latent).abs().max() > 0.01, (name, mode)
    pp, euler = (
        guider_of.DefectGuider(inversion, "replay", 1.0).sample(noise, latent, comfy.samplers.sampler_object(name), sigmas, seed=1)
        for name in ("euler_cfg_pp", "euler")
    )
    assert torch.allclose(pp, euler, atol=1e-4)  # without guidance the two are one


def samplers_that_add_noise_are_known(inversion, sigmas, latent):
    guider = guider_of.DefectGuider(inversion, "masked", 1.0)
    for name in comfy.samplers.SAMPLER_NAMES:
        noisy = any(word in name for word in ("ancestral", "sde", "ddpm", "lcm", "seeds", "sa_solver"))
        assert guider_of.adds_noise(comfy.samplers.sampler_object(name)) == noisy, name
    with refused("sampler adds noise", "replay"):
        guider.sample(torch.zeros_like(latent), latent, comfy.samplers.sampler_object("euler_ancestral"), sigmas, seed=1)


def wrong_wiring_is_refused_by_name(model, clip, graph, latent, mask, inversion):
    invert = inversion_of.invert_latents
    with refused("mask is empty"):
        invert(model, graph, latent, torch.zeros(1, 64, 64), 2, False)
    with refused("mask is full"):
        invert(model, graph, latent, torch.ones(1, 64, 64), 2, False)
    with refused("mask has 3 masks for 2 pictures"):
        invert(model, graph, latent, mask.repeat(3, 1, 1), 2, False)
    with refused("latent has the shape", "VAE"):
        invert(model, graph, latent.repeat(1, 4, 1, 1), mask, 2, False)
    with refused("steps is 1000"):
        invert(model, graph, latent, mask, 1000, False)
    tokens = torch.zeros(1, 77, 768)
    wide = types.GraphPrompts(prompts_of.RegionPrompts(tokens, [tokens], tokens, [[1]]), [None])
    with refused("the background prompt has 768 numbers", "CLIP"):
        invert(model, wide, latent, mask, 2, False)
    skipped = invert(model, graph, latent, mask, 2, True)
    with refused("the inversion was skipped", "noised"):
        sampling.sample_latents(skipped, 1, "replay", 1.0, 1, 2)
    with refused("latent_image has the shape"):
        guider_of.DefectGuider(inversion, "replay", 1.0).sample(
            latent[:1], latent[:1, :, :8], comfy.samplers.sampler_object("euler"), torch.tensor([1.0, 0.5])
        )
    with refused("background has 2 entries"):
        text = stock.CLIPTextEncode().encode(clip, "two")[0]
        prompts_of.RegionPromptsNode.execute([*text, *text], text, text, 0)
    with refused("words is 100", "76"):
        prompts_of.RegionPromptsNode.execute(text, text, text, 100)


def cancel_stops_within_a_step(model, graph, latent, mask):
    comfy.model_management.interrupt_current_processing()
    try:
        inversion_of.invert_latents(model, graph, latent, mask, 2, False)
    except comfy.model_management.InterruptProcessingException:
        pass
    else:
        raise AssertionError("not interrupted")


def conditioning_gives_the_same_prompts(clip, graph):
    def text(words):
        return stock.CLIPTextEncode().encode(clip, words)[0]

    other = prompts_of.RegionPromptsNode.execute(text("a metal part"), text("a deep scratch"), text("mask"), 3, text("")).args[0]
    for one, same in ((graph.prompts.background, other.prompts.background), (graph.prompts.defects[0], other.prompts.defects[0])):
        assert torch.equal(one, same)
    assert [list(words) for words in other.prompts.defect_words] == [[1, 2, 3]]
    assert [list(words) for words in graph.prompts.defect_words] == [[1, 2, 3]]


def main():
    model, clip, vae = loaders.LoadBase.execute(loaders.MINI).args
    generator = torch.Generator().manual_seed(1)
    latent = vae.encode(torch.rand(2, 8, 8, 3, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2))
    mask = torch.zeros(1, 64, 64)
    mask[:, 20:44, 12:40] = 1
    before = plain_run(model, clip, latent)
    graph = prompts_of.RegionPromptEncode.execute(clip, "a metal part", "a deep scratch", "mask").args[0]
    conditioning_gives_the_same_prompts(clip, graph)
    inversion, sigmas = inversion_of.MaskedInversion.execute(model, graph, {"samples": latent}, mask, 2, False).args
    samples_depend_on_their_seed_alone(inversion)
    stock_samplers_keep_the_background(inversion, sigmas, latent)
    samplers_that_add_noise_are_known(inversion, sigmas, latent)
    wrong_wiring_is_refused_by_name(model, clip, graph, latent, mask, inversion)
    cancel_stops_within_a_step(model, graph, latent, mask)
    a_stock_workflow_stays_as_it_was(model, clip, latent, before)


with torch.inference_mode():
    main()
