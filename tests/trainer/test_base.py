"""Bases: three kinds of places, prompts as Stable Diffusion encodes them, and every refusal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from bgdefect_core.errors import SettingError, WeightsError
from bgdefect_core.paths import ASSETS
from bgdefect_core.weights.files import UNKNOWN
from trainer.bases.families import FAMILIES, family
from trainer.bases.licences import licence_of
from trainer.bases.load import Base, load_base, load_tokenizer
from trainer.training.tuning import class_tensors, make_trainable

from . import single_file_writer as writer

ROOT = Path(__file__).parents[2]
CONFIGS = ASSETS / "configs"


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Base:
    return load_base(tiny_base)


def config(name: str, part: str) -> dict[str, Any]:
    return json.loads((CONFIGS / name / part / "config.json").read_text())


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_folder_says_what_it_is(base: Base) -> None:
    assert (base.factor, base.resolution, base.licence) == (2, 32, "unknown")
    assert len(base.fingerprint) == 64
    assert base.architecture["cross_attention_dim"] == 16
    assert base.schedule.prediction_type == "epsilon"
    assert not any(
        p.requires_grad
        for part in (base.unet, base.vae, base.text_encoder)
        for p in part.parameters()
    )


def test_encode_is_the_scaled_mean_and_decode_takes_the_scale_off(base: Base) -> None:
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        mean = base.vae.encode(pixels).latent_dist.mean
        torch.testing.assert_close(base.encode(pixels), mean * 1.5)
        torch.testing.assert_close(base.decode(mean * 1.5), base.vae.decode(mean).sample)


def test_a_text_encoder_of_either_transformers_version(
    tiny_base: Path, base: Base, tmp_path: Path
) -> None:
    """Version 4 saves its tensors below "text_model.", version 5 without; the installed one reads
    both."""
    for form, prefix in (("four", "text_model."), ("five", "")):
        folder = tmp_path / form
        shutil.copytree(tiny_base, folder)
        file = folder / "text_encoder" / "model.safetensors"
        tensors = {
            prefix + name.removeprefix("text_model."): tensor
            for name, tensor in load_file(file).items()
        }
        save_file(tensors, file, {"format": "pt"})
        assert torch.equal(
            load_base(folder).prompts("a nut", ["hole"], "mask").background,
            base.prompts("a nut", ["hole"], "mask").background,
        )


def test_prompts_are_the_last_hidden_state_and_know_their_words(base: Base) -> None:
    prompts = base.prompts("a photo of a nut", ["scratch", "a hole"], "mask")
    assert prompts.background.shape == prompts.placeholder.shape == (1, 77, 16)
    assert list(prompts.defect_words) == [(1,), (1, 2)]
    assert prompts.empty is not None and prompts.empty.shape == (1, 77, 16)
    ids = base.tokenizer(
        "scratch", padding="max_length", max_length=77, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        torch.testing.assert_close(prompts.defects[0], base.text_encoder(ids).last_hidden_state)


def test_chosen_words_of_a_prompt(base: Base) -> None:
    """Choice 3: which words Eq. 13 reads is an option; by default all."""
    prompts = base.prompts("a", ["a scratch defect on a scratch", "scratch"], "mask", "scratch")
    assert [list(words) for words in prompts.defect_words] == [[2, 6], [1]]
    assert list(
        base.prompts("a", ["a scratch defect on a nut"], "mask", "defect on").defect_words[0]
    ) == [3, 4]
    for words in ("hole", "", "defect scratch"):
        with pytest.raises(SettingError, match="attention words"):
            base.prompts("a", ["a scratch defect on a nut"], "mask", words)


def test_contexts_are_one_object_each(base: Base) -> None:
    """Predictors keep what they derive from a context by identity: a new one a call would fill the
    memory."""
    prompts = base.prompts("a", ["b"], "c")
    assert prompts.defect_context() is prompts.defect_context()
    assert prompts.background_context() is not prompts.defect_context()


def test_long_prompt_is_cut_with_a_warning(base: Base, caplog: pytest.LogCaptureFixture) -> None:
    prompts = base.prompts("a", ["nut " * 100], "mask")
    assert prompts.defects[0].shape == (1, 77, 16)
    assert list(prompts.defect_words[0]) == list(range(1, 76))
    assert "102 tokens" in caplog.text


@pytest.mark.parametrize(
    "file, text, licence",
    [
        ("README.md", "---\nlicense: creativeml-openrail-m\n---\n", "CreativeML OpenRAIL-M"),
        (
            "README.md",
            "---\ntags:\n- x\nlicense: 'openrail++'  # SD 2.x\n---\nunder the Apache License\n",
            "CreativeML Open RAIL++-M",
        ),
        ("README.md", "---\nlicense: apache-2.0\n---\n", "Apache-2.0"),
        ("README.md", "---\nlicense: cc-by-nc-4.0\n---\n", "unknown (cc-by-nc-4.0)"),
        (
            "README.md",
            "---\nlicense: other\nlicense_name: house-rules\n---\n",
            "unknown (house-rules)",
        ),
        (
            "README.md",
            "---\nextra:\n  license: mit\n---\nLimitations: not permitted. MIT License\n",
            "unknown",
        ),
        ("README.md", "# CreativeML Open RAIL++-M\nLimitations: see above\n", "unknown"),
        (
            "LICENSE.md",
            "Copyright (c) 2022\n\nCreativeML Open RAIL-M\ndated August 22, 2022\n",
            "CreativeML OpenRAIL-M",
        ),
        (
            "LICENSE-MODEL",
            "Copyright (c) 2022\n\nCreativeML Open RAIL++-M License\n",
            "CreativeML Open RAIL++-M",
        ),
        ("LICENSE", (ROOT / "LICENSE").read_text(), "Apache-2.0"),
        ("LICENCE.txt", "The MIT License (MIT)\n\nCopyright", "MIT"),
        (
            "LICENSE",
            "Limitation of liability\nNo use is permitted.\n",
            "unknown (Limitation of liability)",
        ),
        (
            "LICENSE",
            "Not derived from Apache software.\n",
            "unknown (Not derived from Apache software.)",
        ),
        ("LICENSE", "", "unknown"),
        ("NOTICE", "MIT License\n", "unknown"),
    ],
)
def test_licence_is_named_by_the_card_or_by_a_whole_title(
    tmp_path: Path, file: str, text: str, licence: str
) -> None:
    (tmp_path / file).write_text(text)
    assert licence_of(tmp_path) == licence


def test_licence_of_a_base_is_its_folders_and_the_card_goes_before_the_text(
    tiny_base: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    (copy / "LICENSE").write_text("MIT License\n")
    assert load_base(copy).licence == "MIT"
    (copy / "README.md").write_text("---\nlicense: creativeml-openrail-m\n---\n")
    assert load_base(copy).licence == "CreativeML OpenRAIL-M"


def test_bf16_weights_have_no_fingerprint_and_fp16_ones_have(
    tiny_base: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    save_file({name: tensor.half() for name, tensor in state.items()}, file)
    assert load_base(copy).fingerprint == load_base(tiny_base).fingerprint
    save_file({name: tensor.bfloat16() for name, tensor in state.items()}, file)
    assert load_base(copy).fingerprint == UNKNOWN


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_missing_part_is_named(tiny_base: Path, tmp_path: Path, part: str) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    shutil.rmtree(copy / part)
    with pytest.raises(WeightsError, match=f"lacks {part}"):
        load_base(copy)


def test_pickles_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    (copy / "unet" / "diffusion_pytorch_model.safetensors").rename(
        copy / "unet" / "diffusion_pytorch_model.bin"
    )
    with pytest.raises(WeightsError, match="a pickle"):
        load_base(copy)
    checkpoint = tmp_path / "model.ckpt"
    torch.save({"a": torch.zeros(1)}, checkpoint)
    with pytest.raises(WeightsError, match="is a .ckpt file"):
        load_base(checkpoint)
    shutil.copy(checkpoint, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="is a pickle .* under another name"):
        load_base(tmp_path / "model.safetensors")


def test_damaged_and_absent_places(tiny_base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    file = copy / "vae" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="is truncated within its header.*copy the file again"):
        load_base(copy)
    with pytest.raises(WeightsError, match="nothing is downloaded"):
        load_base("runwayml/stable-diffusion-v1-5")


def test_incomplete_weights_are_refused(tiny_base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    del state["conv_out.weight"]
    save_file(state, file)
    with pytest.raises(WeightsError, match="lacks 1 tensors, first conv_out"):
        load_base(copy)


@pytest.mark.parametrize(
    ("part", "value"), [("unet", "nan"), ("vae", "inf"), ("text_encoder", "nan")]
)
def test_weights_that_are_no_numbers_are_refused(
    tiny_base: Path, tmp_path: Path, part: str, value: str
) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    (file,) = (copy / part).glob("*.safetensors")
    state = load_file(file)
    name = sorted(key for key in state if key.endswith("bias"))[0]
    state[name][0] = float(value)
    save_file(state, file, {"format": "pt"})
    with pytest.raises(
        WeightsError,
        match=f"{name.removeprefix('text_model.')} in the .* of copy holds NaN or infinity",
    ):
        load_base(copy)


# --- single files
# ------------------------------------------------------------------------------

SMALL_UNET = {
    "block_out_channels": [32, 32, 32, 32],
    "attention_head_dim": 4,
    "use_linear_projection": False,
}
SMALL_VAE = {"block_out_channels": [32, 32, 32, 32]}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our configurations with all widths shrunk, but the text's own: where it stands in the file
    tells 1.x from 2.x."""
    assets = tmp_path / "assets"
    shutil.copytree(CONFIGS, assets / "configs")
    for name in ("sd1", "sd2"):
        text = {"num_hidden_layers": 1, "intermediate_size": 32}
        for part, changes in (("unet", SMALL_UNET), ("vae", SMALL_VAE), ("text_encoder", text)):
            path = assets / "configs" / name / part / "config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    monkeypatch.setattr(family, "ASSETS", assets)
    return assets / "configs"


