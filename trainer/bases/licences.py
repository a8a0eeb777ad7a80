"""Which licence a base stands under, by what its folder says of itself; guessed at nowhere."""

from __future__ import annotations

from pathlib import Path

from bgdefect_core.weights.files import UNKNOWN

_CARD = {
    "creativeml-openrail-m": "CreativeML OpenRAIL-M",
    "openrail++": "CreativeML Open RAIL++-M",
    "openrail": "OpenRAIL",
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
}
"""Names of the key ``license`` in a model card."""
_TITLES = {
    "creativeml openrail-m": "CreativeML OpenRAIL-M",
    "creativeml open rail-m": "CreativeML OpenRAIL-M",
    "creativeml open rail-m license": "CreativeML OpenRAIL-M",
    "creativeml open rail++-m": "CreativeML Open RAIL++-M",
    "creativeml open rail++-m license": "CreativeML Open RAIL++-M",
    "apache license version 2.0, january 2004": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
}
"""Whole titles of licence texts; a title may stand on two lines."""
_TITLE_WITHIN = 8
"""Lines that are not empty, from the beginning, in which a licence's text names itself."""
_SHOWN = 80


def licence_of(folder: Path) -> str:
    """The licence that the model card's ``license:`` names, else the one whose title heads the
    LICENSE file.

    Returns:
        A name of ours; "unknown (NAME)" for one that is not known here; "unknown" where nothing is
        named.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    cards = [path for path in files if path.name.lower() == "readme.md"]
    texts = [path for path in files if path.name.lower().startswith(("license", "licence"))]
    named = [_of_card(_read(path)) for path in cards] + [_of_text(_read(path)) for path in texts]
    return next((name for name in named if name), UNKNOWN)


def _read(path: Path) -> str:
    return path.read_bytes()[:64_000].decode("utf-8-sig", errors="replace")


def _of_card(text: str) -> str:
    """The key ``license`` of the YAML block at the head of a model card; "" without one."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:]]:
        return ""
    block = lines[1 : 1 + [line.strip() for line in lines[1:]].index("---")]
    keys = {
        key: value.split(" #")[0].strip().strip("'\"")
        for key, colon, value in (line.partition(":") for line in block)
        if colon
    }
    if "license" not in keys:
        return ""
    name = keys["license"]
    if name.lower() in _CARD:
        return _CARD[name.lower()]
    return _unknown(keys.get("license_name") or name)


def _of_text(text: str) -> str:
    """The licence whose whole title stands among the first lines; else the first line, as
    unknown."""
    lines = [" ".join(line.strip("#*=- \t").split()) for line in text.splitlines()]
    lines = [line for line in lines if line][:_TITLE_WITHIN]
    for title in (*lines, *(f"{one} {two}" for one, two in zip(lines, lines[1:], strict=False))):
        if title.lower() in _TITLES:
            return _TITLES[title.lower()]
    return _unknown(lines[0]) if lines else ""


def _unknown(name: str) -> str:
    plain = "".join(letter for letter in name if letter.isprintable())[:_SHOWN]
    return f"{UNKNOWN} ({plain})" if plain else UNKNOWN
