from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from torch import Tensor

from bgdefect_core.errors import SettingError, WeightsError
from bgdefect_core.method import attention
from bgdefect_core.method.attention import (
    MOST_SCORES,
    RegionProcessor,
    attend,
    attention_grid,
    region_attention,
)
from bgdefect_core.method.attention_maps import MapRecorder
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.regions import Context, RegionPrompts, word_places
from bgdefect_core.pictures.region_maps import resize_region_map

from .conftest import (
    WIDTH,
    boxes,
    make_prompts,
    random_tensor,
    sd_schedule,
    tiny_sdxl_unet,
    tiny_unet,
)

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"


class TwoSoftmaxes:
    """Eq. 10 as it is printed: one softmax a region, put together with ``m'``. Slow, and keeps
    every attention map."""

    def __init__(
        self, context: Context, regions: Tensor, words: list[Tensor] | None = None
    ) -> None:
        self.context, self.regions, self.words = context, regions, words or []
        self.maps: dict[tuple[int, ...], list[Tensor]] = {}

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        mask: None = None,
        **kwargs: Any,
    ) -> Tensor:
        assert attn.to_q.in_features == hidden_states.shape[-1]
        batch, pixels, _ = hidden_states.shape
        height, width = self.regions.shape[1:]
        while height * width > pixels:
            height, width = -(-height // 2), -(-width // 2)
        m = resize_region_map(self.regions, (height, width)).flatten(1)
        groups = encoder_hidden_states.shape[0]
        tokens = torch.stack([encoder_hidden_states[i * groups // batch] for i in range(batch)])
        result = torch.zeros(batch, pixels, attn.to_q.out_features)
        shares = torch.zeros(batch, pixels)
        depth = attn.to_q.out_features // attn.heads
        for region in sorted(set(self.context.token_region.tolist())):
            own = self.context.token_region == region
            for head in range(attn.heads):
                part = slice(head * depth, (head + 1) * depth)
                q = attn.to_q(hidden_states)[..., part]
                k, v = attn.to_k(tokens[:, own])[..., part], attn.to_v(tokens[:, own])[..., part]
                weights = (q @ k.transpose(1, 2) / depth**0.5).softmax(-1)
                m_region = (m == region).to(q)[..., None]
                result[..., part] += m_region * (weights @ v)
                if region and self.words:
                    full = torch.zeros(batch, pixels, len(own))
                    full[..., own] = weights
                    shares += (
                        m_region[..., 0] * full[..., self.words[region - 1]].sum(-1) / attn.heads
                    )
        self.maps.setdefault((height, width), []).append(shares.view(batch, height, width))
        output: Tensor = attn.to_out[0](result)
        return output


def written_out(
    unet: UNet2DConditionModel,
    z: Tensor,
    t: int,
    context: Context,
    regions: Tensor,
    slow: TwoSoftmaxes | None = None,
) -> Tensor:
    before = unet.attn_processors
    slow = slow or TwoSoftmaxes(context, regions)
    unet.set_attn_processor(
        {name: slow if ".attn2." in name else old for name, old in before.items()}
    )
    added = {name: value.expand(len(z), -1) for name, value in context.added.items()}
    output: Tensor = unet(z, t, context.tokens, added_cond_kwargs=added or None).sample
    unet.set_attn_processor(before)
    return output


REGIONS = {
    "empty": boxes(2, 16, 16),
    "full": boxes(2, 16, 16, (0, 16, 0, 16)),
    "one pixel": boxes(2, 16, 16, (5, 6, 9, 10)),
    "box": boxes(2, 16, 16, (3, 9, 2, 12)),
    "three regions": boxes(2, 16, 16, (1, 5, 1, 7), (8, 15, 3, 5), (8, 9, 8, 9)),
}


@pytest.mark.parametrize("regions", REGIONS.values(), ids=REGIONS)
def test_boolean_mask_is_equation_10_with_its_softmaxes_written_out(
    unet: UNet2DConditionModel, regions: Tensor
) -> None:
    regions = torch.stack([regions[0], regions[1].flip(1)])  # another map in each sample
    context = make_prompts(defects=max(int(regions.max()), 1)).defect_context()
    z = random_tensor(2, 4, 16, 16)
    with torch.no_grad():
        expected = written_out(unet, z, 500, context, regions)
        with unet_predictor(unet, sd_schedule()) as predict:
            torch.testing.assert_close(
                predict(z, 500, context, regions), expected, rtol=0, atol=1e-5
            )
        plain = unet(z, 500, context.tokens.expand(2, -1, -1)).sample
    assert (plain - expected).abs().max() > 1e-3  # the mask matters


def test_one_layer_by_hand(unet: UNet2DConditionModel) -> None:
    """Equal keys: a pixel reads the plain mean of its region's values."""
    layer = copy.deepcopy(unet.get_submodule(LAYER))
    layer.to_k.weight.zero_()
    context = Context(random_tensor(1, 5, WIDTH), torch.tensor([1, 1, 1, 0, 0]))
    with region_attention(unet) as state, torch.no_grad():
        state.set(context, torch.tensor([[[0, 1], [1, 0]]]))
        output = RegionProcessor("x", state)(layer, random_tensor(1, 4, 32), context.tokens)
        values = layer.to_v(context.tokens)[0]
        defect, background = (
            layer.to_out[0](values[:3].mean(0)),
            layer.to_out[0](values[3:].mean(0)),
        )
    torch.testing.assert_close(output[0], torch.stack([background, defect, defect, background]))


def test_other_regions_tokens_do_not_reach_a_pixel(unet: UNet2DConditionModel) -> None:
    prompts = make_prompts()
    other = make_prompts(seed=300)
    regions = boxes(1, 8, 8, (2, 4, 2, 4))
    hidden = random_tensor(1, 64, 32)
    layer = unet.get_submodule(LAYER)
    outputs = []
    with region_attention(unet) as state, torch.no_grad():
        for defect in (prompts.defects[0], other.defects[0]):
            context = RegionPrompts(
                prompts.background, [defect], prompts.placeholder, [[1]]
            ).defect_context()
            state.set(context, regions)
            outputs.append(
                RegionProcessor("x", state)(layer, hidden, context.tokens)[0].view(8, 8, -1)
            )
    changed = (outputs[0] != outputs[1]).any(-1)
    assert torch.equal(changed, regions[0] > 0)


@pytest.mark.parametrize(("cached", "patched"), [(True, ".attn2."), (False, ".attn")])
def test_fixed_weights_keep_their_self_attention_and_processors_come_back(
    unet: UNet2DConditionModel, cached: bool, patched: str
) -> None:
    before = dict(unet.attn_processors)
    with region_attention(unet, cached):
        during = unet.attn_processors
        assert {name for name in before if during[name] is not before[name]} == {
            name for name in before if patched in name
        }
        with region_attention(unet, cached):
            pass
        assert unet.attn_processors == during
    assert unet.attn_processors == before
    with pytest.raises(KeyboardInterrupt), region_attention(unet):
        raise KeyboardInterrupt
    assert unet.attn_processors == before


def test_unet_is_as_it_was_afterwards(unet: UNet2DConditionModel, prompts: RegionPrompts) -> None:
    z, tokens = random_tensor(1, 4, 16, 16), prompts.defect_context().tokens
    with torch.no_grad():
        before = unet(z, 3, tokens).sample
        with unet_predictor(unet, sd_schedule()) as predict:
            predict(z, 3, prompts.defect_context(), REGIONS["box"][:1])
        assert torch.equal(unet(z, 3, tokens).sample, before)


def test_lora_layers_keep_working(prompts: RegionPrompts) -> None:
    unet = tiny_unet()
    unet.add_adapter(
        LoraConfig(
            r=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"], init_lora_weights=False
        )
    )
    z, context, regions = random_tensor(2, 4, 16, 16), prompts.defect_context(), REGIONS["box"]
    with unet_predictor(unet, sd_schedule(), cache_prompts=False) as predict:
        output = predict(z, 500, context, regions)
        torch.autograd.backward(output.square().mean())
        with torch.no_grad():
            torch.testing.assert_close(
                output, written_out(unet, z, 500, context, regions), rtol=0, atol=1e-5
            )
            unet.disable_adapters()
            assert (predict(z, 500, context, regions) - output).abs().max() > 1e-3
    lora = {
        name: p.grad for name, p in unet.named_parameters() if "lora_" in name and ".attn2." in name
    }
    assert len(lora) >= 8
    assert all(grad is not None and grad.abs().max() > 0 for grad in lora.values())


def test_sdxl_form_with_its_added_conditions() -> None:
    unet, prompts = tiny_sdxl_unet(), make_prompts(xl=True)
    z, context, regions = random_tensor(2, 4, 16, 16), prompts.defect_context(), REGIONS["box"]
    with torch.no_grad(), unet_predictor(unet, sd_schedule()) as predict:
        output = predict(z, 500, context, regions)
        torch.testing.assert_close(
            output, written_out(unet, z, 500, context, regions), rtol=0, atol=1e-5
        )
        other = Context(
            context.tokens,
            context.token_region,
            {**context.added, "text_embeds": torch.zeros(1, 32)},
        )
        assert (predict(z, 500, other, regions) - output).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(20, 12), (17, 23), (9, 9), (4, 30)])
def test_odd_latent_sizes(size: tuple[int, int], prompts: RegionPrompts) -> None:
    unet = tiny_unet(levels=3)
    z, context = random_tensor(1, 4, *size), prompts.defect_context()
    regions = boxes(1, *size, (size[0] // 2, size[0] // 2 + 1, 1, 4))
    with torch.no_grad(), unet_predictor(unet, sd_schedule()) as predict:
        recorder = MapRecorder(prompts.word_positions())
        output = predict(z, 500, context, regions, recorder)
        torch.testing.assert_close(
            output, written_out(unet, z, 500, context, regions), rtol=0, atol=1e-5
        )
    halved = (-(-size[0] // 2), -(-size[1] // 2))
    assert set(recorder.means) == ({halved} if min(halved) >= 8 else set())


def test_attention_grid_halves_rounding_up() -> None:
    assert attention_grid((17, 23), 17 * 23) == (17, 23)
    assert attention_grid((17, 23), 9 * 12) == (9, 12)
    assert attention_grid((17, 23), 3 * 3) == (3, 3)
    assert attention_grid((64, 64), 64) == (8, 8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
def test_half_precision_network_on_fp32_latents(dtype: torch.dtype, prompts: RegionPrompts) -> None:
    unet, half = tiny_unet(), tiny_unet().to(dtype)
    z, context, regions = random_tensor(1, 4, 16, 16), prompts.defect_context(), REGIONS["box"][:1]
    outputs, recorders = [], [MapRecorder(prompts.word_positions()) for _ in range(2)]
    with torch.no_grad():
        for network, recorder in zip((unet, half), recorders, strict=True):
            with unet_predictor(network, sd_schedule()) as predict:
                outputs.append(predict(z, 500, context, regions, recorder))
    assert outputs[1].dtype == torch.float32
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0.05)
    means = [recorder.means[8, 8] for recorder in recorders]
    assert means[1].dtype == torch.float32
    torch.testing.assert_close(means[0], means[1], rtol=0, atol=0.02)


@pytest.mark.parametrize("defects", [1, 3])
def test_running_means_are_the_means_of_all_maps(defects: int) -> None:
    unet, prompts = tiny_unet(levels=3), make_prompts(defects)
    regions = torch.cat(
        [
            boxes(1, 32, 32, *[(4 + 9 * i, 9 + 9 * i, 3, 20) for i in range(defects)]),
            boxes(1, 32, 32),
        ]
    )
    recorder, context = MapRecorder(prompts.word_positions()), prompts.defect_context()
    slow = TwoSoftmaxes(context, regions, prompts.word_positions())
    steps = ((random_tensor(2, 4, 32, 32, seed=seed), t) for seed, t in enumerate((981, 501, 1)))
    with torch.no_grad(), unet_predictor(unet, sd_schedule()) as predict:
        for z, t in steps:
            written_out(unet, z, t, context, regions, slow)
            recorded = predict(z, t, context, regions, recorder)
            torch.testing.assert_close(recorded, predict(z, t, context, regions), rtol=0, atol=1e-5)
    assert set(slow.maps) == {(32, 32), (16, 16), (8, 8)}
    assert set(recorder.means) == {(16, 16), (8, 8)}  # 32 is finer than half the latent
    for grid, layers in (((16, 16), 3), ((8, 8), 1)):  # one layer down and two up; the middle one
        mean, maps = recorder.means[grid], slow.maps[grid]
        assert len(maps) == 3 * layers  # three steps
        torch.testing.assert_close(mean, torch.stack(maps).mean(0), rtol=0, atol=1e-6)
        inside = resize_region_map(regions, grid) > 0
        assert (mean > 0)[inside].all() and (mean == 0)[~inside].all()


@pytest.mark.parametrize(
    ("grid", "latent", "wanted"),
    [
        ((32, 32), (32, 32), False),
        ((16, 16), (32, 32), True),
        ((8, 8), (32, 32), True),
        ((4, 4), (32, 32), False),
        ((8, 16), (15, 32), True),
        ((7, 16), (14, 32), False),
        ((13, 13), (25, 25), True),
    ],
)
def test_which_grids_are_recorded(
    grid: tuple[int, int], latent: tuple[int, int], wanted: bool
) -> None:
    assert MapRecorder([torch.tensor([1])]).wants(grid, latent) is wanted


def test_prompt_cache_changes_nothing(prompts: RegionPrompts) -> None:
    unet, regions = tiny_unet(), REGIONS["box"]
    projected = 0

    def count(*_: Any) -> None:
        nonlocal projected
        projected += 1

    unet.get_submodule(LAYER).to_k.register_forward_hook(count)
    outputs: dict[bool, list[Tensor]] = {}
    calls: dict[bool, int] = {}
    with torch.no_grad():
        for cache in (True, False):
            projected = 0
            with unet_predictor(unet, sd_schedule(), cache_prompts=cache) as predict:
                outputs[cache] = [
                    predict(random_tensor(2, 4, 16, 16, seed=seed), 500, context, regions)
                    for seed in range(3)
                    for context in (prompts.defect_context(), prompts.background_context())
                ]
            calls[cache] = projected
    assert all(torch.equal(a, b) for a, b in zip(outputs[True], outputs[False], strict=True))
    assert calls == {True: 2, False: 6}


def test_cached_keys_do_not_survive_the_block(prompts: RegionPrompts) -> None:
    unet, z, context, regions = (
        tiny_unet(),
        random_tensor(2, 4, 16, 16),
        prompts.defect_context(),
        REGIONS["box"],
    )
    with torch.no_grad():
        for scale in (1, 3):
            unet.get_submodule(LAYER).to_v.weight.mul_(scale)
            with unet_predictor(unet, sd_schedule()) as predict:
                output = predict(z, 500, context, regions)
            torch.testing.assert_close(
                output, written_out(unet, z, 500, context, regions), rtol=0, atol=1e-5
            )


def test_caches_die_with_their_context(unet: UNet2DConditionModel) -> None:
    """A long run makes many contexts in one block: none of them, nor its keys, may pile up."""
    z, regions = random_tensor(1, 4, 16, 16), REGIONS["box"][:1]
    with torch.no_grad(), unet_predictor(unet, sd_schedule()) as predict:
        keys = []
        for seed in range(4):
            predict(z, 500, make_prompts(seed=seed).defect_context(), regions)
            keys.append(
                weakref.ref(
                    next(iter(predict.attention._keys_values.values()))[f"{LAYER}.processor"][0]
                )
            )
        gc.collect()
        assert sum(key() is not None for key in keys) == 1  # the context of the last call


def test_new_regions_and_contexts_are_noticed(
    unet: UNet2DConditionModel, prompts: RegionPrompts
) -> None:
    z = random_tensor(2, 4, 16, 16)
    with torch.no_grad(), unet_predictor(unet, sd_schedule()) as predict:
        shorter = make_prompts(length=4).defect_context()
        for context in (prompts.defect_context(), prompts.background_context(), shorter):
            for regions in (REGIONS["box"], REGIONS["one pixel"]):
                expected = written_out(unet, z, 500, context, regions)
                torch.testing.assert_close(
                    predict(z, 500, context, regions), expected, rtol=0, atol=1e-5
                )


def test_batch_of_one_timestep_each_and_of_two_contexts(
    unet: UNet2DConditionModel, prompts: RegionPrompts
) -> None:
    z, t, regions = (
        random_tensor(4, 4, 16, 16),
        torch.tensor([3, 900, 500, 77]),
        REGIONS["box"].repeat(2, 1, 1),
    )
    contexts = [prompts.defect_context(), prompts.background_context()]
    with torch.no_grad(), unet_predictor(unet, sd_schedule("v_prediction")) as predict:
        both = predict(z, t, prompts.training_context(), regions)
        for row in range(4):
            alone = predict(z[row : row + 1], int(t[row]), contexts[row // 2], regions[:1])
            torch.testing.assert_close(both[row : row + 1], alone, rtol=0, atol=1e-5)


def test_chosen_words_are_found_where_they_stand() -> None:
    prompt = [0, 5, 6, 7, 5, 6, 1]
    assert word_places(prompt, [5, 6], "a crack") == [1, 2, 4, 5]
    assert word_places(prompt, [7], "on") == [3]
    for wrong in ([6, 5], [8], []):
        with pytest.raises(SettingError, match="attention words 'wrong'"):
            word_places(prompt, wrong, "wrong")


def test_a_network_without_cross_attention_is_refused() -> None:
    unet = UNet2DConditionModel(
        sample_size=16,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 32),
        layers_per_block=1,
    )
    before = dict(unet.attn_processors)
    assert before
    with pytest.raises(WeightsError, match="none of them cross-attention"), region_attention(unet):
        pass
    assert unet.attn_processors == before


def test_the_formula_is_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = (
        random_tensor(2, 4, tokens, 16, seed=seed).bfloat16().requires_grad_()
        for seed, tokens in enumerate((256, 154, 154))
    )
    mask = random_tensor(2, 1, 256, 154, seed=3) > 0.5
    mask[..., 0] = True
    for allowed in (None, mask):
        found = []
        for most in (MOST_SCORES, 0):  # by the formula, by the kernel
            monkeypatch.setattr(attention, "MOST_SCORES", most)
            output = attend(query, key, value, allowed)
            gradients = torch.autograd.grad(output.float().square().sum(), (query, key, value))
            found.append((output, *gradients))
        assert not all(map(torch.equal, *found))  # two ways indeed
        for by_formula, by_kernel in zip(*found, strict=True):
            assert torch.allclose(by_formula, by_kernel, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("dtype", "trained", "pixels"),
    [(torch.float32, True, 30), (torch.bfloat16, False, 30), (torch.bfloat16, True, 1025)],
)
def test_the_fused_kernel_everywhere_else(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, trained: bool, pixels: int
) -> None:
    calls = []
    kernel = torch.nn.functional.scaled_dot_product_attention

    def counted(*args: Any, **kwargs: Any) -> Tensor:
        calls.append(1)
        return kernel(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    query = random_tensor(1, 1, pixels, 8).to(dtype).requires_grad_(trained)
    attend(query, query, query)
    assert calls


@pytest.mark.parametrize("cached", [False, True])
def test_self_attention_is_what_it_was(unet: UNet2DConditionModel, cached: bool) -> None:
    z, context = random_tensor(2, 4, 8, 8), random_tensor(2, 6, WIDTH)
    everywhere = Context(context, torch.zeros(6, dtype=torch.long))
    with torch.no_grad():
        plain = unet(z, 500, context).sample
        with unet_predictor(unet, sd_schedule(), cache_prompts=cached) as predict:
            regional = predict(z, 500, everywhere, torch.zeros(2, 8, 8, dtype=torch.long))
    assert torch.allclose(regional, plain, atol=1e-6)
