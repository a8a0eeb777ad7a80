"""BGDefect as a ComfyUI node pack: the host imports this file from its `custom_nodes` and calls
`comfy_entrypoint`.

Nothing of the host is imported before it asks, so that the checkout can be read and tested without
one.
"""

from __future__ import annotations

import logging
from typing import Any

WEB_DIRECTORY = "./web"
"""Help pages of the nodes, served by the host."""

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]


async def comfy_entrypoint() -> Any:
    """The extension that names all nodes (`comfy_api.latest.ComfyExtension`)."""
    try:
        from .nodes import make_extension

        return make_extension()
    except Exception:  # the host would log one line without a traceback
        logging.getLogger(__name__).exception("BGDefect's nodes cannot be loaded")
        raise
