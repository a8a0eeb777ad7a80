"""``python -m trainer``: the same as ``bgdefect``."""

import sys

from .cli.app import main

if __name__ == "__main__":
    sys.exit(main())
