"""Measures of samples and masks: features, distances, fidelity, agreement."""

__all__ = [
    "agreement",
    "cell_masks",
    "cell_realism",
    "features",
    "fidelity",
    "optional",
    "realism",
    "settings",
]
