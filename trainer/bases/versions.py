"""Installed releases, and those that fail together although each is within the package's range."""

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
that release (seen with 2.4.1)."""


def check_versions() -> None:
    """Refuse packages that fail together, or a missing one, before an import fails.

    Raises:
        SettingError: it names the releases and what to install.
    """
    torch = _installed("torch")
    for package, first, least in _FAIL:
        release = _installed(package)
        if _release(release) >= first and _release(torch) < least:
            limit, needed = ".".join(map(str, first)), ".".join(map(str, least))
            came = f"{package} {release} beside torch {torch}"
            expected = f"{package} before {limit}, or torch {needed} or later"
            raise SettingError(came, expected, f"pip install '{package}<{limit}'")


def library_versions() -> dict[str, str]:
    """The installed releases of what a written file may depend on: name -> version."""
    releases = {}
    for name in _RECORDED:
        try:
            releases[name] = version(name)
        except PackageNotFoundError:
            continue
    return releases


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as reason:
        do = "pip install 'bgdefect[train]'"
        raise SettingError(f"{package} is not installed", "the extra 'train'", do) from reason


def _release(text: str) -> tuple[int, int]:
    """Major and minor of "2.4.1+cu121"."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
