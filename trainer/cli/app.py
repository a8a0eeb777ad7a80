"""The command ``bgdefect``.

Exit codes: 0 done; 1 nothing good came out; 2 something to mend, said in one line; 130 stopped with
Ctrl-C; 141 stopped because the reader of its output, such as ``head``, has read enough.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from bgdefect_core.declarations import flat_values
from bgdefect_core.errors import BGDefectError, SettingError
from bgdefect_core.paths import check_path

from .commands import COMMANDS, GROUPS, Command, load
from .output import (
    accept_all_text,
    close_broken,
    complain,
    configure,
    flush,
    hide_loading_bars,
    say,
)

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    accept_all_text()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _answer(words)
        finally:
            flush()  # help texts end with SystemExit; left to Python, a closed pipe is reported
    except BrokenPipeError:
        close_broken()
        return 141


def _answer(words: Sequence[str]) -> int:
    """What some words ask for; returns the exit code."""
    group = words[0] if words and words[0] in GROUPS else ""
    name = " ".join(words[: 2 if group else 1])
    if name in ("", "-h", "--help") or name in (group, f"{group} -h", f"{group} --help"):
        say(_overview(group))
        return 2 if name == group else 0
    if name not in COMMANDS:
        complain(f"bgdefect: error: no command {name!r}; one of {', '.join(COMMANDS)}")
        return 2
    configure()
    command = COMMANDS[name]
    try:
        return _run(command, words[len(name.split()) :])
    except BGDefectError as error:
        complain(f"bgdefect: error: {error}")
        return 2
    except KeyboardInterrupt:
        complain("\nbgdefect: stopped; the same command resumes it")
        return 130


def _overview(group: str) -> str:
    lines = [f"usage: bgdefect {group + ' ' if group else ''}COMMAND [options]", ""]
    for name, command in COMMANDS.items():
        if name.startswith(group):
            lines.append(f"  {name:17} {command.summary}")
    lines += ["", "bgdefect COMMAND --help lists the options of a command."]
    return "\n".join(lines)


def _run(command: Command, arguments: Sequence[str]) -> int:
    if command.loads_networks:
        from ..bases.versions import check_versions

        check_versions()
    settings = _parse(command, arguments)
    work = load(command.run)
    result = work(settings, say) if command.says else work(settings)
    say(command.shown(result))
    return int(load(command.exit_code)(result)) if command.exit_code else 0


def _parse(command: Command, arguments: Sequence[str]) -> Any:
    """The settings from the arguments, with paths that can be paths."""
    settings: Any = load(command.settings)
    default = None
    if command.read:
        default, arguments = load(command.read)(arguments)
    options = {} if default is None else {"default": default}
    parsed = tyro.cli(settings, args=list(arguments), prog=f"bgdefect {command.name}", **options)
    for name, value in flat_values(parsed).items():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) or (name == "base" and path):
                check_path(Path(path), SettingError)
    if command.loads_networks:
        hide_loading_bars()
    return parsed
