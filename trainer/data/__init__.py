"""Training data: layouts on the disk, examples, splits; data sets in the formats of other tools."""

__all__ = [
    "annotations",
    "check",
    "convert",
    "examples",
    "formats",
    "gathering",
    "layouts",
    "paired_good",
    "splits",
]
