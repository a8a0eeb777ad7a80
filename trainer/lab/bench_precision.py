"""``bgdefect bench precision``: how far samples in bf16 lie from the same samples in fp32.

The figure of a base stands in ``trainer/bases/precision.py`` and decides what ``auto`` comes to. A
device without bf16 measures it as well: products are computed in fp32 from numbers of bf16 and
rounded to bf16, which is what bf16 hardware does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from tqdm import tqdm

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.method.backgrounds import BACKGROUNDS
from bgdefect_core.method.predictor import unet_predictor
from bgdefect_core.method.sample_batch import SampleBatch
from bgdefect_core.method.sampling import SamplingSettings, sample
from bgdefect_core.method.solvers import SOLVERS
from bgdefect_core.pictures.masks import Mask
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.pictures.region_maps import region_map

from ..bases.devices import pick_device
from ..bases.load import Base, load_base
from ..bases.precision import MOST_GRAY_LEVELS, has_bf16
from ..drawing.draw import draw
from .options import BaseOption, DeviceOption
from .race import bench_prompts

FIRST_SEED = 60_000_000
"""Of the drawn scenes: neither trained on nor used by another measurement."""
_BATCH = 8


@dataclass(frozen=True)
class BenchPrecisionConfig:
    """Mean difference inside the mask between samples in bf16 and in fp32."""

    base: BaseOption = None
    samples: Annotated[int, Range(1, 10_000), Doc("Samples, each on a drawn picture.")] = 64
    device: DeviceOption = "auto"


@dataclass(frozen=True)
class Scenes:
    """Drawn good pictures with masks of drawn defects, at the base's native size."""

    pictures: list[Pixels] = field(default_factory=list)
    masks: list[Mask] = field(default_factory=list)


def bench_precision(config: BenchPrecisionConfig) -> str:
    """The mean difference, as a text.

    Raises:
        SettingError: a number out of its range.
    """
    check_settings(config)
    device = pick_device(config.device)
    exact = load_base(config.base).to(device).to_precision("fp32")
    rounded = load_base(config.base).to(device).to_precision("bf16")
    scenes = draw_scenes(config.samples, exact.resolution)
    imitated = not has_bf16(device)
    with torch.no_grad():
        difference = mean_difference(exact, rounded, scenes, imitated)
    how = "imitated" if imitated else "by the device"
    return (
        f"{exact.name}, {config.samples} samples, bf16 {how}: {difference:.3f} gray levels of 255 "
        f"inside the mask (auto takes bf16 up to {MOST_GRAY_LEVELS:g})\n"
        f"fingerprint of the base: {exact.fingerprint}"
    )


def draw_scenes(count: int, size: int) -> Scenes:
    """The first ``count`` drawn pictures that have a defect."""
    scenes, seed = Scenes(), FIRST_SEED
    while len(scenes.masks) < count:
        drawn = draw(seed, size, 1.0)
        if drawn.mask.any():
            scenes.pictures.append(drawn.good)
            scenes.masks.append(drawn.mask)
        seed += 1
    return scenes


def mean_difference(exact: Base, rounded: Base, scenes: Scenes, imitated: bool) -> float:
    """Mean over the masks of all scenes, in gray levels of 255.

    Args:
        exact, rounded: the base in fp32 and in bf16.
        imitated: compute the products of ``rounded`` in fp32.
    """
    total = pixels = 0.0
    bar = tqdm(range(0, len(scenes.masks), _BATCH), desc="comparing", unit="batch")
    for first in bar:
        pictures = scenes.pictures[first : first + _BATCH]
        masks = scenes.masks[first : first + _BATCH]
        before = _painted(exact, pictures, masks, first)
        with imitated_bf16() if imitated else nullcontext():
            after = _painted(rounded, pictures, masks, first)
        inside = torch.from_numpy(np.stack(masks))[:, None].expand_as(before)
        total += float((before - after).abs()[inside].sum())
        pixels += float(inside.sum())
        bar.set_postfix_str(f"{total / pixels:.3f} gray levels so far")
    return total / pixels


def _painted(base: Base, pictures: Sequence[Pixels], masks: Sequence[Mask], seed: int) -> Tensor:
    """Decoded samples ``[B, 3, H, W]`` in 0..255 on the CPU, with the default settings."""
    settings = SamplingSettings()
    z_0 = base.encode(to_pixels(pictures))
    regions = region_map(torch.from_numpy(np.stack(masks))[:, None], (z_0.shape[2], z_0.shape[3]))
    regions = regions.to(z_0.device)
    prompts = bench_prompts(base)
    mode, levels = BACKGROUNDS[settings.background], settings.levels(base.schedule)
    batch = SampleBatch(regions, range(seed, seed + len(pictures)))
    with unet_predictor(base.unet, base.schedule) as predict:
        background = mode.prepare(predict, z_0, regions, prompts, levels)
        z = sample(predict, background, batch, prompts, solver=SOLVERS[settings.solver])
    return (base.decode(z).clamp(-1, 1).cpu() + 1) * 127.5


_PRODUCTS = (
    "aten::convolution",
    "aten::addmm",
    "aten::linear",
    "aten::mm",
    "aten::bmm",
    "aten::baddbmm",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
)
"""Operations whose terms bf16 hardware adds up in fp32."""


class _Imitation(TorchDispatchMode):
    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        tensors = [value for value in args if isinstance(value, Tensor)]
        in_bf16 = any(tensor.dtype == torch.bfloat16 for tensor in tensors)
        if not in_bf16 or func._schema.name not in _PRODUCTS:
            return func(*args, **named)
        result = func(
            *tree_map_only(Tensor, _widened, args), **tree_map_only(Tensor, _widened, named)
        )
        return tree_map_only(Tensor, _rounded, result)


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def _rounded(tensor: Tensor) -> Tensor:
    return tensor.bfloat16() if tensor.dtype == torch.float32 else tensor


@contextmanager
def imitated_bf16() -> Iterator[None]:
    """Products of bf16 numbers are computed in fp32 and rounded while the block lasts."""
    with _Imitation():
        yield
