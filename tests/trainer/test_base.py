"""Bases: three kinds of places, prompts as Stable Diffusion encodes them, and every refusal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bgdefect_core.errors import SettingError, WeightsError
from bgdefect_core.weights.files import UNKNOWN
from trainer.bases.licences import licence_of
from trainer.bases.load import Base, load_base, load_tokenizer
from trainer.bases.timing import duration

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> Base:
    return load_base(tiny_base)


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


def test_a_tokenizer_as_the_installed_transformers_saves_it(base: Base, tmp_path: Path) -> None:
    """Version 5 saves tokenizer.json alone, version 4 vocab.json and merges.txt."""
    base.tokenizer.save_pretrained(tmp_path)
    saved = load_tokenizer(tmp_path)
    text = "a scratch defect on a nut"
    assert saved(text).input_ids == base.tokenizer(text).input_ids


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
    path = copy / "tokenizer" / file
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (4.23, "4.2 s"),
        (59.6, "1 min 00 s"),
        (187, "3 min 07 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_a_time_is_told_by_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
