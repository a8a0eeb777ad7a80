"""``bgdefect misses``: the known defects, each held out in turn; which ones detectors miss, and
whether a batch of samples lowers the score."""

__all__ = ["run", "settings"]
