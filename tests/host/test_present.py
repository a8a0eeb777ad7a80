import pytest

from .conftest import DEFAULT, HOSTS


def test_a_comfyui_is_there() -> None:
    if not HOSTS:
        pytest.skip(f"no ComfyUI with a Python at COMFYUI_DIRS, COMFYUI_PYTHONS (default {DEFAULT}): the host tests are left out")
