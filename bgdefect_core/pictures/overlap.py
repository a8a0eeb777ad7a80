"""How well two masks agree."""

from __future__ import annotations

from .masks import Mask


def overlap(predicted: Mask, truth: Mask) -> dict[str, float]:
    """IoU, precision and recall of bool ``[H, W]``, 0..1 each; an empty prediction has precision
    0."""
    both = float((predicted & truth).sum())
    return {
        "iou": both / max(float((predicted | truth).sum()), 1.0),
        "precision": both / max(float(predicted.sum()), 1.0),
        "recall": both / max(float(truth.sum()), 1.0),
    }
