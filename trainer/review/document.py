"""The page: one document, with its scripts beside it where a server gives them, or all in one file
that can only be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bgdefect_core.paths import without_surrogates

from .rows import Row

WEB = Path(__file__).parent / "web"
SCRIPTS = ("state.js", "list.js", "stage.js", "brush.js", "main.js")
STYLE = "style.css"


@dataclass(frozen=True)
class About:
    """What the page says of the whole, beside the samples."""

    lines: Sequence[str] = ()
    settings: Mapping[str, Any] | None = None
    links: Mapping[str, str] | None = None
    """Text -> relative address."""


def live_document(title: str) -> str:
    """The page whose scripts ask the server for everything else."""
    return _render(title, About(), live=True, style="", script="", data="")


def read_only_document(
    title: str, runs: Sequence[str], rows: Sequence[Row], about: About, command: str
) -> str:
    """The page with everything in it but the pictures, to be opened as a file.

    Args:
        runs: names of the classes. rows: as ``row_of``, each with ``files`` (relative addresses by
            kind) and ``detail`` (width, height, box), where they are known.
        command: with which the samples can be decided.
    """
    data = {"runs": list(runs), "rows": list(rows), "command": command, "readOnly": True}
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character, escaped in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        text = text.replace(character, escaped)
    script = "\n".join((WEB / name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = (WEB / STYLE).read_text(encoding="utf-8")
    return _render(title, about, live=False, style=style, script=script, data=text)


def _render(title: str, about: About, live: bool, style: str, script: str, data: str) -> str:
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    template = environment.from_string((WEB / "page.html.j2").read_text(encoding="utf-8"))
    text = template.render(
        title=title,
        about=about,
        live=live,
        style=Markup(style),
        script=Markup(script),
        data=Markup(data),
        scripts=SCRIPTS,
        style_file=STYLE,
    )
    return without_surrogates(text)
