"""Painting a trained defect into good pictures: settings, sources, pairs, batches, page."""

__all__ = [
    "attempts",
    "config",
    "dry_run",
    "generate",
    "pairs",
    "record",
    "setup",
    "sources",
    "summary",
]
