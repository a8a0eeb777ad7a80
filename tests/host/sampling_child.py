"""Runs inside ComfyUI's own Python: what the model side of the nodes promises. `sampling_child.py
HOST BASE_DIRECTORY PACK`"""

import json
import logging
import shutil
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

from child import BASE, ours, stock  # first: it finds the host

# isort: split
import comfy.diffusers_load
import comfy.model_base
import comfy.model_management
import comfy.samplers
import torch
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from small_case import refused, small_case

loaders, prompts_of, inversion_of = (
    ours("nodes._loading"),
    ours("nodes.prompts"),
    ours("nodes._inverting"),
)
sampling, guider_of, types = ours("nodes._sampling"), ours("nodes._guider"), ours("nodes._wires")
core_randomness = ours("bgdefect_core.method.randomness")
host, weights_of, core_weights = (
    ours("nodes._host"),
    ours("nodes._weights"),
    ours("bgdefect_core.weights.files"),
)
sigma_space, nodes = ours("nodes._sigma_space"), ours("nodes.loaders")
starting = ours("nodes._starting")


def plain_run(model, clip, latent):
    """What a stock workflow makes of the MODEL."""
    text = stock.CLIPTextEncode().encode(clip, "a photo of a metal part")[0]
    return stock.KSampler().sample(
        model, 3, 2, 1.0, "euler", "normal", text, text, {"samples": latent}, denoise=1.0
    )[0]["samples"]


def a_stock_workflow_stays_as_it_was(model, clip, latent, before):
    assert torch.equal(before, plain_run(model, clip, latent))


def samples_depend_on_their_seed_alone(inversion):
    four, maps = sampling.sample_latents(inversion, 7, "replay", 1.0, 2, 8)
    assert (
        four.shape[0] == 4
        and len(maps.mask) == 4
        and all(len(mean) == 4 for mean in maps.recorder.means.values())
    )
    apart, split = sampling.sample_latents(inversion, 7, "replay", 1.0, 2, 3)
    assert torch.allclose(four, apart, atol=1e-4)
    assert all(
        torch.allclose(mean, split.recorder.means[grid], atol=1e-4)
        for grid, mean in maps.recorder.means.items()
    )
    two, _ = sampling.sample_latents(inversion, 7, "replay", 1.0, 1, 2)
    assert torch.allclose(four[:2], two, atol=1e-4)
    assert not torch.allclose(four[:2], four[2:], atol=1e-2)
    after, _ = sampling.sample_latents(inversion, 8, "replay", 1.0, 1, 2)
    for sample in after:  # the next seed repeats no sample
        assert all((sample - other).abs().max() > 1e-2 for other in four)


def stock_samplers_keep_the_background(inversion, sigmas, latent):
    noise = core_randomness.seeded_noise([1, 2], latent.shape[1:])
    outside = (inversion.regions == 0)[:, None].expand_as(latent)
    karras = comfy.samplers.calculate_sigmas(
        inversion.model.get_model_object("model_sampling"), "karras", 3
    )
    for name, steps in (
        ("dpmpp_2m", karras),
        ("euler_ancestral", sigmas),
        ("euler_cfg_pp", sigmas),
        ("uni_pc", karras),
        ("lcm", sigmas),
    ):
        for mode in ("replay", "noised"):
            guider = guider_of.DefectGuider(inversion, mode, 1.0)
            painted = guider.sample(
                noise, latent, comfy.samplers.sampler_object(name), steps, seed=1
            )
            assert torch.equal(painted[outside], latent[outside]), (name, mode)
            assert torch.isfinite(painted).all() and (painted - latent).abs().max() > 0.01, (
                name,
                mode,
            )
    pp, euler = (
        guider_of.DefectGuider(inversion, "replay", 1.0).sample(
            noise, latent, comfy.samplers.sampler_object(name), sigmas, seed=1
        )
        for name in ("euler_cfg_pp", "euler")
    )
    assert torch.allclose(pp, euler, atol=1e-4)  # without guidance the two are one


