"""Runs inside ComfyUI's own Python: a U-Net whose Linear weights are stored as scaled fp8, against
the same numbers stored plainly.

`quantised_child.py HOST BASE_DIRECTORY PACK UNET LORA`: a whole U-Net under diffusers' names, and a
    LoRA of ours for it. Prints JSON:
"none" and "LoRA", the largest difference of latents and of maps; "effect", what the LoRA itself
changes in the latents.
"""

import gc
import json
import sys
from pathlib import Path

from child import ARGUMENTS, BASE, ours  # first: it finds the host

# isort: split
import comfy.model_detection
import comfy.model_management
import comfy.sd
import comfy.utils
import torch
from safetensors.torch import load_file, save_file

inversion_of, sampling, types = (
    ours("nodes._inverting"),
    ours("nodes._sampling"),
    ours("nodes._wires"),
)
weights_of, core_weights, core_regions = (
    ours("nodes._weights"),
    ours("bgdefect_core.weights.files"),
    ours("bgdefect_core.method.regions"),
)
FP8, LARGEST = torch.float8_e4m3fn, 448.0


def stored_both_ways(unet):
    """The host's names -> tensors: as scaled fp8, and the numbers that these stand for."""
    config = comfy.model_detection.model_config_from_diffusers_unet(unet).unet_config
    names = comfy.utils.unet_to_diffusers(config)
    quantised, plain = (
        {"scaled_fp8": torch.zeros(2, dtype=FP8)},
        {},
    )  # two numbers: no products of fp8 matrices
    linear = {
        name.removesuffix(".weight")
        for name, tensor in unet.items()
        if name.endswith(".weight") and tensor.ndim == 2
    }
    for theirs, tensor in unet.items():
        ours_name, tensor = names[theirs], tensor.float()
        module, _, end = theirs.rpartition(".")
        if module in linear and end == "weight":
            scale = (
                4 * tensor.abs().max() / LARGEST
            )  # room for what a LoRA adds, as the outliers of trained weights leave it
            quantised[ours_name] = (tensor / scale).to(FP8)
            quantised[ours_name.removesuffix("weight") + "scale_weight"] = scale
            tensor = quantised[ours_name].float() * scale
        elif module in linear:
            tensor = tensor.to(FP8).float()  # v0.3.64 keeps the bias of such a layer in fp8
            quantised[ours_name] = tensor
        else:
            quantised[ours_name] = tensor.half()
            tensor = quantised[ours_name].float()
        plain[ours_name] = tensor
    return quantised, plain


def prompts():
    generator = torch.Generator().manual_seed(9)
    background, defect, placeholder = (
        torch.randn(1, 77, 768, generator=generator) for _ in range(3)
    )
    return types.GraphPrompts(
        core_regions.RegionPrompts(background, [defect], placeholder, [[1, 2]]), [None]
    )


def painted(model):
    z_0 = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(11))
    mask = torch.zeros(1, 128, 128)
    mask[:, 30:90, 20:70] = 1
    inversion = inversion_of.invert_latents(model, prompts(), z_0, mask, 2, False)
    samples, maps = sampling.sample_latents(inversion, 3, "replay", 1.0, 1, 1)
    return [*inversion.trajectory, samples], list(maps.recorder.means.values())


def apart(ones, others):
    return max(float((one - other).abs().max()) for one, other in zip(ones, others, strict=True))


def base_of(model):
    """As Apply Defect Weights names it."""
    names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
    chosen = core_weights.FINGERPRINT_TENSORS
    return core_weights.fingerprint(
        {name: weights_of._unpatched(model, f"diffusion_model.{names[name]}") for name in chosen}
    )


def results(model, lora):
    with_lora, _ = weights_of.apply_weights(model, lora, 1.0, False)
    found = {"none": painted(model), "LoRA": painted(with_lora)}
    comfy.model_management.unload_all_models()
    gc.collect()
    return found, base_of(model)


def main():
    unet, lora = load_file(ARGUMENTS[0]), Path(ARGUMENTS[1])
    quantised, plain = stored_both_ways(unet)
    del unet
    file = BASE / "quantised.safetensors"
    save_file(
        {
            f"model.diffusion_model.{name}": tensor.contiguous()
            for name, tensor in quantised.items()
        },
        file,
    )
    del quantised
    model = comfy.sd.load_diffusion_model(str(file))
    weights = [parameter.data for parameter in model.model.diffusion_model.parameters()]
    kept = sum(type(weight) is not torch.Tensor or weight.dtype == FP8 for weight in weights)
    assert kept > 100, kept  # the host has not turned them into plain numbers while it read them
    small, of_quantised = results(model, lora)
    del model, weights
    gc.collect()
    whole, of_plain = results(comfy.sd.load_diffusion_model_state_dict(plain), lora)
    assert of_quantised == core_weights.UNKNOWN != of_plain
    effect = apart(whole["LoRA"][0], whole["none"][0])
    figures = {
        kind: [apart(one, other) for one, other in zip(whole[kind], small[kind], strict=True)]
        for kind in whole
    }
    sys.stdout.write(json.dumps({"effect": effect, **figures}) + "\n")


with torch.inference_mode():
    main()
