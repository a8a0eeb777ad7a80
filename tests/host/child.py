"""Inside ComfyUI's own Python: the host on the CPU without its server, and the pack as a package.
Import this first.

The command line is: SCRIPT HOST BASE_DIRECTORY PACK ...; what follows is left in ``ARGUMENTS``.
"""

import importlib.util
import sys
from importlib import import_module
from pathlib import Path

HOST, BASE, PACK = (Path(name) for name in sys.argv[1:4])
ARGUMENTS = sys.argv[4:]
sys.argv = [sys.argv[0], "--cpu", "--base-directory", str(BASE)]
sys.path.insert(0, str(HOST))

import comfy.options  # noqa: E402  (the host's folder must come first)

comfy.options.enable_args_parsing()

import nodes as stock  # noqa: E402, F401  (the host's own; it sets up the rest)

spec = importlib.util.spec_from_file_location(
    "pack", PACK / "__init__.py", submodule_search_locations=[str(PACK)]
)
pack = importlib.util.module_from_spec(spec)
sys.modules["pack"] = pack
spec.loader.exec_module(pack)


def ours(name):
    """A module of the pack, such as ``nodes.loaders``."""
    return import_module(f"pack.{name}")
