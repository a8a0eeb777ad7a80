"""The report of an evaluation: tables, goals with verdicts, plots, the page, the summary."""

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
