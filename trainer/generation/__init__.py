"""Painting a trained defect into good pictures: settings, sources, pairs, chunks, record, page."""

__all__ = [
    "config",
    "generate",
    "good_files",
    "pairs",
    "record",
    "review_command",
    "setup",
    "sources",
    "summary",
]
