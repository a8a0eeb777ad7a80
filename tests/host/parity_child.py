"""Runs inside ComfyUI's own Python: the same case through the host. `parity_child.py HOST
BASE_DIRECTORY PACK CASE...`

Writes into each CASE folder <host's folder name>.json: name of a comparison -> largest absolute
difference.
"""

import json
from pathlib import Path
from types import SimpleNamespace

from child import ARGUMENTS, HOST, ours, stock  # first: it finds the host

# isort: split
import comfy.samplers
import comfy.sd
import comfy.sdxl_clip
import latent_preview
import torch
from safetensors.torch import load_file

base_of, host, loaders = ours("nodes._base"), ours("nodes._host"), ours("nodes._loading")
small_form = ours("nodes._small_form")
prompts_of, weights_of, inversion_of = (
    ours("nodes.prompts"),
    ours("nodes._weights"),
    ours("nodes._inverting"),
)
sampling, guider_of, types = ours("nodes._sampling"), ours("nodes._guider"), ours("nodes._wires")
core_regions, core_randomness = (
    ours("bgdefect_core.method.regions"),
    ours("bgdefect_core.method.randomness"),
)
prepare_callback = latent_preview.prepare_callback
sigma_space = ours("nodes._sigma_space")


def load(source):
    """MODEL, CLIP and VAE of a case; the last two may be None."""
    kind = source["kind"]
    if kind == "file":
        return comfy.sd.load_diffusion_model(source["path"]), None, None
    clip = vae = None
    if kind == "base":
        parts = loaders.load_base(loaders.MINI if source["name"] == "mini" else source["name"])
        model, clip, vae = parts.model, parts.clip, parts.vae
    else:
        model = tiny_sdxl(source)
    if "folder" in source:
        clip, vae = tiny_sdxl_texts_and_vae(Path(source["folder"]))
    if source.get("by") == "class weights":
        model, _ = weights_of.apply_weights(
            model, loaders.weights_path(source["weights"]), 1.0, False
        )
    if source.get("by") == "the host's LoraLoader":
        (model,) = stock.LoraLoaderModelOnly().load_lora_model_only(model, source["weights"], 1.0)
    return model, clip, vae


def tiny_sdxl(source):
    """The host's own SDXL, smaller."""
    import comfy.model_patcher
    import comfy.supported_models

    config = {
        **base_of.host_unet_config(source["unet"]),
        "transformer_depth": [0, 2],
        "transformer_depth_output": [0, 0, 2, 2],
    }
    config |= {
        "transformer_depth_middle": 2,
        "num_classes": "sequential",
        "adm_in_channels": source["adm"],
        "dtype": torch.float32,
    }
    kind = type("TinyXL", (comfy.supported_models.SDXL,), {"unet_extra_config": {}})
    model_config = kind(config)
    renamed = base_of.host_unet_tensors(load_file(source["path"]), config)
    model = model_config.get_model(renamed, "")
    model.load_model_weights(renamed, "")
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


def tiny_sdxl_texts_and_vae(folder):
    """The host's own CLIP of SDXL, smaller, and a VAE."""
    parts = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
    options = {}
    for part, name in parts.items():
        options[f"{name}_model_config"] = small_form.read_config(folder, part)
    target = SimpleNamespace(
        params={}, clip=comfy.sdxl_clip.SDXLClipModel, tokenizer=comfy.sdxl_clip.SDXLTokenizer
    )
    clip = comfy.sd.CLIP(target, embedding_directory=None, model_options=options)
    for part, name in parts.items():
        tensors = {}
        for key, tensor in load_file(folder / part / "model.safetensors").items():
            whole = key.startswith(("text_model.", "text_projection."))
            tensors[key if whole else f"text_model.{key}"] = tensor
        missing, unknown = getattr(clip.cond_stage_model, name).load_sd(tensors)
        assert set(missing) <= {"text_projection.weight"} and not unknown, (missing, unknown)
    config = small_form.read_config(folder, "vae")
    return clip, base_of._vae(config, small_form.read_tensors(folder / "vae"))


def apart(one, other):
    assert one.shape == other.shape, (one.shape, other.shape)
    return float((one.float() - other.float()).abs().max())


