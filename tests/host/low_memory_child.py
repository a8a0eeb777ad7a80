"""Runs inside ComfyUI's own Python: the host's path for little memory (``--lowvram``), which it
refuses beside ``--cpu``.

`low_memory_child.py HOST BASE_DIRECTORY PACK`
"""

import sys
from contextlib import contextmanager
from dataclasses import replace

from child import BASE, ours  # first: it finds the host

# isort: split
import comfy.model_management as management
import comfy.samplers
import torch
from small_case import small_case

loaders, base_of, weights_of = ours("nodes._loading"), ours("nodes._base"), ours("nodes._weights")
inversion_of, sampling, guider_of = (
    ours("nodes._inverting"),
    ours("nodes._sampling"),
    ours("nodes._guider"),
)
host, core_randomness, core_weights = (
    ours("nodes._host"),
    ours("bgdefect_core.method.randomness"),
    ours("bgdefect_core.weights.files"),
)
sigma_space = ours("nodes._sigma_space")


@contextmanager
def at_most(total):
    """``total`` bytes of each model are loaded, the rest is cast and patched at use.

    The host asks with what may be loaded besides. A total that grows would load a module whose
    patches it keeps at use as well, and so patch it twice: a fault of its own, not what is looked
    at here.
    """
    load = management.LoadedModel.model_load

    def model_load(loaded, lowvram_model_memory=0, force_patch_weights=False):
        return load(loaded, max(0.1, total - loaded.model_loaded_memory()), force_patch_weights)

    management.unload_all_models()
    management.LoadedModel.model_load = model_load
    try:
        yield
    finally:
        management.LoadedModel.model_load = load
        management.unload_all_models()


def painted(model, case):
    """All that the nodes make of a MODEL: inversion, samples, maps, samples of the guider."""
    inversion = inversion_of.invert_latents(model, case.graph, case.latent, case.mask, 2, False)
    latents, maps = sampling.sample_latents(inversion, 7, "replay", 1.5, 1, 2)
    guider = guider_of.DefectGuider(inversion, "replay", 1.5)
    noise = core_randomness.seeded_noise(sigma_space.seeds_of(7, 2), case.latent.shape[1:])
    euler, sigmas = comfy.samplers.sampler_object("euler"), sigma_space.sigmas_of(inversion.levels)
    return [
        *inversion.trajectory,
        *maps.recorder.means.values(),
        guider.sample(noise, case.latent, euler, sigmas, seed=7),
        latents,
    ]


def of_modules(model, name):
    """How many modules have something under this name of the host's."""
    return sum(bool(getattr(module, name, None)) for module in model.model.modules())


def saved_classes():
    """A LoRA and a whole U-Net, by kind."""
    lora = loaders.weights_path("brushed_metal-scratch.safetensors")
    tensors = base_of.read_tensors(loaders.ASSETS / "bgdefect-mini" / "unet")
    generator = torch.Generator().manual_seed(2)
    changed = {
        name: weight * (1 + 0.05 * torch.randn(weight.shape, generator=generator))
        for name, weight in tensors.items()
    }
    info = replace(core_weights.read_info(lora), kind="full", lora_rank=0, lora_alpha=0.0)
    core_weights.save_weights(BASE / "full.safetensors", changed, info)
    return {"lora": lora, "full": BASE / "full.safetensors"}


def main():
    case, files = small_case(), saved_classes()
    before = {name: weight.clone() for name, weight in case.model.model.state_dict().items()}
    plain = painted(case.model, case)
    for kind, file in files.items():
        model, _ = weights_of.apply_weights(case.model, file, 1.0, False)
        whole = painted(model, case)
        assert not model.model.model_lowvram and of_modules(model, "weight_function") == 0
        assert not torch.allclose(whole[-1], plain[-1], atol=1e-2), kind  # the class does something
        weights_of.apply_weights(
            model, files["full"], 1.0, False
        )  # its base is known although its weights are patched just now
        for share in (0.0, 0.88):
            with at_most(share * model.model_size()):
                part = painted(model, case)
                assert model.model.model_lowvram and of_modules(model, "weight_function"), (
                    kind,
                    share,
                )
                assert bool(of_modules(model, "comfy_patched_weights")) == (share > 0), (
                    kind,
                    share,
                )
                weights_of.apply_weights(
                    model, files["full"], 1.0, False
                )  # its base is known although its weights are patched just now
            worst = max(
                float((one - other).abs().max()) for one, other in zip(whole, part, strict=True)
            )
            sys.stdout.write(f"{kind}, {share} of it loaded: largest difference {worst:.1e}\n")
            assert worst < 1e-4, (kind, share, worst)
    assert all(
        torch.equal(before[name], weight) for name, weight in case.model.model.state_dict().items()
    )


with torch.inference_mode():
    main()
