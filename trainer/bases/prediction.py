"""What a checkpoint predicts, noise or v, by the signs that its file and the files beside it give.

sd-scripts, ComfyUI and the Stable Diffusion web UI read the same signs: empty tensors named
``v_pred`` and ``ztsnr``, the metadata ``modelspec.prediction_type``, and an inference
configuration (.yaml) of the checkpoint's name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bgdefect_core.errors import WeightsError
from bgdefect_core.method.schedule import PredictionType
from bgdefect_core.pictures.listing import comparable

log = logging.getLogger(__name__)

_WORDS: dict[str, PredictionType] = {
    "v": "v_prediction",
    "v_prediction": "v_prediction",
    "velocity": "v_prediction",
    "eps": "epsilon",
    "epsilon": "epsilon",
    "noise": "epsilon",
}
_ARCHITECTURES: dict[str, PredictionType] = {
    "stable-diffusion-v2-768-v": "v_prediction",
    "stable-diffusion-v2-512": "epsilon",
}
"""Values of ``modelspec.architecture`` that say it."""
_OPTION = "give the right one with --prediction"


@dataclass(frozen=True)
class Sign:
    """One statement about a checkpoint."""

    source: str
    """Where it stands, in words."""
    prediction_type: PredictionType


def signs_of(names: Iterable[str], metadata: Mapping[str, str], where: Path) -> list[Sign]:
    """The signs in a safetensors file.

    Args:
        names: of its tensors.
        metadata: of the file.
        where: the file, for messages.

    Raises:
        WeightsError: it predicts something else.
    """
    signs = []
    if "v_pred" in set(names):
        signs.append(Sign("the key v_pred", "v_prediction"))
    key = "modelspec.prediction_type"
    if metadata.get(key):
        signs.append(_sign(f"the metadata {key}", metadata[key], where))
    architecture = metadata.get("modelspec.architecture", "").lower()
    if architecture in _ARCHITECTURES:
        source = f"the metadata modelspec.architecture ({architecture})"
        signs.append(Sign(source, _ARCHITECTURES[architecture]))
    return signs


def zero_terminal_snr(names: Iterable[str], metadata: Mapping[str, str]) -> bool:
    """Whether a file says that its schedule ends in pure noise (zero terminal SNR)."""
    return "ztsnr" in set(names) or metadata.get("ss_zero_terminal_snr", "").lower() == "true"


def inference_config(checkpoint: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """The ``model.params`` of the inference configuration beside a checkpoint, if there is one.

    Raises:
        WeightsError: it is no YAML, or there are two.
    """
    stem = comparable(checkpoint.stem)
    paths: list[Path] = []
    for path in sorted(checkpoint.parent.iterdir()):
        if comparable(path.stem) == stem and path.suffix.lower() in (".yaml", ".yml"):
            paths.append(path)
    if not paths:
        return None
    path = paths[0]
    if len(paths) > 1:
        came = f"{path} and {paths[1].name} lie beside {checkpoint.name}"
        raise WeightsError(came, "one configuration of its name", "move one away")
    try:
        config = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, RecursionError) as reason:
        do = "correct it, or move it away"
        raise WeightsError(f"{path} cannot be read", "YAML", do) from reason
    for key in ("model", "params"):
        config = config.get(key) if isinstance(config, dict) else None
    return path, config if isinstance(config, dict) else {}


def sign_of_config(path: Path, params: Mapping[str, Any]) -> list[Sign]:
    """The sign in an inference configuration: ``parameterization``."""
    value = params.get("parameterization")
    return [] if value is None else [_sign(f"{path.name} beside it", str(value), path)]


def _sign(source: str, value: str, where: Path) -> Sign:
    word = value.strip().lower().replace("-", "_")
    if word not in _WORDS:
        came = f"{where} predicts {value[:80]!r} by {source}"
        raise WeightsError(came, "noise (epsilon) or v", "choose another base")
    return Sign(source, _WORDS[word])


def decide(
    signs: list[Sign], given: PredictionType | None, default: PredictionType, where: Path | str
) -> PredictionType:
    """What a checkpoint predicts.

    Args:
        signs: what its files say.
        given: what the user says; it settles contradictions.
        default: what it is without a sign.
        where: the checkpoint, for messages.

    Raises:
        WeightsError: signs contradict each other, and nothing is given.
    """
    stated = {sign.prediction_type for sign in signs}
    sources = "; ".join(f"{sign.prediction_type} by {sign.source}" for sign in signs)
    if given is not None:
        if stated - {given}:
            log.warning("%s is taken to predict %s, as given, against %s", where, given, sources)
        return given
    if len(stated) > 1:
        raise WeightsError(f"{where} contradicts itself: {sources}", "one of them", _OPTION)
    if stated:
        log.info("%s: %s", where, sources)
        return stated.pop()
    return default
