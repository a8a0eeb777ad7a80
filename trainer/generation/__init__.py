"""Painting a trained defect into good pictures: settings, sources, pairs, chunks, record, page."""

__all__ = [
    "attempts",
    "choice_file",
    "chunks",
    "config",
    "dry_run",
    "generate",
    "good_files",
    "pair",
    "pairs",
    "progress",
    "record",
    "review_command",
    "sample_queue",
    "setup",
    "sources",
    "summary",
]