def a_batch_by_the_guider_equals_the_sampler(inversion, sigmas, latent):
    repeated = latent.repeat(2, 1, 1, 1)
    noise = sigma_space.SampleNoise(7).generate_noise({"samples": repeated})
    for mode in ("replay", "noised"):
        guider = guider_of.DefectGuider(inversion, mode, 1.0)
        painted = guider.sample(
            noise, repeated, comfy.samplers.sampler_object("euler"), sigmas, seed=7
        )
        sampled, _ = sampling.sample_latents(inversion, 7, mode, 1.0, 2, 4, "ddim")
        assert torch.allclose(painted, sampled, atol=1e-4), mode
        assert (
            guider._call._regions is None and not guider._call._masks
        )  # nothing is held on the host's device


def a_start_from_a_paste(inversion, latent):
    """From the start level down, by the sampler and, with ddim and euler, by the guider alike."""
    inside = (inversion.regions > 0)[:, None].expand_as(latent)
    pasted = torch.where(inside, latent + 3, latent)

    def sampled(low, high, solver="ddim", at_once=4, mode="noised"):
        start = starting.GraphStart(pasted, low, high)
        arguments = (inversion, 7, mode, 1.0, 2, at_once, solver, start)
        return sampling.sample_latents(*arguments)[0]

    repeated = latent.repeat(2, 1, 1, 1)
    noise = sigma_space.SampleNoise(7).generate_noise({"samples": repeated})
    euler = comfy.samplers.sampler_object("euler")
    for mode in ("noised", "replay"):
        guider = guider_of.DefectGuider(inversion, mode, 1.0, pasted)
        sigmas = guider.sigmas(0.5)
        assert 0.03 < sigmas[0] < 3, sigmas
        painted = guider.sample(noise, repeated, euler, sigmas, seed=7)
        assert torch.allclose(painted, sampled(0.5, 0.5, mode=mode), atol=1e-4), mode
        guider.sample(noise, repeated, comfy.samplers.sampler_object("dpmpp_2m"), sigmas, seed=7)
    whole = sampling.sample_latents(inversion, 7, "noised", 1.0, 2, 4, "dpmpp_2m")[0]
    assert torch.equal(sampled(1, 1, "dpmpp_2m"), whole)
    top = guider.sample(noise, repeated, euler, guider.sigmas(1.0), seed=7)
    plain = guider_of.DefectGuider(inversion, "replay", 1.0)
    assert torch.equal(top, plain.sample(noise, repeated, euler, plain.sigmas(0.2), seed=7))
    for paste in (
        sampled(0, 0, "dpmpp_2m"),
        guider.sample(noise, repeated, euler, guider.sigmas(0.0), seed=7),
    ):
        assert torch.allclose(paste, pasted.repeat(2, 1, 1, 1), atol=1e-4)
    for solver in ("ddim", "dpmpp_2m"):  # samples of one batch start at levels of their own
        together, apart = sampled(0.2, 0.9, solver), sampled(0.2, 0.9, solver, 1)
        assert torch.allclose(together, apart, atol=1e-4), solver
    with refused("pasted has the shape"):
        guider_of.DefectGuider(inversion, "noised", 1.0, pasted[:1])


def parts_of_a_run_are_refused(inversion, latent):
    guider = guider_of.DefectGuider(inversion, "replay", 1.0)
    euler, top = (
        comfy.samplers.sampler_object("euler"),
        sigma_space.sigma_of(inversion.levels.alphas[-1]),
    )
    for part in ([top, top / 3], [top / 3, 0.0], [0.03, top]):
        with refused("sigmas go from", "denoise 1"):
            guider.sample(torch.zeros_like(latent), latent, euler, torch.tensor(part), seed=1)
    for broken in (float("nan"), float("inf")):
        with refused("sigmas hold NaN or infinity"):
            guider.sample(
                torch.zeros_like(latent), latent, euler, torch.tensor([top, broken, 0.0]), seed=1
            )


