"""What readers warn of while a data set is checked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Notes", "noted"]

_PACKAGES = (__name__.split(".")[0], "bgdefect_core")


class Notes(logging.Handler):
    """Warnings by their form: what is said of many files counts as one."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._by_form: dict[str, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take a warning."""
        text = record.getMessage()
        form = text if record.msg == "%s" else str(record.msg)
        self._by_form.setdefault(form, []).append(text)

    @property
    def lines(self) -> list[str]:
        """The first warning of each form, with the number of others."""
        lines: list[str] = []
        for texts in self._by_form.values():
            others = len(dict.fromkeys(texts)) - 1
            lines.append(f"{texts[0]} (and {others} more of this kind)" if others else texts[0])
        return lines


@contextmanager
def noted() -> Iterator[Notes]:
    """Within it, our own warnings are noted too."""
    notes = Notes()
    loggers = [logging.getLogger(package) for package in _PACKAGES]
    for logger in loggers:
        logger.addHandler(notes)
    try:
        yield notes
    finally:
        for logger in loggers:
            logger.removeHandler(notes)
