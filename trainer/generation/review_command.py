"""``bgdefect review``: the page, or the decisions applied."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable

from bgdefect_core.declarations import check_settings
from bgdefect_core.records.apply_decisions import apply_decisions

from ..review.config import ReviewConfig
from ..review.server import serve
from ..review.session import Session, find_runs
from .page import write_page


def review(config: ReviewConfig, say: Callable[[str], None]) -> str:
    """Show the page until Ctrl-C, or apply the decisions; returns what to say at the end.

    Args:
        say: prints a line.

    Raises:
        BGDefectError: no data set, a damaged file, a port or a folder in use.
    """
    check_settings(config)
    if config.apply:
        return _apply(config)
    with Session(config.folder) as session:

        def started(address: str) -> None:
            say(f"review: {address}\nCtrl-C ends it; every decision is on the disk at once")
            if config.open:
                webbrowser.open(address)

        serve(session, config.port, started)
        count = session.decided
    if not count:
        return "nothing was decided"
    return f"{count} decisions were written; bgdefect review FOLDER --apply moves the files"


def _apply(config: ReviewConfig) -> str:
    lines: list[str] = []
    for run in find_runs(config.folder):
        done = apply_decisions(config.folder, run.object, run.defect)
        if (run.folder / "index.html").is_file():  # workflows write none
            write_page(config.folder, run.object, run.defect)
        lines.append(
            f"{run.object} / {run.defect}: {done.accepted} moved in, {done.rejected} moved out, "
            f"{done.labels} labels changed"
        )
    return "\n".join(lines)
