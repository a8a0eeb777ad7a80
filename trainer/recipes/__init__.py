"""Ready-made ways: the demo, the shipped pictures, and the evaluation's recipes (``*.json``)."""

__all__ = ["demo", "demo_config"]