def networks(configs: Path, name: str) -> tuple[Any, Any, Any]:
    def read(part: str) -> dict[str, Any]:
        return json.loads((configs / name / part / "config.json").read_text())

    text = CLIPTextConfig(**read("text_encoder"))
    return (
        UNet2DConditionModel(**_plain(read("unet"))),
        AutoencoderKL(**_plain(read("vae"))),
        CLIPTextModel(text),
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith("_")}


def _tokenizer(base: Path, file: str, text: str | None) -> None:
    shutil.rmtree(base / "tokenizer")
    shutil.copytree(ASSETS / "bgdefect-mini" / "tokenizer", base / "tokenizer")
    (base / "tokenizer" / file).unlink() if text is None else (
        base / "tokenizer" / file
    ).write_text(text)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("vocab.json", None, "tokenizer lacks vocab.json"),
        ("vocab.json", "{}", "tokenizer cannot be loaded"),
        ("merges.txt", "", "8 tokens of two words|10 tokens of two words"),
        ("merges.txt", "{", "tokenizer cannot be loaded"),
        ("tokenizer_config.json", "{", "tokenizer cannot be loaded"),
        ("tokenizer_config.json", "{}", "of at most 1000000"),
    ],
)
def test_a_damaged_tokenizer_is_named(
    tiny_base: Path, tmp_path: Path, file: str, text: str | None, message: str
) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    _tokenizer(copy, file, text)
    with pytest.raises(WeightsError, match=message):
        load_base(copy)


