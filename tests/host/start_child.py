"""What the pack costs at the host's start: run by the host's Python with the host's folder and the
pack's as arguments.

Prints as JSON the processor seconds of importing the pack and naming its nodes, and the packages
that this has brought in.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import time
from typing import Any

host, pack = sys.argv[1:3]
sys.argv = [sys.argv[0], "--cpu"]
sys.path.insert(0, host)

import comfy.options  # noqa: E402  (found through the path above)

comfy.options.enable_args_parsing()

import comfy_api.latest  # noqa: E402, F401

import nodes as host_nodes  # noqa: E402

asyncio.run(host_nodes.init_builtin_extra_nodes())  # as the host: its own nodes first
before = set(sys.modules)
started = time.process_time()
spec = importlib.util.spec_from_file_location(
    "bgdefect_pack", f"{pack}/__init__.py", submodule_search_locations=[pack]
)
assert spec is not None and spec.loader is not None
module: Any = importlib.util.module_from_spec(spec)
sys.modules["bgdefect_pack"] = module
spec.loader.exec_module(module)


async def names() -> int:
    """How many nodes there are; their schemas are made as the host makes them."""
    extension = await module.comfy_entrypoint()
    classes = await extension.get_node_list()
    for node in classes:
        node.GET_SCHEMA()
    return len(classes)


count = asyncio.run(names())
seconds = time.process_time() - started
imported = sorted({name.split(".")[0] for name in set(sys.modules) - before})
sys.stdout.write(
    json.dumps({"seconds": round(seconds, 3), "nodes": count, "imported": imported}) + "\n"
)
