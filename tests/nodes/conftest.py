"""The pack, imported as the host imports it: under a name of the host's choice, `bgdefect_core`
inside it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NAME = "bgdefect_pack"
ROOT = Path(__file__).resolve().parents[2]

if NAME not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