def test_an_empty_tokenizer_is_named(tiny_base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    shutil.rmtree(copy / "tokenizer")
    (copy / "tokenizer").mkdir()
    with pytest.raises(
        WeightsError, match="tokenizer lacks vocab.json, merges.txt, tokenizer_config.json"
    ):
        load_base(copy)
    with pytest.raises(WeightsError, match="nowhere lacks vocab.json"):
        load_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "lacks beta_schedule, beta_start, beta_end, num_train_timesteps"),
        ({"beta_start": "x"}, "beta_start 'x'"),
        ({"num_train_timesteps": 0}, "num_train_timesteps 0"),
    ],
)
def test_a_damaged_scheduler_is_no_linear_one(
    tiny_base: Path, tmp_path: Path, change: dict[str, Any] | None, message: str
) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text("{}" if change is None else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WeightsError, match=message):
        load_base(copy)


@pytest.mark.parametrize("name", ["sd1", "sd2"])
def test_single_file_round_trip(small: Path, tmp_path: Path, name: str) -> None:
    unet, vae, text = networks(small, name)
    with torch.no_grad():
        torch.nn.init.normal_(
            dict(unet.named_parameters())[
                "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias"
            ]
        )
    encode = writer.clip_names if name == "sd1" else writer.open_clip_names
    parts = (
        writer.unet_names(unet.state_dict()),
        writer.vae_names(vae.state_dict()),
        encode(text.state_dict()),
    )
    base = load_base(writer.write_single_file(tmp_path / "some-model.safetensors", *parts))
    for ours, theirs in ((base.unet, unet), (base.vae, vae), (base.text_encoder, text)):
        found = ours.state_dict()
        for key, tensor in theirs.state_dict().items():
            assert torch.equal(found[key], tensor), key
    assert base.name == "some-model"
    assert (base.resolution, base.schedule.prediction_type) == (
        (512, "epsilon") if name == "sd1" else (768, "v_prediction")
    )
    assert base.licence == (
        "CreativeML OpenRAIL-M (SD 1.x)" if name == "sd1" else "CreativeML Open RAIL++-M (SD 2.x)"
    )
    assert base.tokenizer.pad_token_id == (49407 if name == "sd1" else 0)
    assert base.prompts("a", ["b"], "c").background.shape[1] == 77


