"""Which releases are installed, and which fail together although each is within the package's
range."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from bgdefect_core.errors import SettingError

_RECORDED = ("torch", "diffusers", "transformers", "accelerate", "peft", "bgdefect")
_FAIL = (
    ("diffusers", (0, 41), (2, 6)),
    ("diffusers", (0, 37), (2, 5)),
    ("transformers", (5, 8), (2, 5)),
)
"""From this release on, the package fails at its import or at its first model with a torch before
that one (seen with 2.4.1)."""


def check_versions() -> None:
    """Refuse such a set, or one that lacks a package, before an import fails.

    Raises:
        SettingError: it names the releases and what to install.
    """
    torch = _installed("torch")
    for package, first, least in _FAIL:
        found = _installed(package)
        if _release(found) >= first and _release(torch) < least:
            limit, needed = ".".join(map(str, first)), ".".join(map(str, least))
            came = f"{package} {found} beside torch {torch}"
            raise SettingError(
                came,
                f"{package} before {limit}, or torch {needed} or later",
                f"pip install '{package}<{limit}'",
            )


def library_versions() -> dict[str, str]:
    """What a file that we write may depend on, where it is installed: name -> version."""
    found = {}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as reason:
        raise SettingError(
            f"{package} is not installed", "the extra 'train'", "pip install 'bgdefect[train]'"
        ) from reason


def _release(text: str) -> tuple[int, int]:
    """Major and minor of "2.4.1+cu121"."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
