"""Painting a trained defect into good pictures: settings, sources, pairs, chunks, record, page."""

__all__ = ["config", "generate", "pairs", "record", "setup", "sources", "summary"]
