"""Every error that BGDefect raises on purpose: one small tree.

A message says what came, what was expected, and what to do::

    raise SettingError("steps is 0", "a whole number from 1 to 1000", "set steps to 50")

reads "steps is 0; expected a whole number from 1 to 1000; set steps to 50".
"""

from __future__ import annotations


class BGDefectError(Exception):
    """The root: catch this one to catch whatever BGDefect refuses.

    Args:
        came: what was found, naming the file or the setting.
        expected: what would have been right; left out where ``came`` says it already.
        do: the next step for the user, as an order ("paint a mask").
    """

    def __init__(self, came: str, expected: str = "", do: str = "") -> None:
        super().__init__(
            came, expected, do
        )  # all three in args: the error survives pickling between processes
        self.came = came
        self.expected = expected
        self.do = do

    def __str__(self) -> str:
        parts = [self.came, f"expected {self.expected}" if self.expected else "", self.do]
        return "; ".join(part for part in parts if part)


class SettingError(BGDefectError):
    """A value out of its range, or two settings that exclude each other."""


class PictureError(BGDefectError):
    """A picture that cannot be read or used."""


class MaskError(BGDefectError):
    """A mask that cannot be read, is empty, full, of another size, or no mask at all."""


class DataError(BGDefectError):
    """Folders, layouts, splits and manifests that do not fit together."""


class WeightsError(BGDefectError):
    """A weights file that is damaged, or belongs to another model."""


class OutputError(BGDefectError):
    """A place that cannot be written to, or that already holds something else."""


class OtherRunError(OutputError):
    """A place that already holds a run with other settings."""


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise SettingError unless ``low <= value <= high``; NaN is out of every range."""
    if not low <= value <= high:
        raise SettingError(
            f"{name} is {value:g}", f"{low:g} to {high:g}", f"choose {name} in that range"
        )
