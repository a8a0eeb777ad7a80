"""``bgdefect evaluate-base``: the quality of a base on real pictures and on drawn ones.

For every data set: the VAE's reconstruction PSNR on native crops in full colour and the U-Net's
validation loss on good pictures; both also on drawn pictures of seeds that training does not use.
The PSNR of a cosine transform with as many numbers is the mark that a trained VAE exceeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from bgdefect_core.declarations import Doc, Range, check_settings
from bgdefect_core.errors import PictureError, SettingError
from bgdefect_core.method.randomness import generator
from bgdefect_core.pictures.picture import Pixels
from bgdefect_core.pictures.pixels import to_pixels
from bgdefect_core.pictures.reading import read_of_folder
from bgdefect_core.quality import psnr

from ..bases.load import Base, load_base
from ..data.layouts import good_pictures
from ..drawing.draw import draw

_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""ITU-R BT.601, as JPEG's."""
_LEAST_CROP = 32
FIRST_SEED = 30_000_000
"""Drawn pictures from here on are never trained on."""


@dataclass(frozen=True)
class EvaluateBaseConfig:
    """Measure the base on real good pictures (folders in MVTec AD layout) and on drawn ones."""

    data: tuple[Path, ...]
    """Object folders, each with ``train/good``."""
    base: str | None = None
    """The base; nothing = the embedded one."""
    pictures: Annotated[int, Range(1, 100_000), Doc("Pictures a set, the first of each.")] = 48
    crop: Annotated[
        int, Range(_LEAST_CROP, 4096), Doc("Side of a crop in pixels, cut at native size.")
    ] = 128


@dataclass(frozen=True)
class BaseFigures:
    """One row of the report."""

    name: str
    psnr: float
    """Mean over crops, dB, all three channels."""
    worst_psnr: float
    transform_psnr: float
    """The same of a cosine transform with as many numbers (:func:`transformed`)."""
    loss: float
    """Mean squared error of the predicted noise over fixed timesteps and noise."""


def evaluate_base(config: EvaluateBaseConfig) -> list[BaseFigures]:
    """One row for drawn pictures, then one a data set.

    Raises:
        SettingError: a number out of its range. DataError, PictureError: a set without good
            pictures, a bad file or one below the crop.
    """
    check_settings(config)
    base = load_base(config.base)
    if config.crop % base.factor:
        raise SettingError(
            f"crop is {config.crop}", f"a multiple of {base.factor}", "128 is the default"
        )
    crops: list[Pixels] = []
    captions: list[str] = []
    for number in range(config.pictures):
        drawn = draw(FIRST_SEED + number, config.crop, 0.0)
        crops.append(drawn.picture)
        captions.append(drawn.caption)
    rows = [_figures(base, "drawn", to_pixels(crops), captions)]
    for folder in config.data:
        crops = []
        for index, path in enumerate(good_pictures(folder)[: config.pictures]):
            crops.append(_native_crop(path, config.crop, index))
        captions = [f"a photo of a {folder.name.replace('_', ' ')}"] * len(crops)
        rows.append(_figures(base, folder.name, to_pixels(crops), captions))
    return rows


def report(rows: Sequence[BaseFigures]) -> str:
    """The figures as a Markdown table; the ratio is that of the loss to the drawn pictures'
    loss."""
    lines = [
        "| pictures | VAE PSNR, mean (worst) dB | cosine transform, dB "
        "| U-Net loss | ratio to drawn |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        decibels = f"{row.psnr:.2f} ({row.worst_psnr:.2f}) | {row.transform_psnr:.2f}"
        lines.append(
            f"| {row.name} | {decibels} | {row.loss:.4f} | {row.loss / rows[0].loss:.2f} |"
        )
    return "\n".join(lines)


def transformed(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the lowest frequencies keep: blocks of 16 x 16 pixels, 56 numbers of brightness and 4 of
    each colour difference a block.

    These are 64 for 256 pixels, as the latents of a VAE of factor 4 and four channels.

    Args:
        pictures: ``[B, H, W, 3]`` RGB, sides multiples of 16.
    """
    count, height, width, _ = pictures.shape
    blocks = (pictures @ _YCBCR.T).reshape(count, height // 16, 16, width // 16, 16, 3)
    waves = fft.dctn(blocks, axes=(2, 4), norm="ortho")
    order = np.argsort(np.add.outer(np.arange(16) ** 2, np.arange(16) ** 2).ravel(), kind="stable")
    weights = np.zeros((256, 3))
    for channel, numbers in enumerate((56, 4, 4)):
        weights[order[:numbers], channel] = 1
    waves *= weights.reshape(1, 1, 16, 1, 16, 3)
    result: NDArray[np.float64] = (
        fft.idctn(waves, axes=(2, 4), norm="ortho").reshape(pictures.shape)
        @ np.linalg.inv(_YCBCR).T
    )
    return result


@torch.no_grad()
def _figures(base: Base, name: str, pixels: Tensor, captions: Sequence[str]) -> BaseFigures:
    decibels: list[float] = []
    losses: list[float] = []
    for start in range(0, len(pixels), 8):
        batch = pixels[start : start + 8]
        z_0 = base.encode(batch)
        mse = ((base.decode(z_0).clamp(-1, 1) - batch) / 2).square().mean(dim=(1, 2, 3))
        decibels += map(psnr, mse.tolist())
        losses += _noise_losses(base, z_0, captions[start : start + 8], start)
    return BaseFigures(
        name,
        float(np.mean(decibels)),
        float(np.min(decibels)),
        _transform_psnr(pixels),
        float(np.mean(losses)),
    )


def _transform_psnr(pixels: Tensor) -> float:
    """dB; NaN where the crops' side is no multiple of 16."""
    pictures = (pixels.permute(0, 2, 3, 1).double().numpy() + 1) / 2
    if pictures.shape[1] % 16:
        return float("nan")
    errors = np.square(transformed(pictures).clip(0, 1) - pictures).mean(axis=(1, 2, 3))
    return float(np.mean(list(map(psnr, errors))))


def _noise_losses(
    base: Base, z_0: Tensor, captions: Sequence[str], first: int, draws: int = 4
) -> list[float]:
    contexts: list[Tensor] = []
    for caption in captions:
        contexts.append(base.prompts(caption, [""], "").background)
    context = torch.cat(contexts)
    losses: list[float] = []
    for number in range(draws):
        rng = generator(first, number)
        t = torch.randint(0, len(base.schedule.alphas_cumprod), (len(z_0),), generator=rng)
        eps = torch.randn(z_0.shape, generator=rng)
        z_t = base.schedule.noised(z_0, eps, base.schedule.alphas_of(t))
        output = base.unet(z_t, t, context).sample
        predicted = base.schedule.to_eps(output, z_t, base.schedule.alphas_of(t))
        losses += (predicted - eps).square().mean(dim=(1, 2, 3)).tolist()
    return losses


def _native_crop(path: Path, size: int, index: int) -> Pixels:
    picture = read_of_folder(path)
    height, width = picture.shape[:2]
    if min(height, width) < size:
        raise PictureError(
            f"{path} is {width} x {height} pixels",
            f"at least the crop, {size}, on each side",
            "choose a smaller crop",
        )
    rng = np.random.default_rng(index)
    top, left = rng.integers(0, height - size + 1), rng.integers(0, width - size + 1)
    return picture[top : top + size, left : left + size]