def test_single_file_refusals(small: Path, tmp_path: Path) -> None:
    unet, vae, text = networks(small, "sd1")
    unet_part, vae_part = writer.unet_names(unet.state_dict()), writer.vae_names(vae.state_dict())
    text_part = writer.clip_names(text.state_dict())

    def refused(match: str, *parts: dict[str, torch.Tensor]) -> None:
        with pytest.raises(WeightsError, match=match):
            load_base(writer.write_single_file(tmp_path / "model.safetensors", *parts))

    refused("holds no VAE", unet_part, text_part)
    refused("holds no text encoder", unet_part, vae_part)
    refused("holds no U-Net", vae_part, text_part)
    first = "model.diffusion_model.input_blocks.0.0.weight"
    refused("reads 9 channels", unet_part | {first: torch.zeros(32, 9, 3, 3)}, vae_part, text_part)
    wide = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    refused("text of width 2048", unet_part | {wide: torch.zeros(32, 2048)}, vae_part, text_part)
    refused("unknown layout", {"model.diffusion_model.x": torch.zeros(1)}, vae_part, text_part)
    some = {name: tensor for name, tensor in unet_part.items() if "middle_block.0" not in name}
    refused("mid_block|cannot be loaded", some, vae_part, text_part)


def test_our_configurations_are_stable_diffusions() -> None:
    """Published numbers of parameters, and the size of a LoRA: rank 8 stays under 10 MB even in
    fp32."""
    with torch.device("meta"):
        for name, unet, text in (
            ("sd1", 859_520_964, 123_060_480),
            ("sd2", 865_910_724, 340_387_840),
        ):
            assert parameters(CLIPTextModel(CLIPTextConfig(**config(name, "text_encoder")))) == text
            assert parameters(AutoencoderKL(**_plain(config(name, "vae")))) == 83_653_863
            network = UNet2DConditionModel(**_plain(config(name, "unet")))
            assert parameters(network) == unet
    rank = 8
    wanted = 0
    for key, tensor in network.state_dict().items():
        if key.endswith(("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight")):
            wanted += rank * sum(tensor.shape)
    trained = make_trainable(network, FAMILIES["sd2"].lora_modules, rank, 0)
    assert sum(parameter.numel() for parameter in trained) == wanted
    tensors = class_tensors(network, rank)
    assert (
        sum(tensor.numel() for key, tensor in tensors.items() if not key.endswith(".alpha"))
        == wanted
    )
    assert 4 * wanted < 10e6


_UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 64,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 2,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "center_input_sample": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
}
_TEXT = {
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "layer_norm_eps": 1e-5,
    "attention_dropout": 0.0,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}
_VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "scaling_factor": 0.18215,
}
PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "sd1": {
        "unet": _UNET | {"cross_attention_dim": 768, "attention_head_dim": 8},
        "text_encoder": _TEXT
        | {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
        }
        | {"projection_dim": 768, "hidden_act": "quick_gelu"},
        "vae": _VAE | {"sample_size": 512},
    },
    "sd2": {
        # upcast_attention as in 2.1 for 768 px; the 512 px one leaves it out. It changes what old
        # attention code did in fp16 alone.
        "unet": _UNET
        | {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20]}
        | {"use_linear_projection": True, "upcast_attention": True},
        "text_encoder": _TEXT
        | {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 23,
            "num_attention_heads": 16,
        }
        | {"projection_dim": 512, "hidden_act": "gelu"},
        "vae": _VAE | {"sample_size": 768},
    },
}
"""The configurations of stable-diffusion-v1-5 and stable-diffusion-2-1-base as their makers publish
them in diffusers' form."""
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
}
SCHEDULE |= {
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_our_configurations_say_what_the_published_ones_say(name: str) -> None:
    for part, published in PUBLISHED[name].items():
        ours = _plain(config(name, part))
        kept = {
            key: value for key, value in ours.items() if key not in ("architectures", "model_type")
        }
        assert kept == published, part
    scheduler = json.loads((CONFIGS / name / "scheduler" / "scheduler_config.json").read_text())
    assert _plain(scheduler) == SCHEDULE


@pytest.mark.slow
def test_real_size_single_file(tmp_path: Path) -> None:
    """A file of SD 1.5's own size and shapes (2 GB of zeros in fp16)."""
    parts: list[dict[str, torch.Tensor]] = []
    with torch.device("meta"):
        made = (
            (writer.unet_names, UNet2DConditionModel(**_plain(config("sd1", "unet")))),
            (writer.vae_names, AutoencoderKL(**_plain(config("sd1", "vae")))),
            (writer.clip_names, CLIPTextModel(CLIPTextConfig(**config("sd1", "text_encoder")))),
        )
    for names, network in made:
        state = {
            key: torch.zeros(tensor.shape, dtype=torch.float16)
            for key, tensor in network.state_dict().items()
        }
        parts.append(names(state))
    base = load_base(writer.write_single_file(tmp_path / "sd15.safetensors", *parts))
    assert parameters(base.unet) == 859_520_964
    assert (base.factor, base.resolution) == (8, 512)
    assert base.encode(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 8, 8)
