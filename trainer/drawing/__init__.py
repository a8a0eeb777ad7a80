"""Pictures that code draws: parts, textures, circuits, their defects, and a camera.

They pretrain the embedded base, calibrate thresholds and serve as demonstration data. Everything is
a function of a seed.
"""

__all__ = ["defects", "draw", "grounds", "weaves"]
