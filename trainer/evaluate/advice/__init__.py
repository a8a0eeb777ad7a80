"""Advice on the user's own data: what is measured for it, how it is judged, and its page."""

__all__ = ["design", "judgement", "misses", "page", "runs", "settings"]
