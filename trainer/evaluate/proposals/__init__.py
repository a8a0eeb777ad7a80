"""``bgdefect data propose``: regions of pictures that are only known to be bad."""