def guidance_of_other_nodes_is_left_out(model, graph, latent, mask):
    """PAG on the MODEL: the same samples as without, by sampler and guider, and one line of the
    log."""
    guided = PerturbedAttentionGuidance.execute(model, 3.0)[0]
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("pack").addHandler(handler)
    runs = []
    for one in (model, guided):
        inversion = inversion_of.invert_latents(one, graph, latent, mask, 2, False)
        sampled = sampling.sample_latents(inversion, 7, "replay", 1.0, 1, 2)[0]
        guider = guider_of.DefectGuider(inversion, "replay", 1.0)
        noise = core_randomness.seeded_noise(sigma_space.seeds_of(7, 2), latent.shape[1:])
        sigmas = sigma_space.sigmas_of(inversion.levels)
        runs.append(
            (
                sampled,
                guider.sample(
                    noise, latent, comfy.samplers.sampler_object("euler_cfg_pp"), sigmas, seed=7
                ),
            )
        )
        assert bool(messages) == (one is guided)
    logging.getLogger("pack").removeHandler(handler)
    assert all(torch.equal(plain, other) for plain, other in zip(*runs, strict=True))
    assert (
        len(messages) == 3 and "sampler_post_cfg_function" in messages[0]
    )  # inversion, sampler, guider
    assert guided.model_options["sampler_post_cfg_function"]  # the user's MODEL keeps it


def another_nodes_cross_attention_is_refused(model, graph, latent, mask):
    for place in (("input", 1), ("middle", 0, 0)):
        patched = model.clone()
        patched.set_model_attn2_replace(lambda q, k, v, options: v, *place)
        with refused("cross-attention", "IPAdapter"):
            inversion_of.invert_latents(patched, graph, latent, mask, 2, False)


def the_requested_mask_is_cut_as_the_picture(model, graph, latent, mask):
    """66 x 67 pixels: the host's VAE encodes 64 x 64 of them, from (1, 1) on."""
    whole = torch.zeros(1, 66, 67)
    whole[:, 1:65, 1:65] = mask
    inversion = inversion_of.invert_latents(model, graph, latent, whole, 2, True)
    assert torch.equal(inversion.mask, mask.repeat(2, 1, 1))


def what_a_checkpoint_lacks_is_named(graph):
    with refused("clip is None"):
        prompts_of.RegionPromptEncode.execute(None, "a", "b", "c")

    sdxl = object.__new__(comfy.model_base.SDXL)  # no network: what it lacks is known before
    vars(sdxl)["model_config"] = SimpleNamespace(unet_config={})
    with refused("pooled_output", "SDXL"):
        host.RegionGuider(SimpleNamespace(model=sdxl), replace(graph.prompts, added={}))


def class_weights_that_do_not_fit_are_refused(model):
    path, changed = (
        loaders.weights_path("brushed_metal-scratch.safetensors"),
        BASE / "changed.safetensors",
    )
    tensors, info = core_weights.load_weights(path)
    four = {name: torch.zeros(2) for name in core_weights.FINGERPRINT_TENSORS}
    wide = {**info.architecture, "cross_attention_dim": 1024}
    full = replace(info, kind="full", lora_rank=0, lora_alpha=0.0, base_fingerprint="0" * 64)
    for content, changes, words in (
        (tensors, replace(info, architecture=wide), ("cross_attention_dim", "1024")),
        (
            tensors,
            replace(info, prediction_type="v_prediction"),
            ("predicts 'epsilon'", "v_prediction"),
        ),
        (four, full, ("another base", "000000000000")),
    ):
        core_weights.save_weights(changed, content, changes)
        with refused(*words):
            weights_of.apply_weights(model, changed, 1.0, False)
    with refused("tensors are missing"):  # allowed, but no U-Net
        weights_of.apply_weights(model, changed, 1.0, True)
    down = next(name for name in tensors if name.endswith("lora_down.weight"))
    rank, width = tensors[down].shape
    alpha = down.replace("lora_down.weight", "alpha")
    for name, broken in (
        (down, torch.ones(rank)),
        (
            down,
            torch.ones(rank + 3, width),
        ),  # not lora_up's rank: the host would paint without this module
        (down, torch.ones(rank, width + 1)),
        (alpha, torch.ones(3)),
    ):
        core_weights.save_weights(changed, {**tensors, name: broken}, info)
        with refused(down.split(".")[0], str(list(broken.shape)), "one rank"):
            weights_of.apply_weights(model, changed, 1.0, False)
    assert (
        nodes.ApplyWeights.fingerprint_inputs(None)
        == nodes.ApplyWeights.fingerprint_inputs(None)
        != ()
    )


