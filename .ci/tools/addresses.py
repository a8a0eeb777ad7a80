"""Writes the addresses that ComfyUI's registry wants into `pyproject.toml`: the repository's, and
those of icon and banner as raw files of a tag or commit.

    python .ci/tools/addresses.py OWNER/NAME REFERENCE

The publish action runs it on its own checkout; the file in the repository stays as it is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
HOST, RAW = "https://github.com", "https://raw.githubusercontent.com"
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")


def with_addresses(text: str, repository: str, reference: str) -> str:
    """The text of a `pyproject.toml` with its addresses.

    Args:
        repository: OWNER/NAME. reference: a tag or commit that holds the pictures.

    Raises:
        SystemExit: another form of repository, or a text without the two pictures.
    """
    if not REPOSITORY.fullmatch(repository):
        raise SystemExit(f"{repository!r} is no OWNER/NAME")
    urls = f'[project.urls]\nRepository = "{HOST}/{repository}"\n\n'
    text = text.replace("[project.scripts]", f"{urls}[project.scripts]", 1)
    for name in ("Icon", "Banner"):
        line = re.compile(rf'^{name} = "(web/[a-z.]+)".*$', re.MULTILINE)
        text, count = line.subn(rf'{name} = "{RAW}/{repository}/{reference}/\1"', text)
        if count != 1:
            raise SystemExit(f"pyproject.toml has no {name} below web/")
    return text


if __name__ == "__main__":
    written = with_addresses(PYPROJECT.read_text(encoding="utf-8"), sys.argv[1], sys.argv[2])
    PYPROJECT.write_text(written, encoding="utf-8")
