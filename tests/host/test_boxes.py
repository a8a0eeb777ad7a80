"""The host's own bounding box bounds where masks are placed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .server import Server, pixels, shown


def test_masks_lie_in_the_hosts_box(server: Server, object_info: dict[str, Any]) -> None:
    spec = object_info["BGDefectPlaceMask"]["input"]["optional"]["box"]
    assert spec[0] == "BOUNDING_BOX"
    if "PrimitiveBoundingBox" not in object_info:
        pytest.skip("this version has no bounding box")
    assert spec[1]["forceInput"] is True
    placing = {
        "image": ["1", 0],
        "library": "(masks input)",
        "masks": ["2", 0],
        "number": 4,
        "part": "texture",
        "rotate": 0.0,
        "scale_min": 1.0,
        "scale_max": 1.0,
        "flip": False,
        "elastic": 0.0,
        "seed": 1,
        "box": ["3", 0],
    }
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 96, "height": 64, "batch_size": 1}},
        "2": {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 9, "height": 5}},
        "3": {
            "class_type": "PrimitiveBoundingBox",
            "inputs": {"x": 40, "y": 20, "width": 20, "height": 12},
        },
        "4": {"class_type": "BGDefectPlaceMask", "inputs": placing},
        "5": {"class_type": "MaskToImage", "inputs": {"mask": ["4", 1]}},
        "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
    }
    prompt["1"]["inputs"]["color"] = 8421504
    run = server.run(prompt)
    assert run.status == "success", run.error
    masks = [pixels(path)[..., 0] > 127 for path in shown(server, run.outputs["6"])]
    assert [int(mask.sum()) for mask in masks] == [45] * 4
    for mask in masks:
        assert np.array_equal(np.argwhere(mask), np.argwhere(mask[20:32, 40:60]) + (20, 40))
