"""Runs inside ComfyUI's own Python: SDXL's names and shapes, as the host's converter has them.
`sdxl_names_child.py HOST BASE_DIRECTORY PACK SHAPES`, a JSON file of what the trainer writes:
`unet` and `lora`, each name -> shape. Nothing takes memory: all tensors are on meta."""

import json
from pathlib import Path

from child import ARGUMENTS, ours  # first: it finds the host

# isort: split
import comfy.lora
import comfy.model_detection
import comfy.utils
import torch

architecture_of = ours("nodes._class_patches").architecture_of


def main():
    shapes = json.loads(Path(ARGUMENTS[0]).read_text())
    unet = {name: torch.empty(shape, device="meta") for name, shape in shapes["unet"].items()}
    config = comfy.model_detection.model_config_from_diffusers_unet(unet)
    assert type(config).__name__ == "SDXL", type(config)
    model = config.get_model({}, "", device="meta")
    weights = model.diffusion_model.state_dict()
    names = comfy.utils.unet_to_diffusers(config.unet_config)
    assert set(unet) <= set(names), sorted(set(unet) - set(names))[:3]
    assert {names[name] for name in unet} == set(weights)
    for name, tensor in unet.items():
        assert weights[names[name]].shape == tensor.shape, name
    places = comfy.lora.model_lora_keys_unet(model, {})
    for name, shape in shapes["lora"].items():
        module, _, end = name.partition(".")
        weight = weights[places[module].removeprefix("diffusion_model.")]
        if end == "lora_up.weight":
            assert shape == [weight.shape[0], shapes["rank"]], name
        elif end == "lora_down.weight":
            assert shape == [shapes["rank"], weight.shape[1]], name
        else:
            assert (end, shape) == ("alpha", []), name
    host = architecture_of(config.unet_config)
    assert {name: shapes["architecture"][name] for name in host} == host


main()
