"""The evaluation: realism, masks and what detectors gain from generated defects.

From the bottom: ``plan`` (who trains and who tests), ``rows`` and ``store`` (figures and finished
measurements), ``samples`` (generated defects), ``measures`` (realism and masks), ``detectors``,
``report``; ``evaluation`` measures with all of them, ``run`` plans and reports. ``misses`` holds
the known defects out in turn. ``advise`` answers for one data set from the same samples and
detectors, by the rules of ``advice``.
"""

__all__ = [
    "command",
    "config",
    "detectors",
    "measures",
    "misses",
    "plan",
    "proposals",
    "report",
    "run",
]
