"""Finding examples and good pictures in a data set, whatever its layout.

A new layout is one module of this package, and one line in ``LAYOUTS`` (``known``). Finding
examples reads names only; ``examples.validate`` reads every file once.
"""

from ..annotations.mask_classes import MASK_CLASSES_HELP
from .annotated import AnnotationLayout
from .csv_list import CsvList
from .finding import (
    all_good_examples,
    find_class,
    find_examples,
    good_examples,
    good_pictures,
    layout_of,
)
from .known import LAYOUTS, data_help
from .layout import Layout
from .mvtec_ad import MVTecAD
from .plain import PlainFolder
from .settings import AS_FOUND, LAYOUT_HELP, OUTSIDE_HELP, SIDES_HELP, ReadingSettings, SidesRead

__all__ = [
    "AS_FOUND",
    "LAYOUTS",
    "LAYOUT_HELP",
    "MASK_CLASSES_HELP",
    "AnnotationLayout",
    "CsvList",
    "Layout",
    "MVTecAD",
    "OUTSIDE_HELP",
    "PlainFolder",
    "ReadingSettings",
    "SIDES_HELP",
    "SidesRead",
    "all_good_examples",
    "data_help",
    "find_class",
    "find_examples",
    "good_examples",
    "good_pictures",
    "layout_of",
]
