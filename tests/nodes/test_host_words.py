"""Configurations, names, patches and attention masks in the host's words, without the host."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest
import torch
from bgdefect_pack.bgdefect_core.errors import SettingError, WeightsError
from bgdefect_pack.bgdefect_core.method.regions import Context, RegionPrompts
from safetensors.torch import save_file

from .conftest import NAME, ROOT

small_form = import_module(f"{NAME}.nodes._small_form")
class_patches = import_module(f"{NAME}.nodes._class_patches")
region_call = import_module(f"{NAME}.nodes._region_call")
graph_prompts = import_module(f"{NAME}.nodes._graph_prompts")
wires = import_module(f"{NAME}.nodes._wires")
MINI = ROOT / "bgdefect_core" / "assets" / "bgdefect-mini"


def test_a_configuration_goes_to_the_host_and_back() -> None:
    config = small_form.read_config(MINI, "unet")
    host = small_form.host_unet_config(config)
    assert host["channel_mult"] == [1, 2, 3]
    assert host["transformer_depth"] == [0, 1, 1]
    assert host["transformer_depth_output"] == [0, 0, 1, 1, 1, 1]
    back = class_patches.architecture_of(host)
    assert {name: config[name] for name in back} == back


def test_heads_are_a_number_or_a_width() -> None:
    config = small_form.read_config(MINI, "unet")
    widths = config["block_out_channels"]
    by_level = {**config, "attention_head_dim": [width // 32 for width in widths]}
    host = small_form.host_unet_config(by_level)
    assert (host["num_heads"], host["num_head_channels"]) == (-1, 32)
    with pytest.raises(WeightsError, match="heads of one width"):
        small_form.host_unet_config({**config, "attention_head_dim": [2, 2, 2]})


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("encoder.conv_in.weight", "encoder.conv_in.weight"),
        ("encoder.down_blocks.1.resnets.0.norm1.bias", "encoder.down.1.block.0.norm1.bias"),
        (
            "encoder.down_blocks.0.downsamplers.0.conv.weight",
            "encoder.down.0.downsample.conv.weight",
        ),
        (
            "decoder.up_blocks.0.resnets.2.conv_shortcut.bias",
            "decoder.up.2.block.2.nin_shortcut.bias",
        ),
        ("decoder.mid_block.attentions.0.to_q.weight", "decoder.mid.attn_1.q.weight"),
        ("decoder.mid_block.attentions.0.to_out.0.bias", "decoder.mid.attn_1.proj_out.bias"),
        ("decoder.conv_norm_out.weight", "decoder.norm_out.weight"),
    ],
)
def test_vae_names_of_three_levels(name: str, host: str) -> None:
    assert small_form.vae_name(name, 3) == host


def test_weights_are_safetensors_in_one_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no"):
        small_form.weights_file(tmp_path, "model")
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match="a pickle"):
        small_form.weights_file(tmp_path, "model")
    save_file({"a": torch.ones(1)}, tmp_path / "model.fp16.safetensors")
    assert small_form.weights_file(tmp_path, "model").name == "model.fp16.safetensors"
    (tmp_path / "._model.safetensors").write_bytes(b"\0\5\x16\7")  # of a Mac
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert float(small_form.read_tensors(tmp_path)["a"]) == 0
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        small_form.read_tensors(tmp_path)
    scaled = {"a": torch.zeros(1).to(torch.float8_e4m3fn), "a.scale_weight": torch.ones(1)}
    save_file(scaled, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="quantised weights"):
        small_form.read_tensors(tmp_path)


def test_parts_are_found_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "UNet").mkdir()
    (tmp_path / "UNet" / "Config.JSON").write_text('{"a": 1}')
    assert small_form.read_config(tmp_path, "unet") == {"a": 1}
    with pytest.raises(WeightsError, match="UNet has capitals in its name; .*rename it"):
        small_form.refuse_other_capitals(tmp_path, "unet")


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_configuration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json"):
        small_form.read_config(tmp_path, "unet")


def test_a_full_network_becomes_patches_of_its_own_shapes() -> None:
    weights = {"a.weight": torch.zeros(2, 3)}
    names = {"a.weight": "diffusion_model.x"}
    tensor = torch.ones(2, 3)
    patches = class_patches.full_patches({"a.weight": tensor}, weights, names)
    assert patches == {"diffusion_model.x": ("diff", (tensor,))}
    with pytest.raises(WeightsError, match=r"\(3, 2\)"):
        class_patches.full_patches({"a.weight": torch.ones(3, 2)}, weights, names)


def context(regions: list[int]) -> Context:
    return Context(torch.zeros(1, len(regions), 4), torch.tensor(regions))


def test_pixels_read_the_tokens_of_their_region_alone() -> None:
    call = region_call.RegionCall()
    regions = torch.zeros(1, 4, 4, dtype=torch.long)
    regions[0, 0, 0] = 1
    call.set(context([0, 1, 0]), regions)
    assert call.latent == (4, 4)
    query = torch.zeros(1, 16, 8)
    mask = call.mask((4, 4), query)
    least = torch.finfo(torch.float32).min
    assert mask.shape == (1, 1, 16, 3)
    assert mask[0, 0, 0].tolist() == [least, 0, least]
    assert mask[0, 0, 5].tolist() == [0, least, 0]
    assert call.mask((4, 4), query) is mask
    small = call.mask((2, 2), query[:, :4])
    assert small[0, 0, 0].tolist() == [least, 0, least]  # any coverage counts
    call.clear()
    with pytest.raises(RuntimeError, match="before its regions"):
        call.mask((4, 4), query)


def prompts() -> RegionPrompts:
    tokens = torch.zeros(1, 5, 4)
    return RegionPrompts(tokens, [tokens], tokens, [[1, 2]], None, {})


def test_a_further_defect_brings_its_mask_and_words() -> None:
    before = wires.GraphPrompts(prompts(), [None])
    mask = torch.ones(1, 8, 8)
    after = graph_prompts.with_defect(before, torch.ones(1, 5, 4), [3], mask)
    assert len(before.prompts.defects) == 1
    assert len(after.prompts.defects) == 2
    assert after.prompts.defect_words == [[1, 2], [3]]
    assert after.masks[0] is None
    assert after.masks[1] is mask


def test_one_encoded_text_is_taken_and_its_pooled_vector_kept() -> None:
    tokens, pooled = torch.ones(1, 5, 4, dtype=torch.float16), torch.ones(1, 6)
    taken, added = graph_prompts.from_conditioning([[tokens, {"pooled_output": pooled}]], "defect")
    assert taken.dtype == torch.float32
    assert added["pooled_output"] is pooled
    assert graph_prompts.from_conditioning([[tokens, {}]], "defect")[1] == {}
    for entries in ([], [[tokens, {}]] * 2, [[tokens.expand(2, -1, -1), {}]]):
        with pytest.raises(SettingError, match="one encoded text"):
            graph_prompts.from_conditioning(entries, "defect")


def test_words_stand_behind_the_start_token() -> None:
    tokens = torch.zeros(1, 5, 4)
    assert graph_prompts.word_range(3, tokens, "defect") == [1, 2, 3]
    assert graph_prompts.word_range(0, tokens, "defect") == []
    with pytest.raises(SettingError, match="0 to 4"):
        graph_prompts.word_range(5, tokens, "defect")


def test_the_scheduler_has_a_file_name_of_its_own() -> None:
    text = (MINI / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8")
    assert small_form.read_config(MINI, "scheduler") == json.loads(text)
