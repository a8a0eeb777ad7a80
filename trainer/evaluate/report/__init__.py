"""The report of an evaluation: tables, goals and their verdicts, plots, the page and the summary."""

__all__ = [
    "by_object",
    "evidence",
    "goals",
    "page",
    "strips",
    "summary",
    "tables",
    "verdicts",
]