def a_pickle_beside_other_weights_is_not_opened():
    """A folder of Stable Diffusion's width: the host itself looks for fixed names, and then for
    pickles."""

    def opened(*arguments, **options):
        raise AssertionError("the host was asked to open it")

    folder, names = (
        BASE / "models" / "diffusers" / "odd",
        {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"},
    )
    for part, name in {**names, "text_encoder": "pytorch_model"}.items():
        (folder / part).mkdir(parents=True)
        (folder / part / f"{name}.bin").write_bytes(b"\x80\x02.")
        (folder / part / "weights.safetensors").write_bytes(b"")
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "config.json").write_text('{"block_out_channels": [320]}')
    comfy.diffusers_load.load_diffusers, before = opened, comfy.diffusers_load.load_diffusers
    with refused("unet holds diffusion_pytorch_model.bin, a pickle", "safetensors"):
        loaders.load_base("odd")
    comfy.diffusers_load.load_diffusers = before


def damaged_folders_are_refused():
    """A copy of the embedded base with one value of a configuration replaced."""
    folder = BASE / "models" / "diffusers" / "damaged"
    shutil.copytree(loaders.ASSETS / "bgdefect-mini", folder)
    (folder / "model_index.json").write_text("{}")
    for part, name, value in (
        ("unet", "block_out_channels", []),
        ("unet", "block_out_channels", None),
        ("unet", "block_out_channels", ["a"]),
        ("unet", "block_out_channels", [0, 128, 192]),
        ("unet", "attention_head_dim", None),
        ("unet", "down_block_types", None),
        ("vae", "block_out_channels", [0, 1]),
        ("vae", "scaling_factor", "x"),
        ("text_encoder", "hidden_size", "x"),
    ):
        with (
            replaced(folder / part / "config.json", name, value),
            refused("damaged cannot be built", "Stable Diffusion's form"),
        ):
            loaders.load_base("damaged")
    for name, value in (
        ("num_train_timesteps", "a"),
        ("beta_schedule", "odd"),
        ("prediction_type", "sample"),
    ):
        with (
            replaced(folder / "scheduler" / "scheduler_config.json", name, value),
            refused(repr(value)),
        ):
            loaders.load_base("damaged")
    loaders.load_base("damaged")
    for (
        part,
        name,
    ) in loaders._HOST_FILES.items():  # of Stable Diffusion's width: the host reads it itself
        if part != "text_encoder_2":
            (folder / part / f"{name}.safetensors").write_bytes(b"")
    with (
        replaced(folder / "unet" / "config.json", "block_out_channels", [320, 640]),
        refused("damaged cannot be built", "header"),
    ):
        loaders.load_base("damaged")


@contextmanager
def replaced(file, name, value):
    text = file.read_text()
    file.write_text(json.dumps({**json.loads(text), name: value}))
    yield
    file.write_text(text)


