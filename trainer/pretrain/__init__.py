"""Training of the embedded base ``bgdefect-mini`` from drawn pictures, and its evaluation."""

__all__ = ["evaluate_base", "run"]
