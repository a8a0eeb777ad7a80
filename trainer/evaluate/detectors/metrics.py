"""Detection metrics: image and pixel AUROC, AP, F1-max (scikit-learn) and AUPRO.

AUPRO (Bergmann et al. 2020): the mean overlap of the prediction with each connected region of the
truth, over the false positive rate from 0 to 0.3, as a share of the largest possible area. anomalib
has the same metric; it cannot be a plain dependency, since it needs a torchvision that fits the
installed torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import integrate, ndimage

from bgdefect_core.errors import SettingError
from bgdefect_core.pictures.masks import Mask

from .truth import Map, Truth, counted_in, defect_of, seen

IMAGE_WINDOW = 21
"""Side in pixels of the average pool whose maximum is the score of a picture (DRAEM)."""
METRICS = (
    "image_auroc",
    "image_ap",
    "image_f1max",
    "pixel_auroc",
    "pixel_ap",
    "pixel_f1max",
    "aupro",
)


def sklearn_metrics() -> Any:
    """scikit-learn's metrics, imported when they are needed.

    Raises:
        SettingError: it is not installed.
    """
    try:
        from sklearn import metrics
    except ImportError as reason:
        raise SettingError(
            "scikit-learn is not installed", "it", "pip install 'bgdefect[evaluate]'"
        ) from reason
    return metrics


def image_score(probability: Map) -> float:
    """The maximum of a 21 x 21 average pool of P(defect), float ``[H, W]`` in 0..1; zeros pad the
    picture."""
    return float(_pooled(probability).max())


def score_inside(probability: Map, mask: Mask) -> float:
    """As :func:`image_score`, but the maximum over the pixels of a mask, bool ``[H, W]``, not
    empty: what the detector says of a defect at its place."""
    return float(_pooled(probability).numpy()[mask].max())


def _pooled(probability: Map) -> torch.Tensor:
    """``[H, W]`` -> ``[H, W]``."""
    picture = torch.from_numpy(probability)[None, None].float()
    return F.avg_pool2d(picture, IMAGE_WINDOW, 1, IMAGE_WINDOW // 2)[0, 0]


def highest(anomaly: Map) -> float:
    """The maximum of an anomaly map, float ``[H, W]``: the score of PatchCore and of reverse
    distillation."""
    return float(anomaly.max())


class CurveMetrics(NamedTuple):
    """Figures over all thresholds, 0..1 each."""

    auroc: float
    ap: float
    f1_max: float


def curve_metrics(truth: NDArray[Any], score: NDArray[Any]) -> CurveMetrics:
    """AUROC, AP and F1-max over thresholds.

    Args:
        truth: bool ``[n]``. score: float ``[n]``.

    Returns:
        All NaN where the truth has one value only.
    """
    metrics = sklearn_metrics()
    if truth.all() or not truth.any():
        return CurveMetrics(math.nan, math.nan, math.nan)
    # one curve gives all three: sorting millions of pixels takes longer than the detector's maps
    false_rate, recall, _ = metrics.roc_curve(truth, score, drop_intermediate=False)
    positives = np.count_nonzero(truth)
    hits, alarms = recall * positives, false_rate * (truth.size - positives)
    precision = hits / np.maximum(hits + alarms, 1e-12)
    f1 = 2 * hits / (positives + hits + alarms)
    average_precision = np.sum(np.diff(recall) * precision[1:])
    auroc = float(metrics.auc(false_rate, recall))
    return CurveMetrics(auroc, float(average_precision), float(f1.max()))


def counted_pixels(
    truths: Sequence[Truth], maps: Sequence[Map]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """All pixels that are defect or background: whether they are defect, and the detector's score;
    ``[n]`` each."""
    defects: list[NDArray[np.bool_]] = []
    scores: list[NDArray[np.float32]] = []
    for truth, anomaly in zip(truths, maps, strict=True):
        counted = counted_in(truth)
        defects.append(defect_of(truth)[counted])
        scores.append(anomaly[counted])
    return np.concatenate(defects), np.concatenate(scores)


def precision_at_defects(truths: Sequence[Truth], maps: Sequence[Map]) -> list[float]:
    """Pixel AP taken apart: for each picture with a defect the mean, over the defect's pixels, of
    the precision at the threshold of that pixel's score.

    The precision is that of all pictures together. The mean of these values with the defects' sizes
    as weights is the pixel AP; each defect counted once, small defects matter as much as large.

    Args:
        truths: ``[H, W]`` each. maps: float ``[H, W]`` each.

    Returns:
        One value in 0..1 for each picture with a defect, in their order.
    """
    pixels = np.sort(counted_pixels(truths, maps)[1])
    defects: list[NDArray[Any]] = []
    for truth, anomaly in zip(truths, maps, strict=True):
        defect = defect_of(truth)
        if defect.any():
            defects.append(anomaly[defect])
    if not defects:
        return []
    hits = np.sort(np.concatenate(defects))
    precisions = []
    for scores in defects:
        positives = pixels.size - np.searchsorted(pixels, scores, side="left")
        true_positives = hits.size - np.searchsorted(hits, scores, side="left")
        precisions.append(float(np.mean(true_positives / positives)))
    return precisions


def picture_figures(truths: Sequence[Truth], maps: Sequence[Map]) -> dict[str, list[float]]:
    """What the detector says of each picture: ``defect_scores`` and ``good_scores`` (image
    scores), ``defect_precision`` (:func:`precision_at_defects`), in the order of the pictures."""
    defect_scores: list[float] = []
    good_scores: list[float] = []
    for truth, anomaly in zip(truths, maps, strict=True):
        scores = defect_scores if defect_of(truth).any() else good_scores
        scores.append(image_score(seen(truth, anomaly)))
    return {
        "defect_scores": defect_scores,
        "good_scores": good_scores,
        "defect_precision": precision_at_defects(truths, maps),
    }


def aupro(truths: Sequence[Truth], maps: Sequence[Map], limit: float = 0.3) -> float:
    """Area under the per-region overlap curve up to a false positive rate of ``limit``, divided by
    ``limit``: 0..1.

    The weight of a pixel is 1 / (size of its region x number of regions), so that the weighted
    recall is the mean overlap. Regions are 8-connected. NaN where there is no region or no good
    pixel.

    Args:
        truths: ``[H, W]`` each. maps: float ``[H, W]`` each. limit: above 0, up to 1.
    """
    weights, regions = [], 0
    for truth in truths:
        labels, count = ndimage.label(defect_of(truth), np.ones((3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=count + 1).astype(np.float64)
        sizes[0] = np.inf
        weights.append((1 / sizes)[labels][counted_in(truth)])
        regions += count
    weight = np.concatenate(weights)
    good = weight == 0
    if regions == 0 or not good.any():
        return math.nan

    score = counted_pixels(truths, maps)[1]
    order = np.argsort(-score, kind="stable")
    changes = np.flatnonzero(np.diff(score[order]))
    last = np.append(changes, score.size - 1)  # equal scores are one step of the curve
    false_positives = np.cumsum(good[order], dtype=np.float64)[last]
    true_positives = np.cumsum(weight[order])[last]
    rate = np.concatenate([[0], false_positives / good.sum()])
    overlap = np.concatenate([[0], true_positives / regions])

    inside = rate <= limit
    end = float(np.interp(limit, rate, overlap))
    area = integrate.trapezoid(np.append(overlap[inside], end), np.append(rate[inside], limit))
    return float(area / limit)


def detection_metrics(
    truths: Sequence[Truth], maps: Sequence[Map], score: Callable[[Map], float] = image_score
) -> dict[str, float]:
    """All metrics (``METRICS``) of a detector on its test pictures. Pixels that are neither defect
    nor background enter none of them.

    Args:
        truths: ``[H, W]`` each; without a defect pixel: a good picture.
        maps: P(defect) or an anomaly map, float32 ``[H, W]`` each.
        score: the score of a picture by its map, the method's own rule.
    """
    defective = np.array(list(map(np.any, map(defect_of, truths))))
    scores = np.array(list(map(score, map(seen, truths, maps))))
    image_metrics = curve_metrics(defective, scores)
    pixel_metrics = curve_metrics(*counted_pixels(truths, maps))
    values = (*image_metrics, *pixel_metrics, aupro(truths, maps))
    return dict(zip(METRICS, values, strict=True))