def texts_and_pictures(case, wanted, clip, vae, scale, result):
    texts = case["texts"]
    prompts = prompts_of.RegionPromptEncode.execute(clip, *texts[:3])[0]
    if "defect.1" in wanted:
        prompts = prompts_of.AddDefect.execute(prompts, clip, wanted["masks"][1], texts[3])[0]
    result["text"] = max(
        apart(prompts.prompts.background, wanted["background"]),
        apart(prompts.prompts.placeholder, wanted["placeholder"]),
        apart(prompts.prompts.empty, wanted["empty"]),
        *(
            apart(tokens, wanted[f"defect.{number}"])
            for number, tokens in enumerate(prompts.prompts.defects)
        ),
    )
    assert [list(words) for words in prompts.prompts.defect_words] == case["words"]
    if "pooled" in wanted:
        result["pooled"] = apart(prompts.prompts.added["pooled_output"], wanted["pooled"])
    result["encode"] = apart(vae.encode(wanted["pictures"]) * scale, wanted["z_0"])
    painted = vae.decode(wanted["sampled.replay.1.0"][-1] / scale).movedim(-1, 1)
    result["decode"] = apart(painted, (wanted["decoded"] / 2 + 0.5).clamp(0, 1))


def run(folder):
    case, wanted, result = (
        json.loads((folder / "case.json").read_text()),
        load_file(folder / "case.safetensors"),
        {},
    )
    model, clip, vae = load(case["source"])
    before = (len(model.patches), repr(model.model_options), model.model_dtype())
    z_0, scale = wanted["z_0"], model.model.latent_format.scale_factor
    if case["texts"]:
        texts_and_pictures(case, wanted, clip, vae, scale, result)
    pooled = {"pooled_output": wanted["pooled"]} if "pooled" in wanted else {}
    defects = [wanted[f"defect.{number}"] for number in range(len(case["words"]))]
    prompts = core_regions.RegionPrompts(
        wanted["background"],
        defects,
        wanted["placeholder"],
        case["words"],
        wanted.get("empty"),
        pooled,
    )
    masks = wanted["masks"]
    graph = types.GraphPrompts(prompts, [None, *masks[1:]])
    inversion = inversion_of.invert_latents(
        model, graph, z_0 / scale, masks[0], case["steps"], False
    )
    result["inversion"] = apart(torch.stack(inversion.trajectory), wanted["levels.replay"])
    sigmas = sigma_space.sigmas_of(inversion.levels)
    for name in sorted(wanted):
        kind, _, rest = name.partition(".")
        if kind != "sampled":
            continue
        mode, guidance = rest.split(".", 1)[0], float(rest.split(".", 1)[1])
        seed = case["seed"]
        passed = []
        latent_preview.prepare_callback = lambda model, steps, into=passed: (
            lambda step, x_0, z, total: into.append(z)
        )
        node, maps = sampling.sample_latents(inversion, seed, mode, guidance, 1, len(z_0))
        latent_preview.prepare_callback = prepare_callback
        result[f"steps {rest}"] = apart(torch.stack(passed[-case["steps"] :]), wanted[name])
        result[f"node {rest}"] = apart(node * scale, wanted[name][-1])
        for grid, mean in maps.recorder.means.items():
            result[f"map {rest} {grid}"] = apart(mean, wanted[f"map.{rest}.{grid[0]}x{grid[1]}"])
        assert len(maps.recorder.means) == sum(other.startswith(f"map.{rest}.") for other in wanted)
        guider = guider_of.DefectGuider(inversion, mode, guidance)
        noise = core_randomness.seeded_noise(case["seeds"], z_0.shape[1:])
        result[f"euler {rest}"] = apart(
            guider.sample(noise, z_0, comfy.samplers.sampler_object("euler"), sigmas, seed=seed),
            sampling.sample_latents(inversion, seed, mode, guidance, 1, len(z_0), "ddim")[0],
        )
        if mode == "masked":
            result["descent"] = apart(torch.stack(inversion.descent), wanted["levels.masked"])
        if mode in ("replay", "noised"):
            outside = (inversion.regions == 0)[:, None].expand_as(node)
            assert torch.equal(node[outside], inversion.latent[outside])
    assert before == (len(model.patches), repr(model.model_options), model.model_dtype())
    (folder / f"{HOST.name}.json").write_text(json.dumps(result))


with torch.inference_mode():
    for argument in ARGUMENTS:
        run(Path(argument))
