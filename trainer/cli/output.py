"""What the command line prints: in any encoding, and without characters that a terminal obeys."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import warnings

from tqdm import tqdm

from bgdefect_core.paths import without_surrogates

__all__ = ["complain", "configure", "plain", "say"]

_OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters and separators but the line end, and marks that turn the direction of
writing."""
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def plain(text: str) -> str:
    """The text with everything spelled out that a terminal would obey: names of files and classes
    come from anywhere. Undecodable characters become the replacement character."""
    spelled = _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return without_surrogates(spelled)


def say(*lines: str) -> None:
    """Print, from one process of several."""
    if os.environ.get("RANK", "0") == "0":
        print(plain("\n".join(lines)), flush=True)


def complain(text: str) -> None:
    """Print on stderr."""
    print(plain(text), file=sys.stderr)


def flush() -> None:
    """Send what is printed on its way.

    Raises:
        BrokenPipeError: its reader has gone.
    """
    sys.stdout.flush()
    sys.stderr.flush()


def close_broken() -> None:
    """Point stdout and stderr at nothing where their reader has gone, so that Python does not write
    to a closed pipe when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def accept_all_text() -> None:
    """Let stdout and stderr spell out what their encoding lacks. The encoding of a console or a
    pipe never stops a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def configure() -> None:
    """Send our own messages to stderr, above the progress bars, and only errors of the
    libraries."""
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    warnings.simplefilter("ignore")
    handler = _BarHandler()
    handler.setFormatter(logging.Formatter("bgdefect: %(message)s"))
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    for package in (__name__.split(".")[0], "bgdefect_core"):
        logging.getLogger(package).setLevel(logging.INFO)


class _BarHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(plain(self.format(record)), file=sys.stderr)


def hide_loading_bars() -> None:
    """Turn off the libraries' own bars ("Loading weights"), which break into ours. Not every
    version heeds the variables of ``_QUIET``."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