def samplers_that_add_noise_are_known(inversion, sigmas, latent):
    guider = guider_of.DefectGuider(inversion, "masked", 1.0)
    for name in comfy.samplers.SAMPLER_NAMES:
        noisy = any(
            word in name for word in ("ancestral", "sde", "ddpm", "lcm", "seeds", "sa_solver")
        )
        assert sigma_space.adds_noise(comfy.samplers.sampler_object(name)) == noisy, name
    with refused("sampler adds noise", "replay"):
        guider.sample(
            torch.zeros_like(latent),
            latent,
            comfy.samplers.sampler_object("euler_ancestral"),
            sigmas,
            seed=1,
        )


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
    foreign = types.GraphPrompts(replace(graph.prompts, empty=tokens), [None])
    with refused("the empty prompt has 768 numbers", "CLIP"):
        invert(model, foreign, latent, mask, 2, True)
    skipped = invert(model, graph, latent, mask, 2, True)
    with refused("the inversion was skipped", "noised"):
        sampling.sample_latents(skipped, 1, "replay", 1.0, 1, 2)
    with refused("latent_image has the shape"):
        guider_of.DefectGuider(inversion, "replay", 1.0).sample(
            latent[:1],
            latent[:1, :, :8],
            comfy.samplers.sampler_object("euler"),
            torch.tensor([1.0, 0.5]),
        )
    with refused("background has 2 entries"):
        text = stock.CLIPTextEncode().encode(clip, "two")[0]
        prompts_of.RegionPromptsNode.execute([*text, *text], text, text, 0)
    with refused("words is 100", "76"):
        prompts_of.RegionPromptsNode.execute(text, text, text, 100)
    with refused("attention words 'hole'"):
        prompts_of.RegionPromptEncode.execute(
            clip, "a metal part", "a deep scratch", "mask", "hole"
        )


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

    other = prompts_of.RegionPromptsNode.execute(
        text("a metal part"), text("a deep scratch"), text("mask"), 3, text("")
    )[0]
    for one, same in (
        (graph.prompts.background, other.prompts.background),
        (graph.prompts.defects[0], other.prompts.defects[0]),
    ):
        assert torch.equal(one, same)
    assert [list(words) for words in other.prompts.defect_words] == [[1, 2, 3]]
    assert [list(words) for words in graph.prompts.defect_words] == [[1, 2, 3]]
    for words, places in (("scratch", [3]), (" deep scratch", [2, 3]), (" ", [1, 2, 3])):
        chosen = prompts_of.RegionPromptEncode.execute(
            clip, "a metal part", "a deep scratch", "mask", words
        )[0]
        assert [list(one) for one in chosen.prompts.defect_words] == [places]
        assert torch.equal(chosen.prompts.defects[0], graph.prompts.defects[0])


def main():
    case = small_case()
    model, clip, latent, mask, graph = case.model, case.clip, case.latent, case.mask, case.graph
    before = plain_run(model, clip, latent)
    conditioning_gives_the_same_prompts(clip, graph)
    inversion, sigmas = ours("nodes.inversion").MaskedInversion.execute(
        model, graph, {"samples": latent}, mask, 2, False
    )
    samples_depend_on_their_seed_alone(inversion)
    stock_samplers_keep_the_background(inversion, sigmas, latent)
    samplers_that_add_noise_are_known(inversion, sigmas, latent)
    wrong_wiring_is_refused_by_name(model, clip, graph, latent, mask, inversion)
    cancel_stops_within_a_step(model, graph, latent, mask)
    a_batch_by_the_guider_equals_the_sampler(inversion, sigmas, latent)
    a_start_from_a_paste(inversion, latent)
    parts_of_a_run_are_refused(inversion, latent)
    guidance_of_other_nodes_is_left_out(model, graph, latent, mask)
    another_nodes_cross_attention_is_refused(model, graph, latent, mask)
    the_requested_mask_is_cut_as_the_picture(model, graph, latent, mask)
    what_a_checkpoint_lacks_is_named(graph)
    class_weights_that_do_not_fit_are_refused(model)
    a_pickle_beside_other_weights_is_not_opened()
    damaged_folders_are_refused()
    a_stock_workflow_stays_as_it_was(model, clip, latent, before)


with torch.inference_mode():
    main()
